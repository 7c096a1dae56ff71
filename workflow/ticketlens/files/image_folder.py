"""The layout {train,test}/<class>/<image> in a folder or a .zip: what is read, what is not and why.

Nothing is left out silently: a file is taken, or refused by name, or counted by the reason why it
was left out. Reading, counting and the digest that triggers reruns all ask the same listing.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg")
# Images that are not read: leaving them out in silence would change the data set.
OTHER_SUFFIXES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe"),
    *(".j2k", ".jxl", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif"),
    *(".tiff", ".webp", ".xbm"),
)
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
HOW_TO_GET = (
    "Ways to get images: `dataset: {source: embedded}` uses the subset that comes with ticketlens; "
    "`source: torchvision` downloads CIFAR-10 into `path`; `source: folder` reads any directory or "
    ".zip in the layout {train,test}/<class>/*.png|jpg given as `path`."
)
LAYOUT = "{train,test}/<class>/*.png|jpg"


class DatasetError(ValueError):
    """Images are missing, damaged or unusable; the message says where and what to do."""


@dataclass(frozen=True)
class Listing:
    """The images of a folder or .zip by (part, class), and how many other files, by reason."""

    where: str
    images: Mapping[tuple[str, str], tuple[str, ...]]
    skipped: Mapping[str, int]
    seen: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the training part, sorted."""
        return tuple(sorted({name for part, name in self.images if part == "train"}))

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each part."""
        found = Counter(dict.fromkeys(PARTS, 0))
        for (part, _), names in self.images.items():
            found[part] += len(names)
        return dict(found)


def listing(path: Path) -> Listing:
    """Return what a folder or a .zip holds. Links are followed, as torchvision's ImageFolder does.

    Raises DatasetError naming the first name that does not fit the layout.
    """
    if path.is_dir():
        return listed(str(path), folder_names(path))
    with opened_zip(path) as archive:
        return listed(str(path), zip_names(archive, path))


def opened_zip(path: Path) -> zipfile.ZipFile:
    """Open a .zip. Raises DatasetError if it is none, or there is nothing."""
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder. {HOW_TO_GET}")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path}: neither a folder nor a readable .zip ({error})") from error


def folder_names(path: Path) -> list[str]:
    """Return the files below a folder, links followed. Raises DatasetError on a loop of links."""
    return sorted(_walk(path, "", ()))


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        raise DatasetError(f"{folder}: a link that leads to a folder above it")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, real))
            else:
                yield prefix + entry.name


def zip_names(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """Return {name with slashes: name in the archive} of the files of a .zip.

    PowerShell before 5.1 wrote backslashes, which zipfile leaves as they are on Linux. Raises
    DatasetError if a name stands there twice, as then one of the two would be lost.
    """
    names: dict[str, str] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        if name in names:
            raise DatasetError(f"{path}: {name} stands in the archive twice")
        names[name] = info.filename
    return names


def listed(where: str, names: Iterable[str]) -> Listing:
    """Sort names into images by (part, class) and files left out; see `listing`."""
    names = list(names)
    skipped: Counter[str] = Counter()
    candidates = []
    for name in names:
        path = PurePosixPath(name)
        if any(part.startswith((".", "_")) and part != ".." for part in path.parts):
            skipped["hidden"] += 1
        elif path.name.lower() in SYSTEM_FILES:
            skipped["left by a system"] += 1
        elif path.suffix.lower() not in (*SUFFIXES, *OTHER_SUFFIXES):
            skipped["no image by its suffix"] += 1
        else:
            candidates.append(name)
    root = _root(candidates)
    images: dict[tuple[str, str], list[str]] = {}
    spelled: dict[tuple[str, str], str] = {}
    for name in candidates:
        parts = PurePosixPath(name).parts
        if parts[0] == "/" or ".." in parts or any(map(_is_control, name)):
            raise DatasetError(
                f"{where}: {name!r} is not a name for an image: it leads elsewhere, or holds "
                "characters that no text holds"
            )
        inner = parts[len(root) :]
        if parts[: len(root)] != root or inner[0] not in PARTS:
            skipped["outside train/ and test/"] += 1
            continue
        if len(inner) != 3 or PurePosixPath(name).suffix.lower() in OTHER_SUFFIXES:
            raise DatasetError(
                f"{where}: {name} is not in the layout {LAYOUT}: an image without a label, or of "
                "another format"
            )
        key = (inner[0], unicodedata.normalize("NFC", inner[1]))
        if spelled.setdefault(key, inner[1]) != inner[1]:
            raise DatasetError(
                f"{where}: two folders of {inner[0]}/ have names that look alike, "
                f"{spelled[key]!a} and {inner[1]!a}"
            )
        images.setdefault(key, []).append(name)
    by_class = {key: tuple(files) for key, files in images.items()}
    return Listing(where, by_class, dict(skipped), _seen(names))


def _root(names: Iterable[str]) -> tuple[str, ...]:
    """Return () or the one folder that holds train/ and test/, as many archives have it."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    if tops & set(PARTS) or len(tops) != 1:
        return ()
    inner = {PurePosixPath(name).parts[1:2] for name in names}
    return tuple(tops) if {(part,) for part in PARTS} & inner else ()


def _is_control(character: str) -> bool:
    """Whether no text holds a character: control characters, bytes of no encoding."""
    return unicodedata.category(character) in ("Cc", "Cs")


def check_classes(found: Listing) -> None:
    """Raise DatasetError, with what is there instead, if the parts lack classes."""
    where, classes = found.where, found.classes
    if len(classes) < 2:
        raise DatasetError(
            f"{where}: {len(classes)} classes with images found under train/; expected the layout "
            f"{LAYOUT} with at least 2 classes; {found.seen}. {HOW_TO_GET}"
        )
    for part, name in sorted(found.images):
        if name not in classes:
            raise DatasetError(f"{where}: class {part}/{name} has no images under train/")
    for name in classes:
        if ("test", name) not in found.images:
            raise DatasetError(f"{where}: class {name!r} has no images under test/")


def _seen(names: list[str]) -> str:
    """Say what is there instead of the layout: the first folders, and how many files."""
    folders = sorted({str(PurePosixPath(name).parent) for name in names})
    if not folders:
        return "there is no file"
    shown = ", ".join(repr(folder) for folder in folders[:5])
    more = f" and {len(folders) - 5} more" if len(folders) > 5 else ""
    return f"found {len(names)} files, in {shown}{more}"


def images_digest(path: str | Path) -> str:
    """Return a hex digest of an archive's bytes, or of names, sizes and times below a folder.

    An archive copied or downloaded again is the same archive, whatever its time. To read a folder's
    tens of thousands of files at every start would take too long. Links are followed.
    """
    path = Path(path)
    if path.is_file():
        with open(path, "rb") as archive:
            return hashlib.file_digest(archive, "sha256").hexdigest()[:16]
    digest = hashlib.sha256()
    for name in sorted(PurePosixPath(name) for name in folder_names(path)):
        if (path / name).is_file():
            status = (path / name).stat()
            line = f"{name} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]

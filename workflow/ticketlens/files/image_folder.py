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
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg")
# Images that are not read: leaving them out in silence would change the data set.
OTHER_SUFFIXES = (
    *(".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".exr"),
    *(".fits", ".gif", ".hdr", ".heic", ".heif", ".icns", ".ico", ".j2c", ".j2k", ".jfif", ".jp2"),
    *(".jpc", ".jpe", ".jpf", ".jpx", ".jxl", ".jxr", ".mpo", ".nef", ".orf", ".pam", ".pbm"),
    *(".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".raf", ".rgb", ".rw2", ".sgi"),
    *(".svg", ".tga", ".tif", ".tiff", ".webp", ".xbm", ".xpm"),
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
    """The images of a folder or .zip by (part, class), and how many other files, by reason.

    `empty` names folders of classes without an image.
    """

    where: str
    images: Mapping[tuple[str, str], tuple[str, ...]]
    skipped: Mapping[str, int]
    seen: str
    empty: tuple[str, ...] = ()

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
    if not path.is_file():  # a pipe would be waited for
        raise DatasetError(f"{path}: neither a folder nor a file")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path}: neither a folder nor a readable .zip ({error})") from error


def folder_names(path: Path) -> list[str]:
    """Return the files below a folder, links followed; an empty folder's name ends in a slash.

    Raises DatasetError for a link that leads nowhere, or in a circle.
    """
    return sorted(_walk(path, "", ()))


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        raise DatasetError(f"{folder}: a link that leads to a folder above it")
    is_empty = True
    with os.scandir(folder) as entries:
        for entry in entries:
            is_empty = False
            if _leads_nowhere(entry) and not _is_hidden(entry.name):
                raise DatasetError(
                    f"{entry.path} is no file (a link that leads nowhere, or in a circle)"
                )
            if not _leads_nowhere(entry) and entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, real))
            else:
                yield prefix + entry.name
    if is_empty and prefix:
        yield prefix


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link without an end. (Its is_dir() raises OSError in a circle.)"""
    return entry.is_symlink() and not os.path.exists(entry.path)


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden: by a dot, or as what macOS packs beside files."""
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


def zip_names(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """Return {name with slashes: name in the archive} of the files of a .zip, and of its folders.

    PowerShell before 5.1 wrote backslashes, which zipfile leaves as they are on Linux. Names of
    folders end in a slash. Raises DatasetError if a file's name stands there twice, as then one of
    the two would be lost.
    """
    names: dict[str, str] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        is_folder = name.endswith("/")
        name = str(PurePosixPath(name)) + "/" * is_folder  # without ./ and //
        if name in names and not is_folder:
            raise DatasetError(f"{path}: {name} stands in the archive twice")
        names[name] = info.filename
    return names


def listed(where: str, names: Iterable[str]) -> Listing:
    """Sort names into images by (part, class) and files left out; see `listing`.

    Raises DatasetError, naming the file, if an image has no label or a name leads elsewhere.
    """
    names = list(names)
    folders = {PurePosixPath(name).parts for name in names if name.endswith("/")}
    names = [name for name in names if not name.endswith("/")]
    skipped: Counter[str] = Counter()
    candidates = []
    for name in names:
        path = PurePosixPath(name)
        if any(map(_is_hidden, path.parts)):
            skipped["hidden"] += 1
        elif any(part.startswith("_") for part in path.parts):
            skipped["of a name, or in a folder, that begins with an underscore"] += 1
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
    folders |= {PurePosixPath(name).parts[:-1] for name in names}
    empty = _empty(root, folders, set(by_class))
    return Listing(where, by_class, dict(skipped), _seen(names), empty)


def _root(names: Iterable[str]) -> tuple[str, ...]:
    """Return () or the one folder that holds train/ or test/, as many archives have it."""
    parts = [PurePosixPath(name).parts for name in names]
    if any(found[0] in PARTS for found in parts):
        return ()
    around = {found[0] for found in parts if found[1:2] and found[1] in PARTS}
    return tuple(around) if len(around) == 1 else ()


def _empty(
    root: tuple[str, ...], folders: Iterable[tuple[str, ...]], classes: Collection[tuple[str, str]]
) -> tuple[str, ...]:
    """Return the folders of train/ and test/ without an image, but for hidden ones."""
    length = len(root) + 2
    found = {
        folder[len(root) : length]
        for folder in folders
        if folder[: len(root)] == root and len(folder) >= length and folder[length - 2] in PARTS
    }
    return tuple(
        f"{part}/{name}"
        for part, name in sorted(found)
        if not (_is_hidden(name) or name.startswith("_"))
        and (part, unicodedata.normalize("NFC", name)) not in classes
    )


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
            shown = _plain(f"{part}/{name}")
            raise DatasetError(f"{where}: class {shown} has no images under train/; {found.seen}")
    for name in classes:
        if ("test", name) not in found.images:
            raise DatasetError(
                f"{where}: class {_shown(name)} has no images under test/; {found.seen}"
            )
    if found.empty:
        raise DatasetError(
            f"{where}: no images in {', '.join(map(_shown, found.empty))}, which stand where a "
            f"class does; remove them, or put images of the layout {LAYOUT} there"
        )


def _plain(name: str) -> str:
    """Return a name as it is, or as `_shown` if a reader could not see where it ends."""
    return name if name.isascii() and name == name.strip() else _shown(name)


def _shown(name: str) -> str:
    """Return a name in quotes; where a reader could take it for another, also in ASCII."""
    return repr(name) if name.isascii() else f"{name!r} ({name!a})"


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

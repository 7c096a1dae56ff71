"""Where images come from: a folder or zip of images per class, or torchvision's CIFAR-10.

Each source is one function from a path to `RawImages`; `dataset` splits and prepares them.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg")
OTHER_SUFFIXES = (".bmp", ".gif", ".tif", ".tiff", ".webp")
MAX_SIDE = 1024
MAX_FILE_BYTES = 10_000_000
MAX_PIXEL_BYTES = 2**31  # of all images together; networks see four times as many
HOW_TO_GET = (
    "Ways to get images: `dataset: {source: embedded}` uses the subset that comes with ticketlens; "
    "`source: torchvision` downloads CIFAR-10 into `path`; `source: folder` reads any directory or "
    ".zip in the layout {train,test}/<class>/*.png|jpg given as `path`."
)


class DatasetError(ValueError):
    """Images are missing, damaged or unusable; the message says where and what to do."""


@dataclass(frozen=True)
class RawImages:
    """Images as found: uint8 (n, height, width, channels), labels int64 indexing `classes`."""

    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def folder(path: str | os.PathLike) -> RawImages:
    """Read `{train,test}/<class>/*.{png,jpg}` from a directory or a .zip.

    Classes are sorted by name, files within a class in natural order. The first image decides on
    size and on grey (1 channel) or colour (3); all must have that size.
    Raises DatasetError naming the first file or folder that does not fit.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder. {HOW_TO_GET}")
    if path.is_dir():
        return _read_tree(str(path), _folder_entries(path), lambda name: _file(path, name))
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path}: neither a folder nor a readable .zip ({error})") from error
    with archive:
        names = dict.fromkeys(info.filename for info in archive.infolist())
        entries = [name for name in names if not name.endswith("/")]
        return _read_tree(str(path), entries, lambda name: _zip_member(archive, name, path))


def torchvision_cifar10(path: str | os.PathLike) -> RawImages:
    """Read CIFAR-10 (Krizhevsky 2009) from `path`, downloaded and checked by torchvision.

    Raises DatasetError if it can neither be found nor downloaded.
    """
    cifar10 = _torchvision_cifar10_class()
    try:
        parts = {
            part: cifar10(root=os.fspath(path), train=part == "train", download=True)
            for part in PARTS
        }
    except (OSError, RuntimeError) as error:
        raise DatasetError(
            f"{path}: torchvision could not get CIFAR-10 ({error}). {HOW_TO_GET}"
        ) from error
    return RawImages(
        classes=tuple(parts["train"].classes),
        train_images=np.ascontiguousarray(parts["train"].data),
        train_labels=np.asarray(parts["train"].targets, dtype=np.int64),
        test_images=np.ascontiguousarray(parts["test"].data),
        test_labels=np.asarray(parts["test"].targets, dtype=np.int64),
    )


SOURCES: dict[str, Callable[[str | os.PathLike], RawImages]] = {
    "embedded": folder,
    "folder": folder,
    "torchvision": torchvision_cifar10,
}


def _torchvision_cifar10_class() -> type:
    """Import torchvision's CIFAR10, also where its compiled operators do not load.

    Linux wheels of torchvision from the package index are built against CUDA. Beside a CPU build
    of torch their operators stay unloaded, and the import stops where it registers a fake kernel
    for the operators `nms` and `qnms`, which then do not exist. Reading a data set needs none of
    them, so they are declared here, without an implementation.
    """
    import torch

    try:
        from torchvision.datasets import CIFAR10
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import sys

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        from torchvision.datasets import CIFAR10

        CIFAR10._operator_declarations = library  # they vanish with the library object
    return CIFAR10


def _folder_entries(path: Path) -> list[str]:
    return [
        file.relative_to(path).as_posix()
        for part in PARTS
        for file in sorted((path / part).rglob("*"))
        if not file.is_dir()
    ]


def _file(path: Path, name: str) -> bytes:
    if not (path / name).is_file():
        raise DatasetError(f"{path}: {name} is no file (a broken link, a pipe)")
    _check_size(path, name, (path / name).stat().st_size)
    return (path / name).read_bytes()


def _zip_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    info = archive.getinfo(name)
    _check_size(path, name, info.file_size)
    try:
        return archive.read(info)
    except MemoryError:
        raise
    except Exception as error:  # zipfile lets its decompressors' own exceptions through
        raise DatasetError(f"{path}: {name} cannot be unpacked ({error})") from error


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise DatasetError(
            f"{path}: {name} claims {size:,} bytes; too large for an image (at most "
            f"{MAX_FILE_BYTES:,})"
        )


def is_hidden(name: PurePosixPath) -> bool:
    """Whether a file is none of the images but what systems leave: a dot or `_` comes first."""
    return any(part.startswith((".", "_")) for part in name.parts)


def _read_tree(where: str, entries: list[str], load: Callable[[str], bytes]) -> RawImages:
    files: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        parts = PurePosixPath(entry).parts
        if not parts or parts[0] == "/" or ".." in parts or not entry.isprintable():
            raise DatasetError(
                f"{where}: {entry!r} is not a name for an image: it leads elsewhere, or cannot be "
                "printed"
            )
        suffix = PurePosixPath(entry).suffix.lower()
        if (
            parts[0] not in PARTS
            or is_hidden(PurePosixPath(entry))
            or suffix not in (*SUFFIXES, *OTHER_SUFFIXES)
        ):
            continue
        if len(parts) != 3 or suffix in OTHER_SUFFIXES:
            raise DatasetError(
                f"{where}: {entry} is not in the layout {{train,test}}/<class>/*.png|jpg: an image "
                "without a label, or of another format"
            )
        files.setdefault((parts[0], parts[1]), []).append(entry)
    classes = tuple(sorted({name for part, name in files if part == "train"}))
    if len(classes) < 2:
        raise DatasetError(
            f"{where}: {len(classes)} classes with images found under train/; expected the layout "
            f"{{train,test}}/<class>/*.png|jpg with at least 2 classes. {HOW_TO_GET}"
        )
    for part, name in sorted(files):
        if name not in classes:
            raise DatasetError(f"{where}: class {part}/{name} has no images under train/")
    for name in classes:
        if ("test", name) not in files:
            raise DatasetError(f"{where}: class {name!r} has no images under test/")
    reader = _ImageReader(where, load, sum(map(len, files.values())))
    arrays = {}
    for part in PARTS:
        names = [
            (entry, label)
            for label, name in enumerate(classes)
            for entry in sorted(sorted(files[part, name]), key=_natural)
        ]
        arrays[f"{part}_images"] = np.stack([reader(entry) for entry, _ in names])
        arrays[f"{part}_labels"] = np.array([label for _, label in names], dtype=np.int64)
    return RawImages(classes=classes, **arrays)


class _ImageReader:
    """Decode images to uint8 (height, width, channels); the first one sets the shape."""

    def __init__(self, where: str, load: Callable[[str], bytes], count: int) -> None:
        self.where, self.load, self.count, self.mode, self.size = where, load, count, None, None

    def __call__(self, name: str) -> np.ndarray:
        content = io.BytesIO(self.load(name))
        try:
            with Image.open(content, formats=("PNG", "JPEG")) as image:
                if self.size is None:
                    self.mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
                    self.size = image.size
                if image.size != self.size or max(image.size) > MAX_SIDE:
                    raise DatasetError(
                        f"{self.where}: {name} is {image.size[0]}×{image.size[1]} pixels; expected "
                        f"{self.size[0]}×{self.size[1]} as the first image, at most {MAX_SIDE}"
                    )
                total = self.count * self.size[0] * self.size[1] * (1 if self.mode == "L" else 3)
                if total > MAX_PIXEL_BYTES:
                    raise DatasetError(
                        f"{self.where}: {self.count} images of {self.size[0]}×{self.size[1]} "
                        f"pixels take {total:,} bytes; allowed: at most {MAX_PIXEL_BYTES:,}"
                    )
                if image.mode.startswith(("I", "F")):  # Pillow would clip, not scale
                    raise DatasetError(
                        f"{self.where}: {name} has more than 8 bits a channel; convert it to 8"
                    )
                pixels = np.asarray(image.convert(self.mode), dtype=np.uint8)
        except (DatasetError, MemoryError):
            raise
        except Exception as error:  # PIL raises many kinds on damaged files
            raise DatasetError(f"{self.where}: {name} is not a readable image ({error})") from error
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order img2 before img10; numbers as texts, as int() takes 4300 digits at most."""
    pieces = [piece for piece in re.split(r"([0-9]+)", name) if piece]
    digits = [piece.lstrip("0") if piece.isdecimal() else None for piece in pieces]
    return [
        (1, 0, piece) if number is None else (0, len(number), number)
        for piece, number in zip(pieces, digits, strict=True)
    ]

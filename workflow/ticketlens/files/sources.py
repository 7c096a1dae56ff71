"""Where images come from: a folder or zip of images per class, or torchvision's CIFAR-10.

Each source is one function from a path to `RawImages`; `dataset` splits and prepares them.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ticketlens.files import idx
from ticketlens.files.image_folder import (
    HOW_TO_GET,
    PARTS,
    DatasetError,
    Listing,
    check_classes,
    listed,
    listing,
    opened_zip,
    zip_names,
)

MAX_SIDE = 1024
FORMATS = ("PNG", "JPEG")
GREY = ("1", "L", "LA")  # modes of Pillow
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX")
ORIENTATION = 0x0112  # the EXIF tag
PNG_BITS_AT = 24  # in the header chunk, which is the first
MAX_FILE_BYTES = 10_000_000
MAX_PIXEL_BYTES = 2**31  # of all images together; networks see four times as many


@dataclass(frozen=True)
class RawImages:
    """Images as found: uint8 (n, height, width, channels), labels int64 indexing `classes`.

    `left_out` counts what was not taken: files by reason, and properties of images.
    """

    classes: tuple[str, ...]
    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)


def folder(path: str | os.PathLike[str]) -> RawImages:
    """Read `{train,test}/<class>/*.{png,jpg}` from a directory or a .zip.

    Classes are sorted by name, files within a class in natural order. Links are followed, `~`
    expands, one folder around the layout is taken. The images are in colour (3 channels) if any of
    them is, else grey (1 channel); all must have the size of the first. Transparency is dropped and
    EXIF orientation is not applied: both are counted.
    Raises DatasetError naming the first file or folder that does not fit.
    """
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        return _read_images(listing(path), lambda name: _file(path, name))
    with opened_zip(path) as archive:
        names = zip_names(archive, path)
        found = listed(str(path), names)
        return _read_images(found, lambda name: _zip_member(archive, names[name], path))


def first_shape(path: Path) -> tuple[int, int, int]:
    """Return (height, width, channels) of the images of a directory or .zip, by a few headers.

    One image of each class and part is looked at: they are in colour if any of them is. Raises
    DatasetError if there is none or one cannot be read.
    """
    listed = listing(path)
    chosen = [names[0] for names in listed.images.values()]
    if not chosen:
        raise DatasetError(f"{path}: no images; {listed.seen}")
    if path.is_dir():
        shapes = [_shape(path, name, _file(path, name)) for name in chosen]
    else:
        with opened_zip(path) as archive:
            members = zip_names(archive, path)
            shapes = [
                _shape(path, name, _zip_member(archive, members[name], path)) for name in chosen
            ]
    height, width, _ = shapes[0]
    return height, width, max(channels for *_, channels in shapes)


def _shape(path: Path, name: str, content: bytes) -> tuple[int, int, int]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.height, image.width, 1 if image.mode in GREY else 3
    except Exception as error:  # PIL raises many kinds on damaged files
        raise _unreadable(f"{path}: {name}", content, error) from error


def _unreadable(name: str, content: bytes, error: Exception) -> DatasetError:
    """Return what is wrong with a file that is no image; Pillow's own text names an address."""
    if isinstance(error, UnidentifiedImageError):
        error = ValueError(f"neither PNG nor JPEG, whatever its name; {len(content):,} bytes")
    return DatasetError(f"{name} is not a readable image ({error})")


def torchvision_cifar10(path: str | os.PathLike[str]) -> RawImages:
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


@dataclass(frozen=True)
class Published:
    """A published data set: images of its parts, their (height, width, channels), its class."""

    title: str
    train: int
    test: int
    shape: tuple[int, int, int]
    name: str


PUBLISHED = {
    "torchvision": Published("CIFAR-10", 50_000, 10_000, (32, 32, 3), "CIFAR10"),
    "cifar100": Published("CIFAR-100", 50_000, 10_000, (32, 32, 3), "CIFAR100"),
    "mnist": Published("MNIST", 60_000, 10_000, (28, 28, 1), "MNIST"),
    "fashion-mnist": Published("Fashion-MNIST", 60_000, 10_000, (28, 28, 1), "FashionMNIST"),
}
"""What torchvision downloads, by the name of the source."""


def published(source: str) -> Callable[[str | os.PathLike[str]], RawImages]:
    """Return the reader of a published data set. Its errors are DatasetErrors."""
    known = PUBLISHED[source]

    def read(path: str | os.PathLike[str]) -> RawImages:
        dataset = _torchvision_class(known.name)
        try:
            parts = {
                part: dataset(root=os.fspath(path), train=part == "train", download=True)
                for part in PARTS
            }
        except (OSError, RuntimeError) as error:
            raise DatasetError(
                f"{path}: torchvision could not get {known.title} ({error}). {HOW_TO_GET}"
            ) from error
        images = {part: np.asarray(found.data, dtype=np.uint8) for part, found in parts.items()}
        return RawImages(
            tuple(str(name) for name in parts["train"].classes),
            *(
                cast(Any, array)
                for part in PARTS
                for array in (
                    np.ascontiguousarray(images[part].reshape(-1, *known.shape)),
                    np.asarray(parts[part].targets, dtype=np.int64),
                )
            ),
        )

    return read


def idx_folder(path: str | os.PathLike[str]) -> RawImages:
    """Read MNIST's four IDX files, or others of their form, from a folder; classes are numbers.

    Raises DatasetError naming the file that does not fit.
    """
    train, test = (idx.read_part(path, part) for part in ("train", "test"))
    labels = np.concatenate([train[1], test[1]])
    if labels.size == 0 or train[0].shape[1:] != test[0].shape[1:]:
        raise DatasetError(f"{path}: no images, or of two sizes in train and test")
    return RawImages(tuple(str(n) for n in range(int(labels.max()) + 1)), *train, *test)


SOURCES: dict[str, Callable[[str | os.PathLike[str]], RawImages]] = {
    "embedded": folder,
    "folder": folder,
    "torchvision": torchvision_cifar10,
    "cifar100": published("cifar100"),
    "mnist": published("mnist"),
    "fashion-mnist": published("fashion-mnist"),
    "idx": idx_folder,
}


def _torchvision_cifar10_class() -> type:
    """Return torchvision's CIFAR10."""
    return _torchvision_class("CIFAR10")


def _torchvision_class(name: str) -> type:
    """Import a data set of torchvision, also where its compiled operators do not load.

    Linux wheels of torchvision from the package index are built against CUDA. Beside a CPU build
    of torch their operators stay unloaded, and the import stops where it registers a fake kernel
    for the operators `nms` and `qnms`, which then do not exist. Reading a data set needs none of
    them, so they are declared here, without an implementation.
    """
    import torch

    try:
        from torchvision import datasets
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import sys

        for module in [found for found in sys.modules if found.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        from torchvision import datasets

        datasets._operator_declarations = library  # they vanish with the library object
    return cast(
        type,
        {
            "CIFAR10": datasets.CIFAR10,
            "CIFAR100": datasets.CIFAR100,
            "MNIST": datasets.MNIST,
            "FashionMNIST": datasets.FashionMNIST,
        }[name],
    )


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


def _read_images(found: Listing, load: Callable[[str], bytes]) -> RawImages:
    check_classes(found)
    reader = _ImageReader(found.where, load, sum(found.counts.values()))
    images: dict[str, list[npt.NDArray[np.uint8]]] = {part: [] for part in PARTS}
    labels: dict[str, list[int]] = {part: [] for part in PARTS}
    for part in PARTS:
        for label, name in enumerate(found.classes):
            for entry in sorted(sorted(found.images[part, name]), key=_natural):
                images[part].append(reader(entry))
                labels[part].append(label)
    arrays = {f"{part}_images": _stacked(images[part], reader.is_colour) for part in PARTS}
    for part in PARTS:
        arrays[f"{part}_labels"] = np.array(labels[part], dtype=np.int64)
    left_out = {**found.skipped, **reader.ignored}
    return RawImages(classes=found.classes, **cast(dict[str, Any], arrays), left_out=left_out)


def _stacked(images: list[npt.NDArray[np.uint8]], is_colour: bool) -> npt.NDArray[np.uint8]:
    """Stack (height, width, channels) images, grey ones as grey colours if there are colours."""
    count = 3 if is_colour else 1
    return np.stack([
        image if image.shape[2] == count else np.repeat(image, count, axis=2) for image in images
    ])  # fmt: skip


class _ImageReader:
    """Decode images to uint8 (height, width, 1 or 3); the first one sets the size."""

    def __init__(self, where: str, load: Callable[[str], bytes], count: int) -> None:
        self.where, self.load, self.count = where, load, count
        self.size: tuple[int, int] | None = None
        self.is_colour = False
        self.ignored: Counter[str] = Counter()

    def __call__(self, name: str) -> npt.NDArray[np.uint8]:
        content = self.load(name)
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                self._check(name, image)
                is_grey = image.mode in GREY
                self.is_colour |= not is_grey
                self._count_ignored(image, content)
                pixels = np.asarray(image.convert("L" if is_grey else "RGB"), dtype=np.uint8)
        except (DatasetError, MemoryError):
            raise
        except Exception as error:  # PIL raises many kinds on damaged files
            raise _unreadable(f"{self.where}: {name}", content, error) from error
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    def _count_ignored(self, image: Image.Image, content: bytes) -> None:
        """Count what an image has and uint8 pixels of grey or colour do not."""
        if image.has_transparency_data:
            self.ignored["images with transparency, which was dropped"] += 1
        if image.getexif().get(ORIENTATION, 1) != 1:
            self.ignored["images with an EXIF orientation, which was not applied"] += 1
        if getattr(image, "n_frames", 1) > 1:
            self.ignored["images with several frames, of which the first was taken"] += 1
        if image.mode not in (*GREY, *COLOUR):
            self.ignored["images of other colours than RGB, converted without a profile"] += 1
        # Pillow (12.0) opens colours of 16 bits as RGB, and does not say so but for the raw mode.
        if image.format == "PNG" and content[PNG_BITS_AT] == 16:
            self.ignored["images of 16 bits a channel, of which the higher 8 were taken"] += 1

    def _check(self, name: str, image: Image.Image) -> None:
        """Raise DatasetError if an image has another size than the first, or is too large."""
        if self.size is None:
            self.size = image.size
        if image.size != self.size or max(image.size) > MAX_SIDE:
            raise DatasetError(
                f"{self.where}: {name} is {image.size[0]}×{image.size[1]} pixels; expected "
                f"{self.size[0]}×{self.size[1]} as the first image, at most {MAX_SIDE}"
            )
        channels = 1 if image.mode in GREY and not self.is_colour else 3
        total = self.count * self.size[0] * self.size[1] * channels
        if total > MAX_PIXEL_BYTES:
            raise DatasetError(
                f"{self.where}: {self.count} images of {self.size[0]}×{self.size[1]} pixels take "
                f"{total:,} bytes; allowed: at most {MAX_PIXEL_BYTES:,}"
            )
        if image.mode.startswith(("I", "F")):  # Pillow would clip, not scale
            raise DatasetError(
                f"{self.where}: {name} has more than 8 bits a channel; convert it to 8"
            )


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order img2 before img10; numbers as texts, as int() takes 4300 digits at most."""
    pieces = [piece for piece in re.split(r"([0-9]+)", name) if piece]
    digits = [piece.lstrip("0") if piece.isdecimal() else None for piece in pieces]
    return [
        (1, 0, piece) if number is None else (0, len(number), number)
        for piece, number in zip(pieces, digits, strict=True)
    ]

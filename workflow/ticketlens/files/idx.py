"""IDX files, the format of MNIST: a folder of four, with or without .gz."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from ticketlens.files.image_folder import DatasetError

MAX_BYTES = 2**31
PREFIXES = {"train": "train", "test": "t10k"}
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_BYTES = 0x08  # the type code of unsigned bytes


def read_part(
    folder: str | os.PathLike[str], part: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return images (n, height, width, 1) and labels (n,) of `train` or `test`.

    Raises DatasetError naming the file that is missing, cut off, or not of unsigned bytes.
    """
    images, labels = (_read(find(folder, part, kind), kind) for kind in (IMAGES, LABELS))
    if len(images) != len(labels):
        raise DatasetError(f"{folder}: {len(images)} {part} images, {len(labels)} labels")
    return images[..., None], labels.astype(np.int64)


def shape(folder: str | os.PathLike[str], part: str) -> tuple[int, int, int]:
    """Return (n, height, width) of a part, by the header of its file alone.

    Raises DatasetError, naming folder and part, if images and labels differ in number.
    """
    path = find(folder, part, IMAGES)
    try:
        with _open(path) as file:
            sizes = _header(path, file.read(16), 3)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: not a readable IDX file ({error})") from error
    return sizes[0], sizes[1], sizes[2]


def find(folder: str | os.PathLike[str], part: str, kind: str) -> Path:
    """Return the file of a part; names with a dot for a dash are taken too.

    Raises DatasetError, naming the file, if it is not there.
    """
    folder = Path(os.path.expanduser(folder))
    for name in (f"{PREFIXES[part]}-{kind}", f"{PREFIXES[part]}-{kind.replace('-idx', '.idx')}"):
        for suffix in ("", ".gz"):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    raise DatasetError(
        f"{folder}: {PREFIXES[part]}-{kind} is not there, nor with .gz: `source: idx` reads a "
        "folder of MNIST's four files"
    )


def digest(folder: str | os.PathLike[str]) -> str:
    """Return one SHA-256 of the four files' bytes; empty where one is missing."""
    sha256 = hashlib.sha256()
    try:
        for part in PREFIXES:
            for kind in (IMAGES, LABELS):
                sha256.update(find(folder, part, kind).read_bytes())
    except (DatasetError, OSError):
        return ""
    return sha256.hexdigest()


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else open(path, "rb")


def _read(path: Path, kind: str) -> npt.NDArray[np.uint8]:
    dimensions = 3 if kind == IMAGES else 1
    try:
        with _open(path) as file:
            sizes = _header(path, file.read(4 + 4 * dimensions), dimensions)
            total = int(np.prod([int(size) for size in sizes], dtype=object))
            if total > MAX_BYTES:
                raise DatasetError(f"{path}: says {sizes}; at most {MAX_BYTES} bytes")
            content = file.read(total + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: not a readable IDX file ({error})") from error
    if len(content) != total:
        raise DatasetError(f"{path}: holds other than the {total} bytes that its header says")
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _header(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    if len(header) < 4 + 4 * dimensions or header[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise DatasetError(f"{path}: not an IDX file of unsigned bytes in {dimensions} dimensions")
    return tuple(int(size) for size in np.frombuffer(header[4:], ">u4", dimensions))

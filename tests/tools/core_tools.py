"""Tools of the core's tests: generated images, comparisons by bits, damaged copies."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def write_images(
    folder: Path,
    train: int = 4,
    test: int = 2,
    size: tuple[int, int] = (6, 6),
    classes: tuple[str, ...] = CLASSES,
    mode: str = "RGB",
) -> Path:
    """Write `{train,test}/<class>/<number>.png` of noise; each class has its own brightness."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for label, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
                pixels = rng.integers(0, 160, shape) + 30 * label
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / part / name / f"{number}.png")
    return folder


def zipped(path: Path, archive: Path, prefix: str = "") -> Path:
    """Pack a folder into a zip, below a prefix; return the zip."""
    with zipfile.ZipFile(archive, "w") as file:
        for member in sorted(path.rglob("*")):
            file.write(member, prefix + member.relative_to(path).as_posix())
    return archive


def png(width: int, height: int, depth: int = 8, rows: bytes = b"", colour: int = 0) -> bytes:
    """Return the bytes of a PNG, grey (colour 0) or RGB (2), whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays agree in shape, type and every bit (so that 0.0 is not −0.0)."""
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def edited_copy(path: Path, copy: Path, edit: Callable[[h5py.File], object]) -> Path:
    """Copy an HDF5 file and change the copy by another program's means; return the copy."""
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        edit(file)
    return copy


def kernels() -> list[str]:
    """Return the kernels that this PyTorch has."""
    from ticketlens.networks import KERNELS, linear_kernel

    def works(name: str) -> bool:
        with suppress(ValueError):
            return bool(linear_kernel(name))
        return False

    return [name for name in KERNELS if works(name)]

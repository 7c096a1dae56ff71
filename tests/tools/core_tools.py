"""Tools of the core's tests: generated image folders, comparisons by bits, damaged copies."""

from __future__ import annotations

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

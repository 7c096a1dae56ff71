"""HDF5 files that are safe to open: sealed when written, no links followed, no absurd sizes.

HDF5 guards its metadata and, on request, its chunks by checksums, but not the heap that holds text
attributes, and one flipped bit there can keep the library busy for ever. So a file ends in a seal,
the SHA-256 of all bytes before it, which is compared before HDF5 sees the file. HDF5 ignores what
follows the end that a file states; a program that edits the file drops the seal, and from then on
the checksums inside must do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ticketlens.atomic import replacing

SEAL = b"\nticketlens-sha256:"
SEAL_BYTES = len(SEAL) + 64


class DamagedError(ValueError):
    """A file is not what was written, or holds what it should not; callers add the path."""


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Yield a new file that replaces `path`, sealed, once it is whole (see `atomic`)."""
    with replacing(path) as temporary:
        with h5py.File(temporary, "w", libver="latest") as file:
            yield file
        with open(temporary, "r+b") as raw:
            digest = hashlib.file_digest(raw, "sha256")
            raw.seek(0, os.SEEK_END)
            raw.write(SEAL + digest.hexdigest().encode())


@contextmanager
def reading(path: str | os.PathLike, error: type[Exception], advice: str) -> Iterator[h5py.File]:
    """Yield the file open for reading, its seal compared; let `error` speak for what goes wrong.

    Whatever is raised in the block becomes an `error` that names `path` and gives `advice`; an
    `error` passes as it is. Raises FileNotFoundError if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        check_seal(path)
        with h5py.File(path, "r") as file:
            yield file
    except error:
        raise
    except DamagedError as problem:
        raise error(f"{path}: damaged or foreign: {problem}; {advice}") from problem
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"
        raise error(f"{path}: damaged or foreign ({what}); {advice}") from problem


def check_seal(path: str | os.PathLike) -> None:
    """Raise DamagedError if the file has a seal and its bytes do not match it."""
    content = Path(path).read_bytes()
    body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
    if seal.startswith(SEAL) and seal != SEAL + hashlib.sha256(body).hexdigest().encode():
        raise DamagedError("the bytes are not those that were written")


def write_array(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    """Store with a checksum. HDF5 filters need chunks, hence a 0-d array becomes shape (1,)."""
    array = np.atleast_1d(array)
    return group.create_dataset(
        name, data=array, chunks=True, compression="gzip", compression_opts=1, shuffle=True,
        fletcher32=True,
    )  # fmt: skip


def attribute(file: h5py.File, name: str, kind: type) -> Any:
    """Return a root attribute of type int or str. Raises DamagedError if it is not there."""
    if name not in file.attrs:
        raise DamagedError(f"root attribute {name!r} is missing")
    value = file.attrs[name]
    if kind is int and isinstance(value, np.integer):
        return int(value)
    if kind is str and isinstance(value, str):
        return value
    raise DamagedError(f"root attribute {name!r} is not of type {kind.__name__}")


def child(parent: h5py.Group, key: str, kind: type) -> Any:
    """Return a group or data set that is in this very file.

    Raises DamagedError if it is missing, of another kind, or a link, which could lead elsewhere.
    """
    if not isinstance(parent.get(key, getlink=True), h5py.HardLink):
        raise DamagedError(f"{parent.name}/{key} is missing or a link")
    found = parent[key]
    if not isinstance(found, kind):
        raise DamagedError(f"{found.name} is not a {kind.__name__}")
    return found


def array(parent: h5py.Group, key: str, dtype: str, largest: int) -> np.ndarray:
    """Return an array of at most `largest` entries of `dtype`, looked at before memory is taken.

    Raises DamagedError if it is not there like that.
    """
    dataset = child(parent, key, h5py.Dataset)
    if dataset.is_virtual or dataset.external:
        raise DamagedError(f"{dataset.name} keeps its data in another file")
    if dataset.dtype != np.dtype(dtype) or dataset.size is None or dataset.size > largest:
        raise DamagedError(
            f"{dataset.name} has {dataset.size} entries of {dataset.dtype}; expected at most "
            f"{largest} of {dtype}"
        )
    return dataset[()]

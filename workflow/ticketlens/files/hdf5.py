"""HDF5 files that are safe to open: sealed when written, no links followed, no absurd sizes.

HDF5 guards its metadata and, on request, its chunks by checksums, but not the heap that holds texts
of variable length, and one flipped bit there can keep the library busy for ever. So a file ends in
a seal, the SHA-256 of all bytes before it, which is compared before HDF5 sees the file. HDF5
ignores what follows the end that a file states; a program that edits the file drops the seal, and
from then on the checksums inside must do. A stranger can seal anything: so files of old layouts,
which have no checksums, are refused, heaps are walked before HDF5 walks them, and types, sizes,
chunks and filters are looked at before memory is taken.

Files are made in memory and written by Python: on a full disk HDF5 fails to say so, and cannot
close the file any more.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from ticketlens.files.atomic import replacing

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SEAL = b"\nticketlens-sha256:"
SEAL_BYTES = len(SEAL) + 64
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
MAX_CHUNKS = 2**16
MAX_COMPRESSED_CHUNK = 2**21  # bytes, twice what h5py chooses: a chunk inflates 1032-fold at most
MAX_TEXTS = 10**4  # in one attribute: all may refer to one and the same
MAX_HEAP = 2**16  # bytes
_HEAP = re.compile(rb"GCOL\x01")


class DamagedError(ValueError):
    """A file is not what was written, or holds what it should not; callers add the path."""


@contextmanager
def writing(path: str | os.PathLike, is_sealed: bool = True) -> Iterator[h5py.File]:
    """Yield a new file that replaces `path`, sealed, once it is whole (see `atomic`).

    With `is_sealed` False there is no seal. Raises OSError as the file system does (disk full).
    """
    name = os.fspath(path)
    with h5py.File(name, "w", libver="latest", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as temporary, open(temporary, "wb") as raw:
        raw.write(image)
        if is_sealed:
            raw.write(seal(image))


def seal(content: bytes) -> bytes:
    """Return what ends a file of this content."""
    return SEAL + hashlib.sha256(content).hexdigest().encode()


@contextmanager
def reading(path: str | os.PathLike, error: type[Exception], advice: str) -> Iterator[h5py.File]:
    """Yield the file open for reading, its seal compared; `error` speaks for what is wrong in it.

    What the functions of this module find wrong becomes an `error` that names `path` and gives
    `advice`. All else passes as it is: an OSError says that the file cannot be read (no such file,
    permission denied, a failing disk), which deleting it would not mend.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        check_seal(path)
        check_layout(path)
        with damage():
            file = h5py.File(path, "r", locking=False)  # files are replaced, never changed
        with file:
            yield file
    except DamagedError as problem:
        raise error(f"{path}: damaged or foreign: {printable(problem)}; {advice}") from problem


def printable(text: object) -> str:
    """Return text of a stranger as one short line without control characters."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    return line if len(line) <= 400 else f"{line[:400]}…"


def is_sealed(path: str | os.PathLike) -> bool:
    """Whether a file ends in a seal, right or wrong."""
    with open(path, "rb") as raw:
        return _tail(raw).startswith(SEAL)


def check_seal(path: str | os.PathLike, must_be_there: bool = False) -> None:
    """Raise DamagedError if the file has a seal and its bytes do not match it."""
    with open(path, "rb") as raw:
        found = _tail(raw)
        if not found.startswith(SEAL):
            if must_be_there:
                raise DamagedError("the seal at its end is missing")
            return
        raw.seek(0)
        content = memoryview(raw.read())[:-SEAL_BYTES]
    if found != seal(content):
        raise DamagedError("the bytes are not those that were written")


def _tail(raw: BinaryIO) -> bytes:
    """Return what stands where a file has its seal."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(max(0, size - SEAL_BYTES))
    return raw.read()


def check_layout(path: str | os.PathLike) -> None:
    """Raise DamagedError if the file is not HDF5, or of a layout without checksums."""
    with open(path, "rb") as raw:
        start = raw.read(9)
    if start[:8] != SIGNATURE:
        raise DamagedError("not an HDF5 file")
    if start[8:] not in (b"\2", b"\3"):
        raise DamagedError("an HDF5 layout without checksums (h5py: write it with libver='latest')")


def write_array(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    """Store with a checksum. HDF5 filters need chunks, hence a 0-d array becomes shape (1,)."""
    array = np.atleast_1d(array)
    return group.create_dataset(
        name, data=array, chunks=True, compression="gzip", compression_opts=1, shuffle=True,
        fletcher32=True,
    )  # fmt: skip


def attribute(item: h5py.Group | h5py.Dataset, name: str, kind: type) -> Any:
    """Return an attribute of type int, float or str, or (`np.ndarray`) an array of numbers.

    Raises DamagedError if it is not there like that.
    """
    where = "root attribute" if item.name == "/" else f"{item.name}: attribute"
    value = _attribute(item, name, where)
    matches = {
        int: isinstance(value, np.integer),
        float: isinstance(value, np.floating),
        str: isinstance(value, str),
        np.ndarray: isinstance(value, np.ndarray) and value.dtype.kind in "iuf",
    }
    if not matches[kind]:
        raise DamagedError(f"{where} {name!r} is not of type {kind.__name__}")
    return value if kind is np.ndarray else kind(value)


def texts(item: h5py.Group | h5py.Dataset, name: str) -> tuple[str, ...]:
    """Return an attribute that is a list of texts. Raises DamagedError if it is none."""
    value = _attribute(item, name, "attribute")
    if not isinstance(value, list):
        raise DamagedError(f"attribute {name!r} is not a list of texts")
    return tuple(value)


def scalars(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return all attributes: texts, numbers, truth values, lists; None for other types."""
    with damage():
        names = sorted(item.attrs)
    found = {}
    for name in names:
        value = _attribute(item, name, "attribute")
        found[name] = value.item() if isinstance(value, np.generic) else value
    return found


def _attribute(item: h5py.Group | h5py.Dataset, name: str, where: str) -> Any:
    """Return a text, a number, an array of numbers, or a list of texts; else None."""
    with damage():
        if name not in item.attrs:
            raise DamagedError(f"{where} {name!r} is missing")
        stored = item.attrs.get_id(name)
        text = h5py.check_string_dtype(stored.dtype)
        if text is None:
            return item.attrs[name] if stored.dtype.kind in "iufb" else None
        if text.length is not None or stored.shape is None:
            return None
        if prod(stored.shape) > MAX_TEXTS:
            raise DamagedError(f"{where} {name!r} holds {prod(stored.shape)} texts")
        _check_heaps(item.file.filename, os.stat(item.file.filename).st_mtime_ns)
        value = item.attrs[name]
        found = [value] if stored.shape == () else list(value.ravel())
        "".join(found).encode("utf-8")  # h5py lets bytes that are not UTF-8 pass as surrogates
        return value if stored.shape == () else found


def names(group: h5py.Group) -> list[str]:
    """Return the names in a group, sorted."""
    with damage():
        return sorted(group)


def child(parent: h5py.Group, key: str, kind: type) -> Any:
    """Return a group or data set that is in this very file.

    Raises DamagedError if it is missing, of another kind, or a link, which could lead elsewhere.
    """
    with damage():
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
    found = dataset(parent, key, dtype, largest)
    with damage():
        return found[()]


def arrays(parent: h5py.Group, dtype: str, largest: int) -> dict[str, np.ndarray]:
    """Return all arrays of a group, which have at most `largest` entries together."""
    found = {}
    for key in names(parent):
        found[key] = array(parent, key, dtype, largest)
        largest -= found[key].size
    return found


def dataset(parent: h5py.Group, key: str, dtype: str, largest: int) -> h5py.Dataset:
    """Return a data set to read parts from. Raises DamagedError as `array`."""
    found = child(parent, key, h5py.Dataset)
    with damage():
        if found.is_virtual or found.external:
            raise DamagedError(f"{found.name} keeps its data in another file")
        size = None if found.shape is None else prod(found.shape)  # found.size can overflow
        if found.dtype != np.dtype(dtype) or size is None or size > largest:
            raise DamagedError(
                f"{found.name} has {size} entries of {found.dtype}; expected at most "
                f"{largest} of {dtype}"
            )
        _check_storage(found)
    return found


def _check_storage(found: h5py.Dataset) -> None:
    """Raise DamagedError for filters and chunks that no writer of ours uses, such as bombs."""
    pipeline = found.id.get_create_plist()
    filters = [pipeline.get_filter(index)[0] for index in range(pipeline.get_nfilters())]
    if not FILTERS.issuperset(filters) or len(filters) > len(set(filters)):
        raise DamagedError(f"{found.name} uses the HDF5 filters {filters}; known: {FILTERS}")
    if found.chunks is None:
        return
    if any(chunk > size for chunk, size in zip(found.chunks, found.shape, strict=True)):
        raise DamagedError(f"{found.name} has chunks {found.chunks}, more than {found.shape}")
    count = prod(-(-size // chunk) for size, chunk in zip(found.shape, found.chunks, strict=True))
    if count > MAX_CHUNKS:
        raise DamagedError(f"{found.name} has {count} chunks; expected at most {MAX_CHUNKS}")
    if h5py.h5z.FILTER_DEFLATE in filters:
        chunk_bytes = prod(found.chunks) * found.dtype.itemsize
        stored = found.id.get_storage_size()
        if max(chunk_bytes, stored / max(1, count)) > MAX_COMPRESSED_CHUNK:
            raise DamagedError(f"{found.name} has chunks of {max(chunk_bytes, stored)} bytes")


@functools.lru_cache(maxsize=16)
def _check_heaps(path: str, _time: int) -> None:
    """Raise DamagedError if an object of a heap leads nowhere: HDF5 would follow it for ever."""
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start in (match.start() for match in _HEAP.finditer(content)):
            size = int.from_bytes(content[start + 8 : start + 16], "little")
            if size > len(content) - start:
                continue  # not a heap, but data that look like one; HDF5 refuses to read beyond
            if size > MAX_HEAP:
                raise DamagedError(f"a heap of {size} bytes; expected at most {MAX_HEAP}")
            heap, at = content[start : start + size], 16
            while at + 16 <= size:
                index = int.from_bytes(heap[at : at + 2], "little")
                length = int.from_bytes(heap[at + 8 : at + 16], "little")
                step = 16 + -(-length // 8) * 8 if index else length  # 0: what is free, to the end
                if step < 16 or at + step > size:
                    raise DamagedError("the heap of texts is not sound")
                at += step


@contextmanager
def damage() -> Iterator[None]:
    """Let what HDF5 says of a file's content become a DamagedError; errors of the system pass."""
    try:
        yield
    except DamagedError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise DamagedError(f"OSError: {error}") from error
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error

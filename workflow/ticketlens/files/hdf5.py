"""HDF5 files that are safe to open: sealed when written, no links followed, no absurd sizes.

HDF5 guards its metadata and, on request, its chunks by checksums, but not the heap that holds texts
of variable length, and one flipped bit there can keep the library busy for ever. So a file ends in
a seal, the SHA-256 of all bytes before it, which is compared before HDF5 sees the file. HDF5
ignores what follows the end that a file states; a program that edits the file drops the seal, and
from then on the checksums inside must do. A stranger can seal anything: so files of old layouts,
which have no checksums, are refused, heaps are walked before HDF5 walks them, and types, sizes,
chunks and filters are looked at before memory is taken.

Files are made in memory and written by Python: on a full disk HDF5 fails to say so, and cannot
close the file any more. They are read through a Python file, too: that takes no locks, which some
file systems lack, and does not mind if this process has the file open elsewhere. The format is that
of HDF5 1.10, whatever version writes: with `libver="latest"`, HDF5 2.0 writes files that no 1.x
can open. Nothing in a file tells when it was made: the same content is the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import h5py
import numpy as np

from ticketlens.files.atomic import replacing
from ticketlens.files.damaged import (
    IN_LFS,
    LFS,
    DamagedError,
    ElsewhereError,
    InUseError,
    NewerError,
    damage,
    printable,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SEAL = b"\nticketlens-sha256:"
SEAL_BYTES = len(SEAL) + 64
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
MAX_CHUNKS = 2**16
MAX_COMPRESSED_CHUNK = 2**21  # bytes, twice what h5py chooses: a chunk inflates 1032-fold at most
MAX_TEXTS = 10**4  # in one attribute: all may refer to one and the same
MAX_HEAP = 2**16  # bytes
MAX_ARRAYS = 1000  # in one group
LIBVER = ("v110", "v110")  # from HDF5 1.10 on, all versions read it
NEWEST_SUPERBLOCK = 3
_HEAP = re.compile(rb"GCOL\x01")  # the signature of a heap of texts
_BLOCK = 2**20
_FLAGS_AT, _OPEN_FOR_WRITING = 11, 0b101  # in the superblock: write access, and SWMR


@contextmanager
def writing(path: str | os.PathLike[str], is_sealed: bool = True) -> Iterator[h5py.File]:
    """Yield a new file that replaces `path`, sealed, once it is whole (see `atomic`).

    With `is_sealed` False there is no seal. Raises OSError as the file system does (disk full).
    """
    memory = io.BytesIO()  # as h5py's own driver for memory returns nothing before h5py 3.16
    with _new_file(memory) as file:
        yield file
    with replacing(path) as temporary, open(temporary, "wb") as raw, memory.getbuffer() as image:
        raw.write(image)
        if is_sealed:
            raw.write(seal(image))


def _new_file(memory: io.BytesIO) -> h5py.File:
    """Return `h5py.File(memory, "w", libver=LIBVER)`, whose root group notes no time."""
    creation = _without_times(h5py.h5p.FILE_CREATE)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_libver_bounds(*(getattr(h5py.h5f, f"LIBVER_{name.upper()}") for name in LIBVER))
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, memory)
    return h5py.File(h5py.h5f.create(b"memory", h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access))


def new_group(parent: h5py.Group, path: str) -> h5py.Group:
    """Return a new group; of `a/b`, both are made where they are not there.

    For `create_group`, which lets HDF5 before 2.0 note the second: then no two files are the same.
    """
    *above, name = path.split("/")
    for part in above:
        parent = parent[part] if part in parent else new_group(parent, part)
    creation = _without_times(h5py.h5p.GROUP_CREATE)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode(), gcpl=creation))


def _without_times(kind: h5py.h5p.PropClassID) -> h5py.h5p.PropOCID:
    """Return how to create what notes no time, as nothing does by itself since HDF5 2.0."""
    creation = h5py.h5p.create(kind)
    creation.set_obj_track_times(False)
    return creation


def seal(content: bytes | memoryview) -> bytes:
    """Return what ends a file of this content."""
    return SEAL + hashlib.sha256(content).hexdigest().encode()


@contextmanager
def reading(
    path: str | os.PathLike[str], error: type[Exception], advice: str
) -> Iterator[h5py.File]:
    """Yield the file open for reading, its seal compared; `error` speaks for what is wrong in it.

    What these functions find wrong becomes an `error` that names `path` and gives
    `advice`, but for three: a file of a newer HDF5, one that is open for writing, and a pointer of
    Git LFS are not called damaged. All else passes as it is. Raises OSError if the file cannot be
    read (permission denied, a failing disk), which deleting it would not fix, and FileNotFoundError
    if it is not there.
    """
    if not Path(path).is_file():
        what = "no file, but a folder or a pipe" if Path(path).exists() else "no such file"
        raise FileNotFoundError(f"{path}: {what}")
    is_in_use = False
    try:
        with open(path, "rb") as raw:
            is_in_use = _is_open_for_writing(raw)
            _check_seal(raw)
            _check_layout(raw)
            _check_heaps(raw)
            with damage():
                file = h5py.File(raw, "r")
            with file:
                yield file
    except NewerError as problem:
        raise error(
            f"{path}: written by a newer HDF5 than {h5py.version.hdf5_version}, which is "
            f"installed here ({printable(problem)}); update h5py, or write the file again with "
            f"libver={LIBVER}"
        ) from problem
    except ElsewhereError as problem:
        raise error(f"{path}: {problem}") from problem
    except DamagedError as problem:
        if is_in_use:
            raise error(
                f"{path}: open for writing here or in another program, or not closed by it "
                f"({printable(problem)}); close it there and try again (a program that crashed: "
                "`h5clear -s` of HDF5 marks the file as closed)"
            ) from InUseError(str(problem))
        raise error(f"{path}: damaged or foreign: {printable(problem)}; {advice}") from problem


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Whether a file ends in a seal, right or wrong, that holds: not while it is being changed."""
    with open(path, "rb") as raw:
        return _tail(raw).startswith(SEAL) and not _is_open_for_writing(raw)


def check_seal(path: str | os.PathLike[str], must_be_there: bool = False) -> None:
    """Raise DamagedError if the file has a seal and its bytes do not match it."""
    with open(path, "rb") as raw:
        _check_seal(raw, must_be_there)


def _check_seal(raw: BinaryIO, must_be_there: bool = False) -> None:
    """As `check_seal`; in a file that is open for writing HDF5 has changed the superblock."""
    found = _tail(raw)
    if not found.startswith(SEAL) or _is_open_for_writing(raw):
        if must_be_there:
            raise DamagedError("the seal at its end is missing")
        return
    left = raw.seek(0, os.SEEK_END) - SEAL_BYTES
    raw.seek(0)
    digest = hashlib.sha256()
    while left and (block := raw.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    if found != SEAL + digest.hexdigest().encode():
        raise DamagedError("the bytes are not those that were written")


def _tail(raw: BinaryIO) -> bytes:
    """Return what stands where a file has its seal."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(max(0, size - SEAL_BYTES))
    return raw.read()


def _is_open_for_writing(raw: BinaryIO) -> bool:
    """Whether the superblock says that a program has the file open for writing."""
    raw.seek(0)
    start = raw.read(_FLAGS_AT + 1)
    return (
        start[:9] == SIGNATURE + b"\3"
        and len(start) > _FLAGS_AT
        and bool(start[_FLAGS_AT] & _OPEN_FOR_WRITING)
    )


def _check_layout(raw: BinaryIO) -> None:
    """Raise DamagedError if the file is not HDF5, or of a layout without checksums."""
    raw.seek(0)
    start = raw.read(len(LFS))
    if start == LFS:
        raise ElsewhereError(IN_LFS)
    if start[:8] != SIGNATURE or len(start) < 9:
        raise DamagedError("not an HDF5 file")
    if start[8] < 2:
        raise DamagedError(
            f"an HDF5 layout without checksums (h5py: write it with libver={LIBVER})"
        )
    if start[8] > NEWEST_SUPERBLOCK:
        raise NewerError(f"superblock of version {start[8]}")


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
        return cast(np.ndarray, found[()])


def arrays(parent: h5py.Group, dtype: str, largest: int) -> dict[str, np.ndarray]:
    """Return all arrays of a group, which have at most `largest` entries together.

    Raises DamagedError also for more than MAX_ARRAYS: each takes a millisecond to open.
    """
    if len(parent) > MAX_ARRAYS:
        raise DamagedError(
            f"{parent.name} holds {len(parent)} arrays; expected at most {MAX_ARRAYS}"
        )
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


def _check_heaps(raw: BinaryIO) -> None:
    """Raise DamagedError if an object of a heap leads nowhere: HDF5 would follow it for ever."""
    with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # A list first: a mapping that a search still holds cannot be closed.
        for start in [found.start() for found in _HEAP.finditer(content)]:
            size = int.from_bytes(content[start + 8 : start + 16], "little")
            # Else not a heap, but data that look like one; HDF5 refuses to read beyond.
            if size <= len(content) - start:
                _check_heap(content[start : start + min(size, MAX_HEAP)], size)


def _check_heap(heap: bytes, size: int) -> None:
    if size > MAX_HEAP:
        raise DamagedError(f"a heap of {size} bytes; expected at most {MAX_HEAP}")
    at = 16
    while at + 16 <= len(heap):
        index = int.from_bytes(heap[at : at + 2], "little")
        length = int.from_bytes(heap[at + 8 : at + 16], "little")
        step = 16 + -(-length // 8) * 8 if index else length  # 0: what is free, to the end
        if step < 16 or at + step > len(heap):
            raise DamagedError("the heap of texts is not sound")
        at += step

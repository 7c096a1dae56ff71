"""Tensors in files of other systems, by name, looked at before memory is taken.

A `Stored` tensor says name, shape and type; `load` reads it alone, so that a large model is taken
layer by layer. safetensors and .npz files are read here, without their libraries: types that numpy
lacks (bfloat16) are taken, and sizes are compared with the file's before anything is allocated.
Pickles (.pt, .pth, .bin) are opened by `torch.load(weights_only=True)` alone, which runs no code.
"""

from __future__ import annotations

import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ticketlens.files.damaged import IN_LFS, LFS, printable

MAX_ENTRIES = 2**31  # of one tensor
MAX_INFLATED = 2**31  # bytes of one tensor in a compressed .npz
MAX_HEADER = 2**24  # bytes of a safetensors header; a language model of 10⁵ tensors has some 10⁷
MAX_PICKLE = 2**26  # bytes of names and sizes in a PyTorch file
MAX_TENSORS = 10**5
NUMPY_BFLOAT16 = np.dtype("V2")
"""As what numpy.savez writes the bfloat16 of ml_dtypes, which JAX has: two bytes without a name."""
MAX_DEPTH = 8  # of dictionaries within dictionaries
TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".th")


class ForeignFileError(ValueError):
    """A file is damaged, hostile, or of a form that is not read; the message names it.

    Names in files of strangers may hold line breaks and codes that a terminal obeys: the message is
    one line of printable text.
    """

    def __init__(self, message: str) -> None:
        super().__init__(in_one_line(message))


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: `kind` is "float", "mask" (booleans, integers) or "other"."""

    name: str
    shape: tuple[int, ...]
    kind: str
    load: Callable[[], npt.NDArray[Any]]


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file in its order, and the texts that a safetensors file carries."""

    path: Path
    tensors: tuple[Stored, ...]
    metadata: Mapping[str, Any]


def open_tensors(path: str | os.PathLike[str]) -> TensorFile:
    """Return what a .safetensors, .npz, or PyTorch file holds; no array is read yet.

    Raises ForeignFileError, naming the file, if it is none of these, damaged or hostile, and
    FileNotFoundError if it is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with open(path, "rb") as file:
        if file.read(len(LFS)) == LFS:
            raise ForeignFileError(f"{path}: {IN_LFS}")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        found = _safetensors(path)
    elif suffix == ".npz":
        found = TensorFile(path, tuple(_npz(path)), {})
    elif suffix in TORCH_SUFFIXES:
        found = _torch(path)
    else:
        raise ForeignFileError(
            f"{path}: suffix {suffix!r}; allowed: .safetensors, .npz, {', '.join(TORCH_SUFFIXES)}, "
            "or the folder of an open_lth level"
        )
    if not found.tensors:
        raise ForeignFileError(f"{path}: holds no tensors")
    for tensor in found.tensors:
        if prod(tensor.shape) > MAX_ENTRIES:
            raise _bad(path, f"{tensor.name} has shape {tensor.shape}; at most {MAX_ENTRIES}")
    return found


def in_natural_order(tensors: tuple[Stored, ...]) -> tuple[Stored, ...]:
    """Return tensors as stored; but if that is by text, by number: layer 2 before layer 10.

    Some libraries sort names when they write, and with that lose the order of the layers.
    """
    names = [tensor.name for tensor in tensors]
    return tuple(sorted(tensors, key=_by_number)) if names == sorted(names) else tensors


def _by_number(tensor: Stored) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]{1,9})", tensor.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def in_one_line(text: str) -> str:
    """Return a text with every character that is not printable, line breaks too, written out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _bad(path: Path, problem: object) -> ForeignFileError:
    return ForeignFileError(f"{path}: damaged or foreign: {printable(problem)}")


# --- safetensors ---------------------------------------------------------------------------------


def _safetensors(path: Path) -> TensorFile:
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MAX_HEADER, size - 8):
            raise _bad(path, "not a safetensors file, or cut off")
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise _bad(path, f"its header is not an object of at most {MAX_TENSORS} tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _bad(path, "its metadata are not texts")
    start, found, taken = 8 + length, [], 0
    for name, entry in header.items():
        tensor, begin, end = _safetensors_entry(path, name, entry, start)
        found.append((begin, tensor))
        taken += end - begin
        if start + end > size:
            raise _bad(path, f"{name} ends beyond the file, which is cut off")
    if taken > size - start:
        raise _bad(path, "tensors overlap")
    # Stored order is that of the data: a JSON object has none that a writer need keep.
    found.sort(key=lambda pair: pair[0])
    return TensorFile(path, tuple(tensor for _, tensor in found), metadata)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len({key for key, _ in pairs}):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _safetensors_entry(path: Path, name: str, entry: Any, start: int) -> tuple[Stored, int, int]:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, end]
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError("sizes are not numbers")
    except (TypeError, KeyError, ValueError) as error:
        raise _bad(path, f"{name} is not described as safetensors does ({error})") from error
    if len(shape) > 8:
        raise _bad(path, f"{name} has {len(shape)} dimensions")
    if kind not in TYPES:
        return Stored(name, tuple(shape), "other", lambda: _refuse(path, name, kind)), begin, end
    dtype = np.dtype(TYPES[kind])
    if prod(shape) * dtype.itemsize != end - begin:
        raise _bad(path, f"{name} has {end - begin} bytes for shape {shape} of {kind}")

    def load() -> npt.NDArray[Any]:
        with open(path, "rb") as file:
            file.seek(start + begin)
            array = np.fromfile(file, dtype, prod(shape))
        if array.size != prod(shape):
            raise _bad(path, f"{name} is cut off")
        if kind == "BF16":
            return _from_bfloat16(array).reshape(shape)
        return array.reshape(shape)

    is_float = kind in ("F64", "F32", "F16", "BF16")
    return Stored(name, tuple(shape), "float" if is_float else "mask", load), begin, end


def _refuse(path: Path, name: str, kind: object) -> npt.NDArray[Any]:
    raise ForeignFileError(
        f"{path}: {name} is of type {printable(kind)}; allowed: float64, float32, float16, "
        "bfloat16 weights and boolean or integer masks (dequantise it first)"
    )


def _from_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """A bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


# --- .npz ----------------------------------------------------------------------------------------


def _npz(path: Path) -> Iterator[Stored]:
    try:
        archive = zipfile.ZipFile(path)
        with archive:
            infos = archive.infolist()
            if len(infos) > MAX_TENSORS:
                raise _bad(path, f"{len(infos)} members; at most {MAX_TENSORS}")
            names = [info.filename for info in infos]
            if len(set(names)) != len(names):
                raise _bad(path, "a name stands twice")
            for info in infos:
                if not info.filename.endswith(".npy"):
                    raise _bad(path, f"member {info.filename!r} is not an array (.npy)")
                with archive.open(info) as member:
                    shape, dtype = _npy_header(path, info.filename, member)
                name = info.filename.removesuffix(".npy")
                if prod(shape) * dtype.itemsize > min(info.file_size, MAX_INFLATED):
                    raise _bad(path, f"{name} says shape {shape}, more than its member holds")
                if info.file_size > prod(shape) * dtype.itemsize + 2**16:
                    raise _bad(path, f"{name} holds more than its shape {shape} says")
                kinds = {"f": "float", "b": "mask", "u": "mask", "i": "mask"}
                kind = "float" if dtype == NUMPY_BFLOAT16 else kinds.get(dtype.kind)
                yield Stored(name, shape, kind or "other", _npz_loader(path, info.filename))
    except ForeignFileError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError,
            KeyError) as error:  # fmt: skip
        raise _bad(path, f"not a whole .npz file ({error})") from error


def _npy_header(path: Path, name: str, member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise _bad(path, f"{name} is in version {version} of the format; allowed: 1.0, 2.0")
    if dtype.hasobject:
        raise ForeignFileError(
            f"{path}: {printable(name)} holds Python objects, which are pickles; save arrays of "
            "numbers only"
        )
    return tuple(int(size) for size in shape), dtype


def _npz_loader(path: Path, member: str) -> Callable[[], npt.NDArray[Any]]:
    def load() -> npt.NDArray[Any]:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
                file.read(1)  # to the end: only there the checksum is compared
                if array.dtype == NUMPY_BFLOAT16:
                    return _from_bfloat16(array.view(np.uint16))
                return array
        except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
            raise _bad(path, f"{member}: {error}") from error
        except Exception as error:  # zlib.error has no common base with the others
            raise _bad(path, f"{member}: {error}") from error

    return load


# --- PyTorch -------------------------------------------------------------------------------------


def _torch(path: Path) -> TensorFile:
    import torch

    is_zip = _check_torch_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols: what matters becomes an error below
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except MemoryError:
        raise
    except Exception as error:  # whatever a stranger's bytes make of the unpickler
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise ForeignFileError(
                f"{path}: holds Python objects beyond tensors, which could run code; save "
                "`model.state_dict()` (torch.save) or a .safetensors file, and read that"
            ) from error
        raise _bad(path, f"not a whole PyTorch file ({str(error).splitlines()[0:1]})") from error
    found = []
    for count, (name, tensor) in enumerate(_flat(path, state, "", 0)):
        if count >= MAX_TENSORS:
            raise _bad(path, f"more than {MAX_TENSORS} entries")
        if isinstance(tensor, torch.Tensor):
            found.append(_torch_tensor(path, name, tensor))
    # Where PyTorch keeps versions of modules: a place for text that strict loading ignores.
    metadata = getattr(state, "_metadata", {})
    return TensorFile(path, tuple(found), metadata if isinstance(metadata, Mapping) else {})


def _check_torch_file(path: Path) -> bool:
    """Return whether the file is a zip (PyTorch's form since 1.6), not a plain pickle.

    Refuses what is neither, and zips that PyTorch did not write: with compressed members, of which
    a memory-mapped `torch.load` takes the compressed bytes for weights (PyTorch 2.13), or with a
    pickle of a size that no state dict has.
    """
    with open(path, "rb") as file:
        start = file.read(8)
    if start[:1] == b"\x80":
        return False
    if start[:4] != b"PK\x03\x04":
        raise _bad(path, "not a PyTorch file (neither a zip nor a pickle)")
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:
                    raise _bad(
                        path,
                        f"its member {member.filename} is compressed, which PyTorch never does; "
                        "torch.load and torch.save it again",
                    )
                if member.filename.endswith("data.pkl") and member.file_size > MAX_PICKLE:
                    raise _bad(path, f"its pickle has {member.file_size} bytes")
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, ForeignFileError):
            raise
        raise _bad(path, f"not a whole PyTorch file ({error})") from error
    return True


def _flat(path: Path, value: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of dictionaries within dictionaries; other containers are left."""
    if not isinstance(value, Mapping):
        if depth == 0:
            raise ForeignFileError(
                f"{path}: holds a {type(value).__name__}, not a state dict; save "
                "`model.state_dict()`"
            )
        yield prefix, value
        return
    if depth > MAX_DEPTH:
        raise _bad(path, f"dictionaries nested deeper than {MAX_DEPTH}")
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        yield from _flat(path, item, name, depth + 1)


def _torch_tensor(path: Path, name: str, tensor: Any) -> Stored:
    import torch

    shape = tuple(int(size) for size in tensor.shape)
    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    integers = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if tensor.layout != torch.strided or tensor.dtype not in floats + integers:
        what = tensor.dtype if tensor.layout == torch.strided else tensor.layout
        return Stored(name, shape, "other", lambda: _refuse(path, name, what))
    if tensor.device.type == "meta":
        raise _bad(path, f"{name} has no data (a meta tensor)")
    # A few bytes can pose as a tensor of any size: strides of 0.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise _bad(path, f"{name} has shape {shape}, more than its storage holds")

    def load() -> npt.NDArray[Any]:
        plain = tensor.detach()
        plain = plain.float() if plain.dtype == torch.bfloat16 else plain
        return np.array(plain.contiguous().numpy(), order="C")

    return Stored(name, shape, "float" if tensor.dtype in floats else "mask", load)

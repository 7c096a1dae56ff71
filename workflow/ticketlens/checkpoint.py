"""Tickets, trained networks and masks as HDF5 files that are whole, checked, and free of pickles.

Layout (format version 1), see docs/checkpoint-format.md: root attributes say what the file is and
how it was made; `/layers/NN-name` holds `weight`, `bias` and the bit-packed `mask`;
`/best_validation/NN-name` the weights of the best validation epoch; `/history` one array per
quantity. Array chunks carry Fletcher32 checksums, HDF5's own metadata carry theirs (version 2
object headers), `content_sha256` covers attributes and arrays together, and the file ends in a seal
over all its bytes (see `hdf5`).

Examples of the functions below assume:

    >>> from ticketlens import bank, checkpoint
    >>> ticket = bank.load("fcnet-normal", seed=0, round=7)
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, cast

import h5py
import numpy as np

from ticketlens.files import hdf5, places
from ticketlens.files.content import (
    FORMAT,
    FORMAT_VERSION,
    KINDS,
    LAYER_KINDS,
    Checkpoint,
    CheckpointError,
    Layer,
    RunSummary,
    _content_sha256,
)
from ticketlens.files.damaged import DamagedError, remake
from ticketlens.spec import Spec

__all__ = [
    "CURVES", "FORMAT", "FORMAT_VERSION", "KINDS", "LAYER_KINDS", "LIBRARIES", "MAX_HISTORY",
    "MAX_WEIGHTS", "Checkpoint", "CheckpointError", "Layer", "RunSummary", "check",
    "check_parameters", "read", "read_attributes", "read_summary", "verify", "write",
]  # fmt: skip

LIBRARIES = ("numpy", "h5py", "torch")
MAX_WEIGHTS = 2**26  # 50 times the largest of the study; reading takes some 12 bytes for each
MAX_HISTORY = 10**6
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")  # an epoch each
_OWN = frozenset(
    ("format", "format_version", "kind", "study", "seed", "round", "arm", "spec", "spec_sha256",
     "content_sha256")
)  # fmt: skip


def write(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write `checkpoint` atomically, after checking its invariants.

    Raises CheckpointError if an invariant does not hold; nothing is written then.

    >>> checkpoint.write("example.h5", ticket)
    """
    check(checkpoint, path)
    with hdf5.writing(path) as file:
        for key, value in checkpoint.attrs.items():
            file.attrs[key] = value
        for library in LIBRARIES:
            file.attrs[f"version_{library}"] = _version(library)
        file.attrs["content_sha256"] = checkpoint.content_sha256
        for name, layer in _numbered(checkpoint):
            group = hdf5.new_group(file, f"layers/{name}")
            group.attrs.update(kind=layer.kind, fan_in=layer.fan_in, density=layer.density)
            if layer.weight is not None:
                hdf5.write_array(group, "weight", layer.weight)
                hdf5.write_array(group, "bias", layer.bias)
            packed = np.packbits(layer.mask.ravel(), bitorder="big")
            dataset = hdf5.write_array(group, "mask", packed)
            dataset.attrs["shape"] = layer.mask.shape
        for (name, _), (weight, bias) in zip(
            _numbered(checkpoint), checkpoint.best_validation, strict=False
        ):
            group = hdf5.new_group(file, f"best_validation/{name}")
            hdf5.write_array(group, "weight", weight)
            hdf5.write_array(group, "bias", bias)
        # In the order of their names: a resumed run has them in another order, and the same bytes.
        for key, array in sorted(checkpoint.history.items()):
            history = file["history"] if "history" in file else hdf5.new_group(file, "history")
            hdf5.write_array(history, key, np.asarray(array, dtype=np.float64))


def read(path: str | os.PathLike[str], kind: str | None = None) -> Checkpoint:
    """Read and check a checkpoint, optionally insisting on its kind.

    Raises FileNotFoundError if there is none, and CheckpointError, naming the file, if it is
    damaged, foreign, of another kind, or breaks an invariant.

    >>> checkpoint.write("example.h5", ticket)
    >>> checkpoint.read("example.h5").arm
    'imp'
    """
    with _opened(path) as file:
        found = hdf5.attribute(file, "kind", str)
        if kind is not None and found != kind:
            raise CheckpointError(f"{path}: kind is {found!r}, expected {kind!r}")
        if found not in KINDS:
            raise CheckpointError(f"{path}: kind is {found!r}; allowed: {', '.join(KINDS)}")
        layers = _read_layers(file, found)
        checkpoint = Checkpoint(
            kind=found,
            layers=layers,
            history=_read_history(file),
            best_validation=_read_best_validation(file, layers),
            **_identity(file),
        )
        # The text of the spec as it stands there: an older file may lack a key that has a default.
        stored = hdf5.scalars(file)
        attrs = checkpoint.attrs | {key: stored[key] for key in ("spec", "spec_sha256")}
        stored_sha256 = stored.get("content_sha256")
    check(checkpoint, path)
    if stored_sha256 is not None and stored_sha256 != _content_sha256(checkpoint, attrs):
        raise CheckpointError(
            f"{path}: content does not match its SHA-256 (damaged or edited); {remake(path)}"
        )
    return checkpoint


def verify(path: str | os.PathLike[str]) -> None:
    """Read the whole file. Raises CheckpointError, naming the file, if anything is wrong.

    >>> checkpoint.write("example.h5", ticket)
    >>> checkpoint.verify("example.h5")
    """
    read(path)


def read_summary(path: str | os.PathLike[str]) -> RunSummary:
    """Read identity, counts of kept weights and history, but no weights. Raises as `read`.

    Nothing but the seal covers these alone: a file without one is read and checked as a whole.

    >>> checkpoint.write("example.h5", ticket)
    >>> checkpoint.read_summary("example.h5").kept["readout"]
    (1225, 2560)
    """
    if os.path.exists(path) and not hdf5.is_sealed(path):
        verify(path)
    with _opened(path) as file:
        identity = _identity(file)
        kept = {}
        for name, group in _layer_groups(file):
            size = prod(_mask_shape(group))
            density = hdf5.attribute(group, "density", float)
            if not 0 <= density <= 1:
                raise DamagedError(f"layer {name}: density is {density}")
            kept[name] = (round(density * size), size)
        kind = hdf5.attribute(file, "kind", str)
        summary = RunSummary(**identity, kept=kept, history=_read_history(file))
    _check_place(path, summary, kind)
    return summary


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the root attributes of a checkpoint, library versions included. Raises as `read`.

    >>> checkpoint.write("example.h5", ticket)
    >>> checkpoint.read_attributes("example.h5")["study"]
    'fcnet-normal'
    """
    with _opened(path) as file:
        return hdf5.scalars(file)


def check(checkpoint: Checkpoint, path: str | os.PathLike[str] = "checkpoint") -> None:
    """Assert the invariants of a checkpoint. Raises CheckpointError naming `path` and the layer.

    >>> checkpoint.check(ticket, "example.h5")
    """
    if not checkpoint.layers:
        raise CheckpointError(f"{path}: no layers")
    size = sum(layer.mask.size for layer in checkpoint.layers)
    if size > MAX_WEIGHTS:
        raise CheckpointError(f"{path}: {size} weights; allowed: at most {MAX_WEIGHTS}")
    if checkpoint.seed < 0 or checkpoint.round < 0:
        raise CheckpointError(
            f"{path}: seed {checkpoint.seed}, round {checkpoint.round}; both must be >= 0"
        )
    for key, value in checkpoint.extra.items():
        if key in _OWN or key.startswith("version_") or type(value) not in (str, int, float, bool):
            raise CheckpointError(
                f"{path}: extra attribute {key!r} is {value!r}; allowed: text, integers, floats, "
                "booleans, under a name that the format does not use itself"
            )
    _check_place(path, checkpoint, checkpoint.kind)
    for layer in checkpoint.layers:
        where = f"{path}: layer {layer.name}"
        if layer.mask.ndim != (2 if layer.kind == "linear" else 4):
            raise CheckpointError(f"{where}: kind {layer.kind!r} with shape {layer.mask.shape}")
        if checkpoint.kind == "mask":
            if layer.weight is not None or layer.bias is not None:
                raise CheckpointError(f"{where}: a mask file holds no weights and no biases")
            continue
        check_parameters(layer.weight, layer.bias, layer.mask, where)
    if checkpoint.best_validation and len(checkpoint.best_validation) != len(checkpoint.layers):
        raise CheckpointError(f"{path}: best-validation weights for another number of layers")
    for layer, (weight, bias) in zip(checkpoint.layers, checkpoint.best_validation, strict=False):
        where = f"{path}: best-validation weights of layer {layer.name}"
        check_parameters(weight, bias, layer.mask, where)


def _check_place(
    path: str | os.PathLike[str], checkpoint: Checkpoint | RunSummary, kind: str
) -> None:
    """Assert that a file stands where its content says, if its path is one of the workflow's."""
    content = {key: getattr(checkpoint, key) for key in ("study", "seed", "round", "arm")}
    if wrong := places.differences(path, {**content, "kind": kind}):
        raise CheckpointError(wrong)


def check_parameters(
    weight: np.ndarray | None, bias: np.ndarray | None, mask: np.ndarray, where: str
) -> None:
    """Assert shapes, finiteness, and that off-mask weights are exactly 0.0 (and not −0.0).

    Raises CheckpointError, which says `where`.

    Shapes: weight (out, ...), bias (out,), mask (out, ...).

    >>> first = ticket.layers[0]
    >>> checkpoint.check_parameters(first.weight, first.bias, first.mask, "example.h5")
    """
    if weight is None or bias is None:
        raise CheckpointError(f"{where}: weight or bias is missing")
    if weight.shape != mask.shape or bias.shape != mask.shape[:1] or mask.dtype != bool:
        raise CheckpointError(
            f"{where}: shapes disagree: weight {weight.shape}, bias {bias.shape}, "
            f"mask {mask.shape} of {mask.dtype}"
        )
    if weight.dtype != np.float32 or bias.dtype != np.float32:
        raise CheckpointError(
            f"{where}: weights are {weight.dtype}, biases {bias.dtype}, not float32"
        )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise CheckpointError(f"{where}: weights or biases are not finite")
    bits = np.ascontiguousarray(weight).view(np.uint32)
    off_mask = np.count_nonzero(bits) - np.count_nonzero(bits[mask])
    if off_mask:
        raise CheckpointError(f"{where}: {off_mask} weights off the mask are not exactly 0.0")


def _numbered(checkpoint: Checkpoint) -> list[tuple[str, Layer]]:
    return [(f"{number:02d}-{layer.name}", layer) for number, layer in enumerate(checkpoint.layers)]


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open for reading; what goes wrong is a CheckpointError that names `path`."""
    with hdf5.reading(path, CheckpointError, remake(path)) as file:
        if hdf5.attribute(file, "format", str) != FORMAT:
            raise CheckpointError(f"{path}: not a ticketlens file")
        version = hdf5.attribute(file, "format_version", int)
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: format version {version}; this ticketlens reads {FORMAT_VERSION}"
            )
        yield file


def _identity(file: h5py.File) -> dict[str, Any]:
    """Return study, seed, round, arm, spec, extra."""
    text = hdf5.attribute(file, "spec", str)
    try:
        spec = Spec.from_json(text)
    except ValueError as error:
        raise DamagedError(f"spec is not valid: {error}") from error
    if hashlib.sha256(text.encode()).hexdigest() != hdf5.attribute(file, "spec_sha256", str):
        raise DamagedError("spec does not match its SHA-256")
    extra = {
        key: value
        for key, value in hdf5.scalars(file).items()
        if key not in _OWN and not key.startswith("version_")
    }
    return {
        "study": hdf5.attribute(file, "study", str),
        "seed": hdf5.attribute(file, "seed", int),
        "round": hdf5.attribute(file, "round", int),
        "arm": hdf5.attribute(file, "arm", str),
        "spec": spec,
        "extra": extra,
    }


def _layer_groups(file: h5py.File) -> list[tuple[str, h5py.Group]]:
    """Return (layer name, group) in forward order."""
    groups, size = [], 0
    parent = hdf5.child(file, "layers", h5py.Group)
    for number, key in enumerate(hdf5.names(parent)):
        prefix, _, name = key.partition("-")
        if prefix != f"{number:02d}" or not name:
            raise DamagedError(f"layer group {key!r}, expected {number:02d}-name")
        groups.append((name, hdf5.child(parent, key, h5py.Group)))
        size += prod(_mask_shape(groups[-1][1]))
    if size > MAX_WEIGHTS:
        raise DamagedError(f"{size} weights; expected at most {MAX_WEIGHTS}")
    return groups


def _mask_shape(group: h5py.Group) -> tuple[int, ...]:
    mask = hdf5.dataset(group, "mask", "uint8", MAX_WEIGHTS)
    stored = hdf5.attribute(mask, "shape", np.ndarray)
    if stored.dtype.kind not in "iu" or stored.ndim != 1:
        raise DamagedError(f"{mask.name}: shape is {stored}; expected whole numbers")
    shape = tuple(int(size) for size in stored)
    if min(shape, default=0) < 1 or prod(shape) > MAX_WEIGHTS or mask.size != -(-prod(shape) // 8):
        raise DamagedError(f"{mask.name} has {mask.size} bytes for the shape {shape}")
    return shape


def _read_layers(file: h5py.File, kind: str) -> tuple[Layer, ...]:
    layers = []
    for name, group in _layer_groups(file):
        shape = _mask_shape(group)
        packed = hdf5.array(group, "mask", "uint8", prod(shape))
        mask = np.unpackbits(packed, bitorder="big", count=prod(shape)).view(bool).reshape(shape)
        weight, bias = _parameters(group, shape) if kind != "mask" else cast(Any, (None, None))
        layer_kind = hdf5.attribute(group, "kind", str)
        if layer_kind not in LAYER_KINDS:
            raise DamagedError(
                f"layer {name}: kind is {layer_kind!r}; expected {' or '.join(LAYER_KINDS)}"
            )
        layer = Layer(name, layer_kind, weight, bias, mask)
        stored = (hdf5.attribute(group, "density", float), hdf5.attribute(group, "fan_in", int))
        for key, value in zip(("density", "fan_in"), stored, strict=True):
            if value != getattr(layer, key):
                raise DamagedError(f"layer {name}: stored {key} is not the mask's")
        layers.append(layer)
    return tuple(layers)


def _parameters(group: h5py.Group, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    weight = hdf5.array(group, "weight", "float32", prod(shape))
    return weight, hdf5.array(group, "bias", "float32", shape[0])


def _read_best_validation(
    file: h5py.File, layers: tuple[Layer, ...]
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    if "best_validation" not in hdf5.names(file):
        return ()
    parent = hdf5.child(file, "best_validation", h5py.Group)
    groups = [hdf5.child(parent, key, h5py.Group) for key in hdf5.names(parent)]
    if len(groups) != len(layers):
        raise DamagedError("best-validation weights for another number of layers")
    return tuple(
        _parameters(group, layer.mask.shape) for group, layer in zip(groups, layers, strict=True)
    )


def _read_history(file: h5py.File) -> dict[str, np.ndarray]:
    if "history" not in hdf5.names(file):
        return {}
    return hdf5.arrays(hdf5.child(file, "history", h5py.Group), "float64", MAX_HISTORY)


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

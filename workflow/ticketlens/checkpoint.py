"""Tickets, trained networks and masks as HDF5 files that are whole, checked, and free of pickles.

Layout (format version 1), see docs/checkpoint-format.md: root attributes say what the file is and
how it was made; `/layers/NN-name` holds `weight`, `bias` and the bit-packed `mask`;
`/best_validation/NN-name` the weights of the best validation epoch; `/history` one array per
quantity. Array chunks carry Fletcher32 checksums, HDF5's own metadata carry theirs (version 2
object headers), and `content_sha256` covers attributes and arrays together.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ticketlens.atomic import replacing
from ticketlens.spec import Spec

FORMAT = "ticketlens"
FORMAT_VERSION = 1
KINDS = ("ticket", "trained", "mask")
LAYER_KINDS = ("linear", "conv")
LIBRARIES = ("numpy", "h5py", "torch")
MAX_WEIGHTS = 2**31


class CheckpointError(ValueError):
    """A file is damaged, foreign, or breaks an invariant; the message names the file."""


@dataclass(frozen=True)
class Layer:
    """One layer: `weight` (out, in) or (out, in, k, k) float32, `bias` (out,), `mask` as weight.

    Weights are exactly 0.0 off the mask. A file of kind `mask` has no weight and no bias.
    """

    name: str
    kind: str
    weight: np.ndarray | None
    bias: np.ndarray | None
    mask: np.ndarray

    @property
    def fan_in(self) -> int:
        """Return the number of inputs of one output unit in the dense layer."""
        return prod(self.mask.shape[1:])

    @property
    def density(self) -> float:
        """Return kept weights / all weights; biases are never counted."""
        return np.count_nonzero(self.mask) / self.mask.size


@dataclass(frozen=True)
class Checkpoint:
    """A ticket, a trained network, or a mask, with everything that says how it was made.

    `history` maps a quantity to a float64 array (per epoch) or a 0-d array (per run);
    `best_validation` holds (weight, bias) per layer; `extra` further root attributes.
    """

    kind: str
    study: str
    seed: int
    round: int
    arm: str
    spec: Spec
    layers: tuple[Layer, ...]
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    best_validation: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attrs(self) -> dict[str, Any]:
        """Return the root attributes of the file, library versions apart."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "study": self.study,
            "seed": self.seed,
            "round": self.round,
            "arm": self.arm,
            "spec": self.spec.to_json(),
            "spec_sha256": self.spec.sha256,
            **self.extra,
        }

    @property
    def density(self) -> float:
        """Return kept weights / all weights over all layers, readout included."""
        kept = sum(np.count_nonzero(layer.mask) for layer in self.layers)
        return kept / sum(layer.mask.size for layer in self.layers)

    @property
    def content_sha256(self) -> str:
        """Return the SHA-256 over attributes and arrays: the identity of the content."""
        digest = hashlib.sha256()
        for key, value in sorted(self.attrs.items()):
            digest.update(f"{key}={value}\n".encode())
        for layer in self.layers:
            digest.update(f"{layer.name}:{layer.kind}:{layer.mask.shape}\n".encode())
            digest.update(np.packbits(layer.mask.ravel(), bitorder="big"))
            for array in (layer.weight, layer.bias):
                if array is not None:
                    digest.update(np.ascontiguousarray(array, dtype="<f4"))
        for arrays in self.best_validation:
            for array in arrays:
                digest.update(np.ascontiguousarray(array, dtype="<f4"))
        for key, array in sorted(self.history.items()):
            digest.update(f"{key}\n".encode())
            digest.update(np.ascontiguousarray(array, dtype="<f8"))
        return digest.hexdigest()


@dataclass(frozen=True)
class RunSummary:
    """What tables need of a run: `kept` maps a layer's name to (kept, all) weights."""

    study: str
    seed: int
    round: int
    arm: str
    spec: Spec
    kept: Mapping[str, tuple[int, int]]
    history: Mapping[str, np.ndarray]

    @property
    def density(self) -> float:
        """Return kept weights / all weights over all layers, readout included."""
        return sum(kept for kept, _ in self.kept.values()) / sum(n for _, n in self.kept.values())


def write(path: str | os.PathLike, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` atomically, after checking its invariants.

    Raises CheckpointError if an invariant does not hold; nothing is written then.
    """
    check(checkpoint, path)
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        for key, value in checkpoint.attrs.items():
            file.attrs[key] = value
        for library in LIBRARIES:
            file.attrs[f"version_{library}"] = _version(library)
        file.attrs["content_sha256"] = checkpoint.content_sha256
        for name, layer in _numbered(checkpoint):
            group = file.create_group(f"layers/{name}")
            group.attrs.update(kind=layer.kind, fan_in=layer.fan_in, density=layer.density)
            if layer.weight is not None:
                _write_array(group, "weight", layer.weight)
                _write_array(group, "bias", layer.bias)
            packed = np.packbits(layer.mask.ravel(), bitorder="big")
            dataset = _write_array(group, "mask", packed)
            dataset.attrs["shape"] = layer.mask.shape
        for (name, _), (weight, bias) in zip(
            _numbered(checkpoint), checkpoint.best_validation, strict=False
        ):
            group = file.create_group(f"best_validation/{name}")
            _write_array(group, "weight", weight)
            _write_array(group, "bias", bias)
        for key, array in checkpoint.history.items():
            _write_array(file.require_group("history"), key, np.asarray(array, dtype=np.float64))


def read(path: str | os.PathLike, kind: str | None = None) -> Checkpoint:
    """Read and check a checkpoint, optionally insisting on its kind.

    Raises FileNotFoundError if there is none, and CheckpointError, naming the file, if it is
    damaged, foreign, of another kind, or breaks an invariant.
    """
    with _opened(path) as file:
        found = _attribute(file, "kind", str, path)
        if kind is not None and found != kind:
            raise CheckpointError(f"{path}: kind is {found!r}, expected {kind!r}")
        checkpoint = Checkpoint(
            kind=found,
            layers=_read_layers(file, found, path),
            history=_read_history(file),
            best_validation=_read_best_validation(file, path),
            **_identity(file, path),
        )
        stored_sha256 = file.attrs.get("content_sha256")
    check(checkpoint, path)
    if stored_sha256 is not None and stored_sha256 != checkpoint.content_sha256:
        raise CheckpointError(
            f"{path}: content does not match its SHA-256 (damaged or edited); delete the file and "
            "run Snakemake again"
        )
    return checkpoint


def verify(path: str | os.PathLike) -> None:
    """Read the whole file and raise CheckpointError, naming the file, if anything is wrong."""
    read(path)


def read_summary(path: str | os.PathLike) -> RunSummary:
    """Read identity, counts of kept weights and history, but no weights. Raises as `read`."""
    with _opened(path) as file:
        identity = _identity(file, path)
        identity.pop("extra")
        kept = {}
        for name, group in _layer_groups(file, path):
            size = prod(_mask_shape(group, path))
            kept[name] = (round(float(group.attrs["density"]) * size), size)
        return RunSummary(**identity, kept=kept, history=_read_history(file))


def check(checkpoint: Checkpoint, path: str | os.PathLike = "checkpoint") -> None:
    """Assert the invariants of a checkpoint. Raises CheckpointError naming `path` and the layer."""
    if checkpoint.kind not in KINDS:
        raise CheckpointError(f"{path}: kind is {checkpoint.kind!r}; allowed: {KINDS}")
    if not checkpoint.layers:
        raise CheckpointError(f"{path}: no layers")
    if checkpoint.seed < 0 or checkpoint.round < 0:
        raise CheckpointError(
            f"{path}: seed {checkpoint.seed}, round {checkpoint.round}; both must be >= 0"
        )
    for layer in checkpoint.layers:
        where = f"{path}: layer {layer.name}"
        if layer.kind not in LAYER_KINDS or layer.mask.ndim != (2 if layer.kind == "linear" else 4):
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


def check_parameters(weight: Any, bias: Any, mask: np.ndarray, where: str) -> None:
    """Assert shapes, finiteness, and that off-mask weights are exactly 0.0 (and not −0.0).

    Raises CheckpointError, which says `where`.
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


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    """Store with a checksum. HDF5 filters need chunks, hence a 0-d array becomes shape (1,)."""
    array = np.atleast_1d(array)
    return group.create_dataset(
        name, data=array, chunks=True, compression="gzip", compression_opts=1, shuffle=True,
        fletcher32=True,
    )  # fmt: skip


class _opened:
    """Open for reading; turn what h5py raises on damaged files into a CheckpointError."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def __enter__(self) -> h5py.File:
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such file")
        try:
            self.file = h5py.File(self.path, "r")
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"{self.path}: not a readable HDF5 file ({error})") from error
        try:
            if _attribute(self.file, "format", str, self.path) != FORMAT:
                raise CheckpointError(f"{self.path}: not a ticketlens file")
            version = _attribute(self.file, "format_version", int, self.path)
            if version != FORMAT_VERSION:
                raise CheckpointError(
                    f"{self.path}: format version {version}; this ticketlens reads {FORMAT_VERSION}"
                )
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self.file

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.file.close()
        if isinstance(error, CheckpointError) or not isinstance(error, Exception):
            return
        raise CheckpointError(
            f"{self.path}: damaged ({type(error).__name__}: {error}); delete the file and run "
            "Snakemake again"
        ) from error


def _attribute(file: h5py.File, name: str, kind: type, path: Any) -> Any:
    if name not in file.attrs:
        raise CheckpointError(f"{path}: root attribute {name!r} is missing")
    value = file.attrs[name]
    if kind is int and isinstance(value, np.integer):
        return int(value)
    if kind is str and isinstance(value, str):
        return value
    raise CheckpointError(f"{path}: root attribute {name!r} is not of type {kind.__name__}")


_IDENTITY = ("format", "format_version", "kind", "study", "seed", "round", "arm", "spec")


def _identity(file: h5py.File, path: Any) -> dict[str, Any]:
    """Return study, seed, round, arm, spec, extra."""
    text = _attribute(file, "spec", str, path)
    try:
        spec = Spec.from_json(text)
    except ValueError as error:
        raise CheckpointError(f"{path}: spec is not valid: {error}") from error
    if spec.sha256 != _attribute(file, "spec_sha256", str, path):
        raise CheckpointError(f"{path}: spec does not match its SHA-256")
    not_extra = {*_IDENTITY, "spec_sha256", "content_sha256"}
    extra = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in file.attrs.items()
        if key not in not_extra and not key.startswith("version_")
    }
    return {
        "study": _attribute(file, "study", str, path),
        "seed": _attribute(file, "seed", int, path),
        "round": _attribute(file, "round", int, path),
        "arm": _attribute(file, "arm", str, path),
        "spec": spec,
        "extra": extra,
    }


def _layer_groups(file: h5py.File, path: Any) -> list[tuple[str, h5py.Group]]:
    """Return (layer name, group) in forward order; refuse links that lead out of the file."""
    groups = []
    parent = _child(file, "layers", h5py.Group, path)
    for number, key in enumerate(sorted(parent)):
        prefix, _, name = key.partition("-")
        if prefix != f"{number:02d}" or not name:
            raise CheckpointError(f"{path}: layer group {key!r}, expected {number:02d}-name")
        groups.append((name, _child(parent, key, h5py.Group, path)))
    return groups


def _child(parent: h5py.Group, key: str, kind: type, path: Any) -> Any:
    if not isinstance(parent.get(key, getlink=True), h5py.HardLink):
        raise CheckpointError(f"{path}: {parent.name}/{key} is missing or a link")
    child = parent[key]
    if not isinstance(child, kind):
        raise CheckpointError(f"{path}: {child.name} is not a {kind.__name__}")
    return child


def _array(parent: h5py.Group, key: str, path: Any) -> np.ndarray:
    dataset = _child(parent, key, h5py.Dataset, path)
    if dataset.is_virtual or dataset.external or dataset.size > MAX_WEIGHTS:
        raise CheckpointError(f"{path}: {dataset.name} is virtual, external or absurdly large")
    return dataset[()]


def _mask_shape(group: h5py.Group, path: Any) -> tuple[int, ...]:
    mask = _child(group, "mask", h5py.Dataset, path)
    shape = tuple(int(size) for size in np.atleast_1d(mask.attrs["shape"]))
    if min(shape, default=0) < 1 or prod(shape) > MAX_WEIGHTS or mask.size != -(-prod(shape) // 8):
        raise CheckpointError(f"{path}: {mask.name} has {mask.size} bytes for the shape {shape}")
    return shape


def _read_layers(file: h5py.File, kind: str, path: Any) -> tuple[Layer, ...]:
    layers = []
    for name, group in _layer_groups(file, path):
        shape = _mask_shape(group, path)
        packed = _array(group, "mask", path)
        mask = np.unpackbits(packed, bitorder="big", count=prod(shape)).astype(bool).reshape(shape)
        has_weights = kind != "mask"
        layer = Layer(
            name=name,
            kind=str(group.attrs["kind"]),
            weight=_array(group, "weight", path) if has_weights else None,
            bias=_array(group, "bias", path) if has_weights else None,
            mask=mask,
        )
        if float(group.attrs["density"]) != layer.density:
            raise CheckpointError(f"{path}: layer {name}: stored density is not the mask's")
        layers.append(layer)
    return tuple(layers)


def _read_best_validation(file: h5py.File, path: Any) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    if "best_validation" not in file:
        return ()
    parent = _child(file, "best_validation", h5py.Group, path)
    groups = [_child(parent, key, h5py.Group, path) for key in sorted(parent)]
    return tuple((_array(group, "weight", path), _array(group, "bias", path)) for group in groups)


def _read_history(file: h5py.File) -> dict[str, np.ndarray]:
    if "history" not in file:
        return {}
    parent = _child(file, "history", h5py.Group, file.filename)
    return {key: _array(parent, key, file.filename) for key in parent}


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

"""Layers in the files of other systems: which tensors are weights, masks, biases, by their names.

| system | weight | mask |
|---|---|---|
| torch.nn.utils.prune | `X.weight_orig` | `X.weight_mask` |
| parametrizations (torch.ao.pruning, sparsimony, `networks.build`) | `X.parametrizations.weight.original` | `X.parametrizations.weight.0.mask` |
| a buffer beside the weight (TurboPrune) | `X.weight` | `X.mask` or `X.weight_mask` |
| a sparsifier's state (torch.ao.pruning) | `X.weight` | `….state.X.weight.mask` |
| JAX (Flax names) | `X/kernel`, (in, out) or (k, k, in, out) | `masks/X/kernel`, plain or bit-packed |
| any other state dict | `X.weight` | its zeros |
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.files.tensors import ForeignFileError, Stored, TensorFile, in_natural_order

STATES = {"init": "ticket", "trained": "trained"}
"""What weights a file holds, and the kind of checkpoint that they are."""
NORMS = ("batch norm", "normalisation or scale")
_ROLES: tuple[tuple[str, str], ...] = (
    (r"(?:.*\.)?state\.(?P<stem>.+)\.weight\.mask", "mask"),
    (r"(?P<stem>.+)\.parametrizations\.weight\.original", "weight"),
    (r"(?P<stem>.+)\.parametrizations\.weight\.\d+\.mask", "mask"),
    (r"(?P<stem>.+)\.parametrizations\.bias\.original", "bias"),
    (r"(?P<stem>.+)\.weight_orig", "weight"),
    (r"(?P<stem>.+)\.weight_mask", "mask"),
    (r"(?P<stem>.+)\.bias_orig", "bias"),
    (r"(?P<stem>.+)\.bias_mask", "bias_mask"),
    (r"(?P<stem>.+)\.mask", "mask"),
    (r"(?:.*[./])?masks?[./](?:params[./])?(?P<stem>.+)[./]kernel", "kernel_mask"),
    (r"(?:.*[./])?masks?[./](?P<stem>.+)\.weight", "mask"),
    (r"(?P<stem>.+)[./]kernel", "kernel"),
    (r"(?P<stem>.+)\.weight", "weight"),
    (r"(?P<stem>.+)[./]bias", "bias"),
    (r"(?P<stem>.+)\.running_mean", "norm"),
    (r"(?P<stem>.+)\.(?:running_var|num_batches_tracked)", "statistics"),
)  # fmt: skip
_ROLES_COMPILED = tuple((re.compile(pattern), role) for pattern, role in _ROLES)
_WRAPPERS = re.compile(
    r"^(?:(?:state_dict|model_state_dict|model|module|network|net|params|_orig_mod)[./])+"
)


@dataclass(frozen=True, repr=False)
class Layers(Sequence[Layer]):
    """The layers of a foreign file in its order, and what was remarked while reading them.

    A sequence of `Layer`. `state` is "init" or "trained"; `skipped` says what in the file is not a
    layer (batch norms, embeddings of other shapes).
    """

    layers: tuple[Layer, ...]
    state: str = "trained"
    source: str = ""
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def __getitem__(self, index: Any) -> Any:
        """Return a layer, or a tuple of layers for a slice."""
        return self.layers[index]

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over the layers."""
        return iter(self.layers)

    @property
    def density(self) -> float:
        """Return kept weights / all weights."""
        kept = sum(int(np.count_nonzero(layer.mask)) for layer in self.layers)
        return kept / sum(layer.mask.size for layer in self.layers)

    def __repr__(self) -> str:
        """Return a few lines."""
        lines = [repr(layer) for layer in self.layers]
        if len(lines) > 16:
            lines[8:-8] = [f"… {len(lines) - 16} more layers …"]
        return "\n  ".join([f"Layers({self.source!r}, {self.state}:", *lines]) + ")"


@dataclass(frozen=True)
class ForeignLayer:
    """Tensors of one layer, not read yet; `is_transposed` for JAX kernels."""

    name: str
    weight: Stored | None
    bias: Stored | None
    mask: Stored | None
    bias_mask: Stored | None = None
    is_transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (out, in) or (out, in, k, k), as ticketlens has weights."""
        stored = self.weight or self.mask
        assert stored is not None
        shape = stored.shape
        if not self.is_transposed:
            return shape
        return (shape[-1], shape[-2], *shape[:-2])


@dataclass(frozen=True)
class Contents:
    """The layers of a file in order, what is not a layer (name → what it is), and notes."""

    layers: tuple[ForeignLayer, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


def contents(file: TensorFile, masks: TensorFile | None = None) -> Contents:
    """Return the layers that a file describes, with masks of a second file where there is one.

    Raises ForeignFileError for names that fit no form, two masks for one layer, a parametrized
    weight without its mask, and masks that belong to no weight.
    """
    stems: dict[str, dict[str, Stored]] = {}
    skipped: dict[str, str] = {}
    for tensor in in_natural_order(file.tensors):
        stem, role = _role(tensor)
        if stem is None:
            skipped[tensor.name] = f"shape {tensor.shape}"
            continue
        _add(file, stems, stem, role, tensor)
    if masks is not None:
        known = set(stems)
        for stem, tensor, role in _own_masks(masks, known):
            if "mask" in stems[stem] or "kernel_mask" in stems[stem]:
                raise ForeignFileError(
                    f"{masks.path}: layer {stem} has a mask in {file.path} already"
                )
            stems[stem][role] = tensor
    if all(set(roles) == {"bare"} for roles in stems.values()):
        stems = {stem: {"weight": roles["bare"]} for stem, roles in stems.items()}
    for stem in [stem for stem, roles in stems.items() if "bare" in roles]:
        skipped[stem] = f"tensor of shape {stems.pop(stem)['bare'].shape}"  # an optimiser's, say
    layers = tuple(_layers(file, stems, skipped))
    if not layers:
        raise ForeignFileError(
            f"{file.path}: no layer with a 2-D or 4-D weight; it holds "
            f"{', '.join([tensor.name for tensor in file.tensors][:5])}"
        )
    return Contents(layers, skipped)


def _role(tensor: Stored) -> tuple[str | None, str]:
    name = _WRAPPERS.sub("", tensor.name)
    for pattern, role in _ROLES_COMPILED:
        if match := pattern.fullmatch(name):
            return match["stem"].replace("/", "."), role
    # A bare array: a mask or a weight under the layer's own name, in a file of nothing else.
    return (name.replace("/", "."), "bare") if len(tensor.shape) in (2, 4) else (None, "")


def _add(
    file: TensorFile, stems: dict[str, dict[str, Stored]], stem: str, role: str, tensor: Stored
) -> None:
    roles = stems.setdefault(stem, {})
    if role in roles and role != "statistics":
        raise ForeignFileError(
            f"{file.path}: layer {stem} has two of a kind: {roles[role].name} and {tensor.name}"
        )
    roles[role] = tensor


def _own_masks(file: TensorFile, known: set[str]) -> Iterator[tuple[str, Stored, str]]:
    """Yield (stem, mask, role) of a file that holds masks and nothing else."""
    seen = set()
    for tensor in in_natural_order(file.tensors):
        stem, role = _role(tensor)
        bare = _WRAPPERS.sub("", tensor.name).replace("/", ".")
        if stem not in known and bare in known:
            stem, role = bare, "mask"
        if stem not in known or role in ("bias", "norm"):
            raise ForeignFileError(
                f"{file.path}: {tensor.name} is not the mask of a layer; layers: "
                f"{', '.join(sorted(known)[:8])}"
            )
        if stem in seen:
            raise ForeignFileError(f"{file.path}: two masks for layer {stem}")
        seen.add(stem)
        assert stem is not None
        yield stem, tensor, "kernel_mask" if role.startswith("kernel") else "mask"


def _layers(
    file: TensorFile, stems: Mapping[str, Mapping[str, Stored]], skipped: dict[str, str]
) -> Iterator[ForeignLayer]:
    for stem, roles in stems.items():
        kernel = roles.get("kernel")
        weight = roles.get("weight") or kernel
        mask = roles.get("mask") or roles.get("kernel_mask")
        own = weight or mask
        if "norm" in roles:
            skipped[stem] = NORMS[0]
            continue
        if set(roles) == {"statistics"}:
            continue
        if own is None or len(own.shape) not in (2, 4) or 0 in own.shape:
            is_packed_alone = own is not None and weight is None and len(own.shape) == 1
            if is_packed_alone and "kernel_mask" in roles:
                raise ForeignFileError(
                    f"{file.path}: the mask of layer {stem} is bit-packed, and its shape is in no "
                    "file: read the weights, and give this file as masks="
                )
            shape = "no weight" if own is None else f"weight of shape {own.shape}"
            skipped[stem] = NORMS[1] if own and len(own.shape) == 1 else shape
            continue
        if weight is not None and mask is None and ".parametrizations." in weight.name:
            raise ForeignFileError(
                f"{file.path}: layer {stem} has a parametrized weight and no mask in the file "
                "(torch.ao.pruning leaves masks out of state_dict()): call "
                "sparsifier.squash_mask() before saving, or save sparsifier.state_dict() too"
            )
        if weight is not None and weight.kind == "other":
            weight.load()  # refuses, saying why
        transposed = kernel is not None or (weight is None and "kernel_mask" in roles)
        yield ForeignLayer(
            stem, weight, roles.get("bias"), mask, roles.get("bias_mask"), transposed
        )


# --- arrays --------------------------------------------------------------------------------------


def load_layer(path: Any, layer: ForeignLayer, note: Callable[[str], None]) -> Layer:
    """Read one layer: weights float32 in C order, exactly 0.0 off the mask. `note` takes remarks.

    Weights of other types are converted to float32, which is exact for float16 and bfloat16; a
    float64 that is not a float32 is rounded, and that is noted. Without a mask the zeros are it.
    Raises ForeignFileError, naming file and layer, for values that are not finite, masks that are
    not 0 and 1 or have another shape, and biases of another length.
    """
    where = f"{path}: layer {layer.name}"
    kind = "linear" if len(layer.shape) == 2 else "conv"
    if layer.weight is None or (layer.mask is None and layer.weight.kind == "mask"):
        only = layer.mask or layer.weight
        assert only is not None
        return Layer(layer.name, kind, cast(Any, None), cast(Any, None), _mask(where, only, layer))
    weight = _float32(where, _turned(layer.weight.load(), layer), note)
    if layer.mask is None:
        mask = weight != 0
        if not mask.all():
            note(f"layer {layer.name}: no mask in the file, so its exact zeros are the mask")
    else:
        mask = _mask(where, layer.mask, layer)
        dropped = np.count_nonzero(weight[~mask])
        zeros = np.count_nonzero(weight[mask] == 0)
        if dropped:
            note(f"layer {layer.name}: {dropped} weights off its mask are not zero; set to zero")
        if zeros:
            note(f"layer {layer.name}: {zeros} weights on its mask are exactly zero, and kept")
    weight[~mask] = 0.0
    return Layer(layer.name, kind, weight, cast(np.ndarray, _bias(where, layer, note)), mask)


def _turned(array: npt.NDArray[Any], layer: ForeignLayer) -> npt.NDArray[Any]:
    if not layer.is_transposed:
        return array
    return array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)


def _float32(
    where: str, array: npt.NDArray[Any], note: Callable[[str], None]
) -> npt.NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise ForeignFileError(f"{where}: weights are {array.dtype}; allowed: floating point")
    with np.errstate(over="ignore"):
        weight = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(weight).all():
        raise ForeignFileError(f"{where}: weights are not finite in float32")
    if array.dtype.itemsize > 4 and not np.array_equal(weight, array):
        note(f"{where.rpartition(': ')[2]}: {array.dtype} weights are rounded to float32")
    return weight


def _mask(where: str, stored: Stored, layer: ForeignLayer) -> npt.NDArray[np.bool_]:
    found = stored.load()
    shape = layer.shape
    as_stored = layer.weight.shape if layer.weight is not None else stored.shape
    if found.ndim == 1 and found.dtype == np.uint8 and found.size == -(-prod(as_stored) // 8):
        found = np.unpackbits(found, bitorder="big", count=prod(as_stored)).reshape(as_stored)
    if found.shape == as_stored:
        found = _turned(found, layer)
    if found.shape != shape:
        raise ForeignFileError(f"{where}: mask has shape {found.shape}, the weight {shape}")
    if not ((found == 0) | (found == 1)).all():
        raise ForeignFileError(f"{where}: mask {stored.name} has values other than 0 and 1")
    return np.ascontiguousarray(found == 1)


def _bias(
    where: str, layer: ForeignLayer, note: Callable[[str], None]
) -> npt.NDArray[np.float32] | None:
    if layer.bias is None:
        return None
    bias = _float32(where, layer.bias.load(), note)
    if bias.shape != layer.shape[:1]:
        raise ForeignFileError(f"{where}: bias has shape {bias.shape}, allowed: {layer.shape[:1]}")
    if layer.bias_mask is not None:
        bias = np.where(layer.bias_mask.load() == 1, bias, np.float32(0)).astype(np.float32)
    return bias

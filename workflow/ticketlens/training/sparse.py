"""The sparse training step: layers whose parameters are the values at their mask's support.

Here are fully connected networks; `sparse_conv` has convolutions.

In a fully connected network, a layer of a density below `training.sparse_below` trains in
compressed form: forward as a product of a sparse and a dense matrix, gradients at the support only,
the optimiser on the values alone. There is no weight off the mask that would have to be held.
Within a run of such layers, activations are (neurons, samples): samples are contiguous.

`training.sparse_kernel` names who computes: `c`, compiled for the machine (see `compiled`). Its
sums have a fixed order, the same on every machine that fuses products and sums.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ticketlens.spec import NetworkSpec, TrainingSpec
from ticketlens.training import compiled, sparse_conv
from ticketlens.training.support import SparseLayer

SOURCE = Path(__file__).with_suffix(".c")
KERNELS = ("c",)
FAMILIES = ("fully-connected", "convolutional", "resnet-conv")
"""Families whose layers have a compressed form."""
LANES = 16
BLOCK = 96
"""Columns of a block at least: 96 × 128 samples are 48 KiB, about a first-level cache."""
PER_BLOCK = 24
"""Weights of a row and block at least: each row reads and writes its sums once a block."""
# As numbered in sparse.c. Other activations are PyTorch's, between layers of one run each.
KINDS = {"linear": 0, "tanh": 1, "relu": 2, "hard_tanh": 3}


@dataclass(frozen=True)
class Order:
    """The weights of a matrix sorted by (block of columns, row, column).

    `start` (blocks × rows + 1,) says where each row of a block begins, `column` (weights,) is each
    weight's column, both int32; `sorting` (weights,) the permutation that sorts them.
    """

    blocks: int
    start: Tensor
    column: Tensor
    sorting: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> Order:
        """Sort the weights at (rows, columns) of a matrix of this shape."""
        # Rows sum their weights by columns whatever the blocks are: their width changes no bits.
        width = max(BLOCK, PER_BLOCK * shape[0] * shape[1] // max(1, len(rows)))
        blocks = -(-shape[1] // width)
        cell = columns // width * shape[0] + rows
        sorting = np.lexsort((columns, cell))
        counts = np.bincount(cell, minlength=blocks * shape[0])
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(blocks, _int32(start), _int32(columns[sorting]), sorting)


class SparseLinear(SparseLayer):
    """A linear layer on a mask (out, in), its values sorted by blocks (see `Order`)."""

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        rows, columns = mask.nonzero()
        self.order = Order.of(rows, columns, mask.shape)
        rows, columns = rows[self.order.sorting], columns[self.order.sorting]
        super().__init__(mask, rows * mask.shape[1] + columns)
        # For the input's gradient: the transposed matrix, and where its sorted weights lie.
        self.transposed = Order.of(columns, rows, mask.shape[::-1])
        self.place = _int32(self.transposed.sorting)


class _Structure(ctypes.Structure):
    """A layer as sparse.c sees it."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in
          ("rows", "columns", "weights", "blocks", "transposed_blocks", "kind")),
        *((name, ctypes.c_void_p) for name in
          ("start", "column", "transposed_start", "transposed_column", "place")),
    )  # fmt: skip

    @classmethod
    def of(cls, layer: SparseLinear, kind: int) -> _Structure:
        straight, across = layer.order, layer.transposed
        arrays = (straight.start, straight.column, across.start, across.column, layer.place)
        return cls(
            *layer.shape, len(layer.values), straight.blocks, across.blocks, kind,
            *(array.data_ptr() for array in arrays),
        )  # fmt: skip


class SparseRun(nn.Module):
    """Successive sparse layers, each followed by the activation of its kind (see KINDS).

    `parameter` holds values, bias, values, bias, … of all layers: one vector for the optimiser.
    """

    def __init__(self, layers: Sequence[SparseLinear], kinds: Sequence[int]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        views = [view for layer in layers for view in (layer.values, layer.bias)]
        self.parameter = nn.Parameter(torch.cat(views))
        parts = self.parameter.detach().split([len(view) for view in views])
        for layer, values, bias in zip(layers, parts[::2], parts[1::2], strict=True):
            layer.values, layer.bias = values, bias
        # Addresses of the layers' own arrays, which live as long as `layers` does.
        self.structures = (_Structure * len(layers))(*map(_Structure.of, layers, kinds))
        self.rows = [layer.shape[0] for layer in layers]

    def forward(self, x: Tensor) -> Tensor:
        """Map (samples, in) float32 to (samples, out). Raises TypeError for another type."""
        if x.dtype != torch.float32:
            raise TypeError(f"sparse layers compute in float32, not {x.dtype}")
        return cast(Tensor, cast(Any, _Layers).apply(x, self.parameter, self))

    def compute(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y (samples, out), and what `gradients` needs: x and every layer's y, transposed.

        x is (samples, in) float32. No graph is built.
        """
        columns = _transposed(x)
        samples = columns.shape[1]
        found = x.new_empty(sum(self.rows), samples)
        _library().forward(
            self.structures, len(self.layers), self.parameter.data_ptr(), columns.data_ptr(),
            found.data_ptr(), samples,
        )  # fmt: skip
        return found[-self.rows[-1] :, : len(x)].t(), columns, found

    def gradients(
        self, grad: Tensor, columns: Tensor, found: Tensor, with_x: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients by x (None unless `with_x`) and by `parameter`, from that by y."""
        # Whatever gives its address must have a name until the call returns.
        count, samples = len(grad), columns.shape[1]
        grad, gradient = _transposed(grad), torch.empty_like(self.parameter)
        room = columns.new_empty(2, max(self.rows), samples)
        grad_x = torch.empty_like(columns) if with_x else None
        _library().backward(
            self.structures, len(self.layers), self.parameter.data_ptr(), columns.data_ptr(),
            found.data_ptr(), grad.data_ptr(), room.data_ptr(), room[0].numel(),
            gradient.data_ptr(), None if grad_x is None else grad_x.data_ptr(), samples,
        )  # fmt: skip
        return None if grad_x is None else grad_x[:, :count].t(), gradient


class _Layers(torch.autograd.Function):
    """A run of sparse layers with all its gradients; x (samples, in)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameter: Tensor, run: SparseRun) -> Tensor:
        y, columns, found = run.compute(x)
        ctx.run = run
        ctx.save_for_backward(parameter, columns, found)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        _, columns, found = ctx.saved_tensors
        return *ctx.run.gradients(grad, columns, found, ctx.needs_input_grad[0]), None


class SparseNetwork(nn.Module):
    """A fully connected network of sparse and dense layers, `layers` in forward order."""

    def __init__(
        self, layers: Sequence[Any], activation: str, phi: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.layers: list[Any]
        self.stages: list[Callable[[Tensor], Tensor]]
        self.layers, self.stages, fused = list(layers), [], activation in KINDS
        kinds = [KINDS.get(activation, 0)] * (len(layers) - 1) + [0]
        runs: list[list[int]] = []
        for index, layer in enumerate(layers):
            if index and fused and is_sparse(layer) and is_sparse(layers[index - 1]):
                runs[-1].append(index)
            else:
                runs.append([index])
        for run in runs:
            if sparse := is_sparse(layers[run[0]]):
                self.stages.append(SparseRun([layers[i] for i in run], [kinds[i] for i in run]))
            else:
                self.stages.append(layers[run[0]])
            if not (sparse and fused) and run[-1] < len(layers) - 1:
                self.stages.append(phi)
        self.trained = nn.ModuleList(s for s in self.stages if isinstance(s, nn.Module))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes)."""
        x = images.flatten(1)
        for stage in self.stages:
            x = stage(x)
        return x


def is_sparse(layer: object) -> bool:
    """Say whether a layer trains in compressed form."""
    return hasattr(layer, "set_weight")


def compressed(
    model: nn.Module, masks: Sequence[np.ndarray], network: NetworkSpec, training: TrainingSpec
) -> nn.Module:
    """Return `model` with its layers of a density below `training.sparse_below` compressed.

    The convolutions of a network are compressed all together, where their density together is below
    it. A model without such a layer is returned as it is. Raises ValueError, naming what is
    allowed, for a network of linear layers with skips, another device than the CPU, an activation
    or a kernel that there is not in compressed form, and one that cannot be compiled here.
    """
    if training.sparse_below == 0:
        return model
    device = cast(Sequence[Any], model.layers)[0].weight.device.type
    for name, value, allowed in (
        ("training.sparse_kernel", training.sparse_kernel, KERNELS),
        ("network.family", network.family, FAMILIES),
        ("the device", device, ("cpu",)),
    ):
        if value not in allowed:
            raise ValueError(
                f"training.sparse_below is {training.sparse_below:g}, and {name} is {value!r}; "
                f"allowed: {', '.join(allowed)}, or sparse_below 0"
            )
    kind = COMPRESSIBLE[masks[0].ndim == 4]
    try:
        return COMPRESSED[kind](model, masks, training.sparse_below, network.activation)
    except compiled.CompilerError as error:
        raise ValueError(
            f"training.sparse_kernel is 'c': {error}\ninstall gcc or clang, or name a C compiler "
            "in $CC, or set training.sparse_below to 0 (then layers train dense)"
        ) from error


def _compressed_layers(
    model: nn.Module, masks: Sequence[npt.NDArray[np.bool_]], below: float, activation: str
) -> nn.Module:
    """Return a fully connected network with its layers of a density below `below` compressed."""
    chosen = [bool(mask.mean() < below) for mask in masks]
    if not any(chosen):
        return model
    _library()
    layers = [
        SparseLinear(mask) if sparse else layer
        for layer, mask, sparse in zip(
            cast(Iterable[Any], model.layers), masks, chosen, strict=True
        )
    ]
    found = SparseNetwork(layers, activation, cast(Any, model.activation))
    for layer, dense in zip(layers, cast(Iterable[Any], model.layers), strict=True):
        if is_sparse(layer):
            layer.set_weight(dense.weight)
            layer.bias.copy_(dense.bias.detach())
    return found


COMPRESSIBLE = ("sparse-linear-layers", "sparse-convolutions")
"""Kinds of hidden layers; a text in `compressed` would count the entry of the other kind, too."""

# `study.entries` has the same names.
COMPRESSED: dict[str, Callable[..., nn.Module]] = {
    "sparse-linear-layers": _compressed_layers,
    "sparse-convolutions": sparse_conv.compressed,
}


def _transposed(x: Tensor) -> Tensor:
    """Return x (samples, neurons) as (neurons, padded), samples padded with 0 to a multiple of 16.

    It is contiguous; x itself if it is a transposed view of such memory.
    """
    count, neurons = x.shape
    if count % LANES == 0 and x.t().is_contiguous():
        return x.t()
    x, padded = x.contiguous(), -(-count // LANES) * LANES
    out = x.new_empty(neurons, padded)
    _library().transpose(count, neurons, padded, None, x.data_ptr(), out.data_ptr())
    return out


def gather(images: Tensor, chosen: Tensor) -> Tensor:
    """Return the images `chosen` (samples,) int64, flat: a transposed view, as sparse layers read.

    Images that do not fill blocks of 16 samples, or are not float32, are gathered as elsewhere.
    Raises IndexError for a number that no image has.
    """
    count = len(chosen)
    if count % LANES or images.dtype != torch.float32 or not images.is_contiguous():
        return images.index_select(0, chosen)
    chosen, neurons = chosen.contiguous(), prod(images.shape[1:])
    out = images.new_empty(neurons, count)
    if not _library().gather(
        count, neurons, len(images), chosen.data_ptr(), images.data_ptr(), out.data_ptr()
    ):  # fmt: skip
        raise IndexError(f"images are numbered 0 to {len(images) - 1}")
    return out.t()


def _library() -> ctypes.CDLL:
    """Return sparse.c compiled, its functions' arguments declared."""
    library = compiled.library(SOURCE)
    if library.forward.argtypes is None:
        number, at, run = ctypes.c_ssize_t, ctypes.c_void_p, ctypes.POINTER(_Structure)
        library.transpose.argtypes = library.gather.argtypes = [*[number] * 3, at, at, at]
        library.backward.argtypes = [run, number, *[at] * 5, number, at, at, number]
        library.forward.argtypes = [run, number, at, at, at, number]
        for function in (library.transpose, library.backward, library.forward):
            function.restype = None
    return library


def _int32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int32))

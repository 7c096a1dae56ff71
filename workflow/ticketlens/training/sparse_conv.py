"""The sparse training step of convolutional networks, with and without skips.

Where the convolutions of a network together have a density below `training.sparse_below`, all of
them train at the support of their masks: forward, both gradients, and the optimiser on the kept
values alone. The readout stays dense. sparse_conv.c computes on maps (blocks, channels, height,
width, 16), 16 samples beside each other, so any stride costs what its multiply-adds cost; its sums
have one order on every machine. Gradients are written out here, for chains and for residual blocks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ticketlens.networks import Convolutional, ResidualConvolutional
from ticketlens.training import compiled, ways
from ticketlens.training.gradients import Gradients
from ticketlens.training.sparse_conv_lists import (
    LANES,
    TILE,
    Geometry,
    Sink,
    SparseConvolution,
    Taps,
    View,
    WeightList,
)

SOURCE = Path(__file__).with_suffix(".c")
# As numbered in sparse_conv.c.
KINDS: dict[Callable[[Tensor], Tensor], int] = {
    torch.tanh: 1, torch.relu: 2, nn.functional.hardtanh: 3,
}  # fmt: skip
CHUNK = 128
"""Samples of one pass where nothing is kept for gradients."""


class SparseConvolutional(nn.Module):
    """A network of sparse convolutions, mean pooling of the last activation, and a dense readout.

    `layers` are in forward order, the readout last. `parameter` holds values, bias, values, bias, …
    of all convolutions: one vector for the optimiser.
    """

    def __init__(
        self, convolutions: Sequence[SparseConvolution], readout: nn.Module, kind: int, skips: bool
    ) -> None:
        super().__init__()
        self.convolutions, self.kind, self.skips = tuple(convolutions), kind, skips
        views = [view for layer in convolutions for view in (layer.values, layer.bias)]
        self.sizes = [len(view) for view in views]
        self.parameter = nn.Parameter(torch.cat(views))
        self.readout = readout
        parts = self.parameter.detach().split(self.sizes)
        for layer, values, bias in zip(convolutions, parts[::2], parts[1::2], strict=True):
            layer.values, layer.bias = values, bias
        self.geometries: list[Geometry] = []
        self.memory: dict[str, Tensor] = {}

    @property
    def layers(self) -> list[SparseConvolution | nn.Module]:
        """Return the layers in forward order, the readout last."""
        return [*self.convolutions, self.readout]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes).

        No gradient reaches the convolutions this way: see `gradients`.
        """
        return cast(
            Tensor, self.readout(torch.cat([self.pooled(part) for part in images.split(CHUNK)]))
        )

    def pooled(self, images: Tensor) -> Tensor:
        """Return the pooled last activations (samples, channels); keeps what gradients need.

        Raises TypeError unless the images are float32.
        """
        if images.dtype != torch.float32:
            raise TypeError(f"sparse layers compute in float32, not {images.dtype}")
        # Maps are kept between calls, of gradients too.
        with torch.inference_mode(False), torch.no_grad():
            return self._pooled(images)

    def _pooled(self, images: Tensor) -> Tensor:
        count, library = len(images), _library()
        blocks = -(-count // LANES)
        self._fit(images.shape[2:])
        self.inputs = [
            self._maps(f"input {number}", blocks, one.layer.shape[1], one.inside, one.layer.margin)
            for number, one in enumerate(self.geometries)
        ]
        last = self.geometries[-1]
        self.last = self._maps("last", blocks, last.layer.shape[0], last.outside, 0)
        first = _interior(self.inputs[0], self.geometries[0].layer.margin)
        first[-1] = 0.0  # samples that fill the last block
        for block, part in enumerate(images.split(LANES)):
            first[block, ..., : len(part)] = part.permute(1, 2, 3, 0)
        self._fill(0)
        trunk = None
        if self.skips:
            stem = self.geometries[0]
            trunk = self._maps("trunk", blocks, stem.layer.shape[0], stem.outside, 0)
        for number, one in enumerate(self.geometries):
            layer, is_last = one.layer, one is last
            to = self.last if is_last else self.inputs[number + 1]
            margin = 0 if is_last else self.geometries[number + 1].layer.margin
            # Layers 0, 2, 4, … (from 0) end in the trunk: the stem starts it, the others add to it.
            ends = trunk if self.skips and number % 2 == 0 else None
            sink = Sink(
                View.of(to, 1, margin, margin), View.of(ends),
                View.of(ends if number else None), View(), self.kind, 1,
            )  # fmt: skip
            self._products(
                one.forward,
                layer.values,
                layer.bias,
                one.outside,
                View.of(self.inputs[number], layer.stride),
                sink,
            )
            if not is_last:
                self._fill(number + 1)
        channels, pixels = self.last.shape[1], prod(last.outside)
        means = torch.empty(blocks, channels, LANES)
        library.pool(blocks * channels, pixels, self.last.data_ptr(), means.data_ptr())
        return means.permute(0, 2, 1).reshape(-1, channels)[:count]

    def backward(self, grad: Tensor) -> Tensor:
        """Return the gradient by `parameter`, from that by the `pooled` ones (samples, channels).

        It is that of the last call of `pooled`, whose activations are kept.
        """
        library, last = _library(), self.geometries[-1]
        blocks, channels = self.last.shape[:2]
        padded = grad.new_zeros(blocks * LANES, channels)
        padded[: len(grad)] = grad / prod(last.outside)
        # One gradient for all pixels of a channel: maps whose pixels are one.
        means = padded.view(blocks, LANES, channels).permute(0, 2, 1).contiguous()
        means = means[:, :, None, None].expand(-1, -1, *last.outside, -1)
        above = self._gradient("even", last)
        self._pass(means, above, last, self.last, 0)
        found = torch.empty_like(self.parameter)
        parts = found.split(self.sizes)
        for number in range(len(self.geometries) - 1, -1, -1):
            one = self.geometries[number]
            layer = one.layer
            inner = _interior(above, layer.reach)
            room = self._flat("room", LANES * (len(layer.values) + len(layer.bias)))
            library.weight_gradients(
                blocks, layer.shape[0], *one.outside, one.forward.listed(),
                View.of(self.inputs[number], layer.stride),
                View.of(inner), room.data_ptr(), parts[2 * number].data_ptr(),
                parts[2 * number + 1].data_ptr(),
            )  # fmt: skip
            if number:
                above = self._down(number, above)
        return found

    def _down(self, number: int, above: Tensor) -> Tensor:
        """Return the gradient by the sums of the layer below, from that of layer `number`."""
        library, one, below = _library(), self.geometries[number], self.geometries[number - 1]
        layer, blocks = one.layer, len(above)
        names = ("even", "odd")
        if self.skips:
            # The trunk's gradient stays in its place; that of a block's inside has its own.
            name = names[number % 2 == 0]
            skip = self.memory_of("even", below) if number % 2 else None
        else:
            name, skip = names[(len(self.geometries) - number) % 2], None
        to = self._gradient(name, below)
        library.fill(
            blocks * layer.shape[0], *one.outside, layer.reach,
            layer.circular and layer.stride == 1, above.data_ptr(),
        )  # fmt: skip
        source = View.of(above)
        y = self.inputs[number]
        if layer.stride == 1:
            inner = _interior(to, below.layer.reach)
            added = None if skip is None else _interior(skip, below.layer.reach)
            sink = Sink(
                View.of(inner), View(), View.of(added),
                View.of(_interior(y, layer.margin)), self.kind, 0,
            )  # fmt: skip
            self._products(one.backward[0], layer.values, one.zeros, one.inside, source, sink)
            return to
        room = self._maps("padded", blocks, layer.shape[1], one.inside, layer.margin)
        for taps in one.backward:
            rows, columns = (
                -(-(side - corner) // layer.stride)
                for side, corner in zip(room.shape[2:4], (taps.top, taps.left), strict=True)
            )
            to_pixels = View.of(room, layer.stride, taps.top, taps.left)
            sink = Sink(to_pixels, View(), View(), View(), 0, 0)
            self._products(taps, layer.values, one.zeros, (rows, columns), source, sink)
        if layer.circular:
            library.fold(blocks * layer.shape[1], *one.inside, layer.margin, room.data_ptr())
        self._pass(_interior(room, layer.margin), to, below, y, layer.margin)
        return to

    def _products(
        self, taps: Taps, values: Tensor, bias: Tensor, sides: Sequence[int], source: View,
        sink: Sink,
    ) -> None:  # fmt: skip
        """Sum the weights' products for all pixels of a map with these sides."""
        blocks, outputs = len(self.last), len(bias)
        sorted_, room = values[taps.place], self._flat("sums", outputs * TILE * TILE * LANES)
        _library().products(
            blocks, outputs, *sides, taps.listed(sorted_), bias.data_ptr(), source, sink,
            room.data_ptr(),
        )  # fmt: skip

    def _pass(self, sums: Tensor, to: Tensor, one: Geometry, y: Tensor, margin: int) -> None:
        """Write sums × phi'(y) into the gradient of a layer."""
        inner = _interior(to, one.layer.reach)
        slopes = View.of(_interior(y, margin))
        sink = Sink(View.of(inner), View(), View(), slopes, self.kind, 0)
        _library().copy(len(sums), one.layer.shape[0], *one.outside, View.of(sums), sink)

    def _gradient(self, name: str, one: Geometry) -> Tensor:
        return self._maps(name, len(self.last), one.layer.shape[0], one.outside, one.layer.reach)

    def memory_of(self, name: str, one: Geometry) -> Tensor:
        """Return the gradient that is there."""
        return self._gradient(name, one)

    def _fit(self, sides: Sequence[int]) -> None:
        """Make the lists of weights for images of this size, unless they are there."""
        height, width = sides
        if self.geometries and self.geometries[0].inside == (height, width):
            return
        self.geometries = []
        for layer in self.convolutions:
            self.geometries.append(Geometry(layer, height, width))
            height, width = self.geometries[-1].outside

    def _maps(
        self, name: str, blocks: int, channels: int, sides: Sequence[int], margin: int
    ) -> Tensor:
        """Return maps of this shape, their margins included, kept between steps."""
        shape = (blocks, channels, *(side + 2 * margin for side in sides), LANES)
        return self._flat(name, prod(shape)).view(shape)

    def _flat(self, name: str, size: int) -> Tensor:
        if name not in self.memory or len(self.memory[name]) < size:
            self.memory[name] = _aligned(size)
        return self.memory[name][:size]

    def _fill(self, number: int) -> None:
        """Fill the margins of a layer's inputs."""
        one, maps = self.geometries[number], self.inputs[number]
        _library().fill(
            maps.shape[0] * maps.shape[1], *one.inside, one.layer.margin, one.layer.circular,
            maps.data_ptr(),
        )  # fmt: skip


def gradients(model: nn.Module) -> Gradients | None:
    """Return the gradients of a network of sparse convolutions; None for any other network."""
    if not isinstance(model, SparseConvolutional):
        return None
    read = [cast(Tensor, model.readout.weight), cast(Tensor, model.readout.bias)]

    def found(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        pooled = model.pooled(images).requires_grad_()
        with torch.enable_grad():
            logits = model.readout(pooled)
            loss = nn.functional.cross_entropy(logits, labels)
            by_pooled, *by_readout = torch.autograd.grad(loss, [pooled, *read])
        by_values = model.backward(by_pooled)
        return loss.detach(), logits.detach(), [
            by_values, *(one.contiguous() for one in by_readout)
        ]  # fmt: skip

    return found


def compressed(
    model: nn.Module, masks: Sequence[npt.NDArray[np.bool_]], below: float, name: str
) -> nn.Module:
    """Return `model` with its convolutions compressed if their density together is below `below`.

    Raises ValueError, naming what is allowed, for an activation that sparse_conv.c does not have
    and for a network that is not a chain of convolutions, with or without skips.
    """
    *own, _ = masks
    if sum(int(mask.sum()) for mask in own) / sum(mask.size for mask in own) >= below:
        return model
    if type(model) not in (Convolutional, ResidualConvolutional):
        raise ValueError(
            f"training.sparse_below is {below:g} for a {type(model).__name__} network; allowed: "
            "the families 'convolutional' and 'resnet-conv'"
        )
    if model.activation not in KINDS:
        raise ValueError(
            f"training.sparse_below is {below:g} for convolutions of activation {name!r}; allowed: "
            "tanh, relu, hard_tanh, or sparse_below 0"
        )
    _library()
    *dense, readout = cast(Iterable[Any], model.layers)
    layers = []
    for module, mask in zip(dense, own, strict=True):
        layer = SparseConvolution(mask, module.stride[0], module.padding_mode == "circular")
        layer.set_weight(module.weight)
        layer.bias.copy_(module.bias.detach())
        layers.append(layer)
    skips = type(model) is ResidualConvolutional
    return SparseConvolutional(layers, readout, KINDS[cast(Any, model.activation)], skips)


def _aligned(size: int) -> Tensor:
    """Return room for floats, aligned to a line of the cache.

    numpy asks Linux for large pages: a layer's maps lie far apart, and many small pages would cost
    more than the sums.
    """
    room = np.empty(size + LANES, np.float32)
    skip = -room.ctypes.data // room.itemsize % LANES
    return torch.from_numpy(room[skip : skip + size])


def _interior(maps: Tensor, margin: int) -> Tensor:
    """Return maps without their margins, as a view."""
    height, width = maps.shape[2:4]
    return maps[:, :, margin : height - margin, margin : width - margin]


def _library() -> ctypes.CDLL:
    """Return sparse_conv.c compiled for the way to compute, its functions' arguments declared."""
    way = ways.chosen()
    # It has no use for tiles, nor for products of bfloat16.
    way = "avx512" if way in ("amx", "avx512bf16") else way
    library = compiled.library(SOURCE, ways.flags(way))
    if library.products.argtypes is None:
        number, at = ctypes.c_int64, ctypes.c_void_p
        view, sink, weights = map(ctypes.POINTER, (View, Sink, WeightList))
        library.products.argtypes = [*[number] * 4, weights, at, view, sink, at]
        library.weight_gradients.argtypes = [*[number] * 4, weights, view, view, at, at, at]
        library.fill.argtypes = [*[number] * 5, at]
        library.fold.argtypes = [*[number] * 4, at]
        library.copy.argtypes = [*[number] * 4, view, sink]
        library.pool.argtypes = [number, number, at, at]
        for name in ("products", "weight_gradients", "fill", "fold", "copy", "pool"):
            getattr(library, name).restype = None
    return library

"""Convolutional networks in bfloat16 arithmetic: forward, gradients, loss, optimiser.

docs/precision.md defines every sum; bfloat16.c computes them, by one of the `ways` of this machine,
all with the same bits. Parameters, their gradients, momenta and what is measured stay float32.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ticketlens.networks import ACTIVATIONS, Convolutional, ResidualConvolutional
from ticketlens.spec import BFLOAT16_KERNEL, TrainingSpec
from ticketlens.training import bfloat16_tables, compiled, ways
from ticketlens.training.bfloat16_library import Convolving, Finishing, Weighting, at, library
from ticketlens.training.bfloat16_tables import BLOCK, SLOT, Layout, Table
from ticketlens.training.optimization import Optimizer

VERSION = BFLOAT16_KERNEL
"""Of the definition that this module computes; the spec carries it as `bfloat16_kernel`."""
PRECISIONS = ("float32", "bfloat16")
# As numbered in bfloat16_lanes.h.
KINDS = {"linear": 0, "tanh": 1, "relu": 2, "hard_tanh": 3, "erf": 4}
EVALUATED = 32
"""Images of one forward pass of an evaluation; no bit depends on it."""
SPARE = 4 * SLOT
"""Pixels behind a map that the last slot may read."""


@dataclass(frozen=True)
class _Layer:
    """A convolution: its parameters, its shape in blocks, and where its weights stand in a row."""

    weight: Tensor
    bias: Tensor
    kernel: int
    stride: int
    in_blocks: int
    out_blocks: int
    taps: int
    parts: int
    place: Table

    @classmethod
    def of(cls, layer: nn.Conv2d, is_first: bool) -> _Layer:
        if layer.bias is None:
            raise ValueError("training.precision is 'bfloat16' and a layer has no bias; allowed: "
                             "layers with biases, or precision float32")  # fmt: skip
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        outputs, inputs, area = layer.out_channels, layer.in_channels, kernel * kernel
        if is_first:
            # Inputs are those of the kernel, in the order (row, column, channel), of one tap.
            number = np.arange(area * inputs)
            row, taps = number % inputs * area + number // inputs, 1
        else:
            row, taps = np.arange(inputs * area), area
        rows = row.reshape(-1, taps)
        place = np.full((_blocks(len(rows)) * BLOCK, taps), -1, np.int32)
        place[: len(rows)] = rows
        return cls(
            layer.weight.detach(), layer.bias.detach(), kernel, stride, len(place) // BLOCK,
            _blocks(outputs), taps, 2 if is_first else 1, place,
        )  # fmt: skip

    @property
    def weights(self) -> int:
        """Return the weights (32, 32) of one pair of blocks."""
        return self.taps * self.parts

    @property
    def numbers(self) -> int:
        """Return how many numbers the packed weight has."""
        return self.in_blocks * self.out_blocks * self.weights * BLOCK * BLOCK


class Network:
    """A convolutional network, plain or residual, in bfloat16 arithmetic on the model's parameters.

    Built for images (samples, channels, height, width) of one size, found at the first call.
    Raises ValueError for what the definition leaves out, naming what is allowed.
    """

    def __init__(self, model: nn.Module, way: str | None = None) -> None:
        if type(model) not in (Convolutional, ResidualConvolutional):
            raise ValueError(
                "training.precision is 'bfloat16'; allowed for families other than convolutional "
                "and resnet-conv: float32"
            )
        if any(p.device.type != "cpu" for p in model.parameters()):
            raise ValueError("training.precision is 'bfloat16', on the CPU only; allowed: "
                             "training.device cpu, or precision float32")  # fmt: skip
        self.way = way or chosen_way()
        self.library = library(self.way)
        *convolutions, readout = cast("Iterable[Any]", model.layers)
        self.layers = [_Layer.of(layer, not index) for index, layer in enumerate(convolutions)]
        self.padding = convolutions[0].padding_mode
        self.activation = KINDS[
            next(name for name, phi in ACTIVATIONS.items() if phi is model.activation)
        ]
        self.is_residual = isinstance(model, ResidualConvolutional)
        self.weight, self.bias = readout.weight.detach(), readout.bias.detach()
        self.found = [torch.empty_like(parameter) for parameter in model.parameters()]
        self.number = torch.int16 if self.library.number_bytes() == 2 else torch.float32
        self.forward_weights = [self._numbers(layer.numbers) for layer in self.layers]
        self.backward_weights = [self._numbers(layer.numbers) for layer in self.layers]
        self.biases = [torch.zeros(layer.out_blocks * BLOCK) for layer in self.layers]
        self.shape: tuple[int, ...] = ()
        self.rooms: dict[tuple[int, bool], _Room] = {}

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the mean loss (float64), the logits, and a gradient per parameter, overwritten by
        the next call.

        Images are (samples, channels, height, width) float32, labels (samples,) int64.
        """
        self._plan(images)
        self._pack(self.forward_weights, exchanged=False)
        self._pack(self.backward_weights, exchanged=True)
        room = self._room(len(images), True)
        mean, logits = self._forward(images, room)
        grad = torch.empty_like(logits)
        loss, _ = self._loss(logits, labels, grad)
        self._backward(room, mean, grad)
        return torch.tensor(loss / len(images), dtype=torch.float64), logits, self.found

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (samples, classes)."""
        self._plan(images)
        self._pack(self.forward_weights, exchanged=False)
        return torch.cat(
            [self._forward(part, self._room(len(part), False))[1]
             for part in (images[first : first + EVALUATED]
                          for first in range(0, len(images), EVALUATED))]
        )  # fmt: skip

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy."""
        loss, correct = self._loss(self.logits(images), labels, None)
        return loss / len(labels), correct / len(labels)

    def _plan(self, images: Tensor) -> None:
        """Make the tables for images of this shape."""
        shape = tuple(images.shape[1:])
        if shape == self.shape:
            return
        self.shape, self.rooms = shape, {}
        channels, height, width = shape
        first, *others = self.layers
        sides = [(height, width)]
        for layer in self.layers:
            sides.append((-(-sides[-1][0] // layer.stride), -(-sides[-1][1] // layer.stride)))
        for layer, side in zip(others, sides[1:], strict=False):
            if self.padding == "circular" and any(n % layer.stride for n in side):
                raise ValueError(
                    f"training.precision is 'bfloat16', stride {layer.stride} on a map of "
                    f"{side[0]}x{side[1]} pixels, padded circularly; allowed: maps that the "
                    "stride divides, or precision float32"
                )
            if layer.stride not in (1, 2):
                raise ValueError(
                    f"training.precision is 'bfloat16' and a stride is {layer.stride}; allowed "
                    "behind the first layer: 1, 2"
                )
        margins = [bfloat16_tables.margin(layer.kernel, layer.stride) for layer in others]
        end = (margins or [0])[-1] if self.is_residual else 0
        # What each layer but the first reads, and at last what is pooled.
        inputs = [
            *(Layout(*side, layer.stride, pad)
              for side, layer, pad in zip(sides[1:], others, margins, strict=False)),
            Layout(*sides[-1], 1, end),
        ]  # fmt: skip
        # Gradients by the output of each layer; the first layer's is not convolved.
        outputs = [
            Layout(*side, 1, pad) for side, pad in zip(sides[1:], [end, *margins], strict=True)
        ]
        pixels = sides[1][0] * sides[1][1]
        self.inputs, self.outputs, self.pixels = (
            inputs,
            outputs,
            [2 * pixels] + [layout.pixels for layout in inputs],
        )
        self.source = bfloat16_tables.unfolded(height, width, first.kernel, self.padding)
        self.sides = sides[1]
        self.tables = [bfloat16_tables.first(pixels, sides[1], inputs[0], self.padding)]
        self.weighing = [bfloat16_tables.first_weighing(pixels, outputs[0])]
        self.back_tables = []
        for index, layer in enumerate(others):
            here, result = inputs[index], outputs[index + 1]
            self.tables.append(
                bfloat16_tables.forward(here, inputs[index + 1], layer.kernel, self.padding)
            )
            self.weighing.append(bfloat16_tables.weighing(here, result, layer.kernel))
            self.back_tables.append(
                bfloat16_tables.backward(result, here, outputs[index], layer.kernel, self.padding)
            )
        self.convolving = [
            Convolving.of(tables, layer.in_blocks, layer.out_blocks, layer.weights)
            for tables, layer in zip(self.tables, self.layers, strict=True)
        ]
        self.back_convolving = [
            Convolving.of(tables, layer.out_blocks, layer.in_blocks, layer.weights)
            for tables, layer in zip(self.back_tables, others, strict=True)
        ]
        self.weighting = [
            Weighting.of(tables, (layer.in_blocks, layer.out_blocks),
                         (pixels, result.pixels))
            for tables, layer, pixels, result in
            zip(self.weighing, self.layers, self.pixels, outputs, strict=False)
        ]  # fmt: skip
        rows, columns = np.mgrid[0 : sides[-1][0], 0 : sides[-1][1]]
        self.pooled = inputs[-1].of_pixel(rows.ravel(), columns.ravel())
        self.spread = outputs[-1].of_pixel(rows.ravel(), columns.ravel())
        self._plan_rooms(channels, height * width)

    def _plan_rooms(self, channels: int, area: int) -> None:
        """Find the largest of what is needed for one image, and allocate it."""
        everything = [
            *((layer.in_blocks, t) for layer, t in zip(self.layers, self.tables, strict=True)),
            *((layer.out_blocks, t)
              for layer, t in zip(self.layers[1:], self.back_tables, strict=True)),
        ]  # fmt: skip
        prepared = max(blocks * tables.prepared_pixels for blocks, tables in everything)
        views = max(
            layer.in_blocks * len(t.view)
            for layer, t in zip(self.layers, self.weighing, strict=True)
        )
        spread = max(
            layer.out_blocks * len(t.spread)
            for layer, t in zip(self.layers, self.weighing, strict=True)
        )
        self.prepared = self._numbers((prepared + SPARE) * BLOCK)
        self.views, self.across = self._numbers(views * BLOCK), self._numbers(spread * BLOCK)
        self.products = torch.empty(max(layer.numbers for layer in self.layers))
        flat = 2 * channels * (area + self.source.size) + 64
        self.flat = torch.empty(flat, dtype=torch.int16)

    def _room(self, images: int, is_training: bool) -> _Room:
        key = (images, is_training)
        if key not in self.rooms:
            for old in [old for old in self.rooms if old[1] == is_training]:
                del self.rooms[old]
            self.rooms[key] = _Room.of(self, images, is_training)
        return self.rooms[key]

    def _pack(self, weights: list[Tensor], exchanged: bool) -> None:
        for index, (layer, packed) in enumerate(zip(self.layers, weights, strict=True)):
            self.biases[index][: len(layer.bias)].copy_(layer.bias)
            if exchanged and index == 0:
                continue
            self.library.pack(
                len(layer.weight), layer.weight[0].numel(), layer.out_blocks, layer.in_blocks,
                layer.taps, layer.parts, exchanged, layer.place.ctypes.data,
                at(layer.weight), at(packed),
            )  # fmt: skip

    def _forward(self, images: Tensor, room: _Room) -> tuple[Tensor, Tensor]:
        """Return the means over pixels (samples, channels) and the logits."""
        count, first, images = len(images), self.layers[0], images.contiguous()
        channels, height, width = self.shape
        self.library.unfold(
            count, channels, height * width, first.in_blocks, first.kernel, first.stride,
            *self.sides, self.source.size, self.source.shape[1], self.source.ctypes.data,
            at(images), at(room.maps[0]), at(self.flat),
        )  # fmt: skip
        if room.trunk is not None:
            room.trunk.zero_()
        last = len(self.layers) - 1
        for index, convolving in enumerate(self.convolving):
            pixels = self.inputs[index].pixels
            finishing = Finishing(
                1, self.activation, at(self.biases[index]),
                None if index == last else at(room.maps[index + 1]),
                at(room.derivatives[index]) if room.derivatives else None,
                at(room.trunk) if self._is_on_trunk(index) else None,
                at(room.sums) if index == last else None, pixels, pixels,
            )  # fmt: skip
            self.library.convolve(
                convolving, finishing, count, at(room.maps[index]),
                at(self.forward_weights[index]), at(self.prepared),
            )  # fmt: skip
        classes, channels = self.weight.shape
        mean, logits = torch.empty(count, channels), torch.empty(count, classes)
        self.library.read_out(
            count, channels, self.layers[-1].out_blocks * BLOCK, classes, len(self.pooled),
            at(room.sums), at(self.weight), at(self.bias), at(mean), at(logits),
        )  # fmt: skip
        return mean, logits

    def _loss(self, logits: Tensor, labels: Tensor, grad: Tensor | None) -> tuple[float, int]:
        """Return the sum of the losses and the correctly classified; write the mean's gradient."""
        losses, correct = torch.empty(len(logits)), ctypes.c_int64()
        labels = labels.contiguous()
        total = self.library.cross_entropy(
            *logits.shape, at(logits), at(labels), at(losses), correct, at(grad)
        )
        return total, correct.value

    def _backward(self, room: _Room, mean: Tensor, grad: Tensor) -> None:
        classes, channels = self.weight.shape
        count, stride = len(mean), self.layers[-1].out_blocks * BLOCK
        slope = torch.empty(count, stride)
        self.library.read_back(
            count, channels, stride, classes, len(self.pooled), at(grad), at(mean),
            at(self.weight), at(self.found[-2]), at(self.found[-1]), at(slope),
        )  # fmt: skip
        last, turn = len(self.layers) - 1, itertools.cycle((1, 0))
        gradient = room.gradients[next(turn)]
        layout, maps = self.outputs[last], count * self.layers[-1].out_blocks
        margins = layout.margins(self.padding) if last else np.empty((0, 2), np.int32)
        self.library.spread(
            count, self.layers[-1].out_blocks, len(self.spread), self.spread.ctypes.data,
            self.pooled.ctypes.data, layout.pixels, self.inputs[last].pixels, at(slope),
            at(room.derivatives[last]), at(gradient[last]), at(room.trunk), at(room.sums),
        )  # fmt: skip
        self.library.wrap(maps, layout.pixels, len(margins), margins.ctypes.data,
                          at(gradient[last]))  # fmt: skip
        for index in range(last, -1, -1):
            layer = self.layers[index]
            outputs, width = len(layer.weight), layer.weight[0].numel()
            by_weight, by_bias = self.found[2 * index : 2 * index + 2]
            self.library.total(count, layer.out_blocks * BLOCK, outputs, at(room.sums), at(by_bias))
            self.library.weigh(
                self.weighting[index], count, at(room.maps[index]), at(gradient[index]),
                at(self.products), at(self.views), at(self.across),
            )  # fmt: skip
            self.library.unpack(
                outputs, width, layer.out_blocks, layer.in_blocks, layer.taps,
                layer.place.ctypes.data, at(self.products), at(by_weight),
            )  # fmt: skip
            if index == 0:
                break
            below = room.gradients[next(turn)]
            finishing = Finishing(
                0, self.activation, None, at(below[index - 1]), at(room.derivatives[index - 1]),
                at(room.trunk) if self._is_on_trunk(index - 1) else None, at(room.sums),
                self.outputs[index - 1].pixels, self.inputs[index - 1].pixels,
            )  # fmt: skip
            self.library.convolve(
                self.back_convolving[index - 1], finishing, count, at(gradient[index]),
                at(self.backward_weights[index]), at(self.prepared),
            )  # fmt: skip
            gradient = below

    def _is_on_trunk(self, index: int) -> bool:
        """Whether the layer adds to the trunk: the stem and the second layer of every block."""
        return self.is_residual and index % 2 == 0

    def _numbers(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=self.number)


@dataclass(frozen=True)
class _Room:
    """The maps of a batch, kept between batches: memory that is new costs page faults.

    `maps` are what the layers read; when only evaluated, layers of one layout share them in turn.
    `gradients` are two sets of maps by layer, used in turn. Margins of zeros are never written.
    """

    maps: list[Tensor]
    derivatives: list[Tensor]
    gradients: list[dict[int, Tensor]]
    trunk: Tensor | None
    sums: Tensor

    @classmethod
    def of(cls, network: Network, images: int, is_training: bool) -> _Room:
        layers = network.layers
        out = [images * layer.out_blocks for layer in layers]
        maps = [_map(images * layers[0].in_blocks, network.pixels[0])]
        shared: dict[tuple[int, Layout, int], Tensor] = {}
        for index, layout in enumerate(network.inputs[:-1]):
            if is_training:
                maps.append(_map(out[index], layout.pixels))
            else:
                key = (index % 2, layout, out[index])
                if key not in shared:
                    shared[key] = _map(out[index], layout.pixels)
                maps.append(shared[key])
        derivatives, gradients = [], []
        if is_training:
            pairs = list(zip(out, network.inputs, strict=True))
            derivatives = [_map(count, layout.pixels) for count, layout in pairs]
            both: dict[tuple[int, Layout, int], Tensor] = {}
            for turn in range(2):
                chosen = {}
                for index, (count, layout) in enumerate(zip(out, network.outputs, strict=True)):
                    key = (turn, layout, count)
                    if key not in both:
                        both[key] = _map(count, layout.pixels)
                    chosen[index] = both[key]
                gradients.append(chosen)
        trunk = None
        if network.is_residual:
            trunk = torch.zeros(out[0] * network.inputs[0].pixels * BLOCK)
        return cls(maps, derivatives, gradients, trunk, torch.zeros(max(out) * BLOCK))


def check(spec: TrainingSpec) -> None:
    """Raise ValueError for a precision, or a version of its definition, that is unknown here."""
    if spec.precision not in PRECISIONS:
        raise ValueError(
            f"training.precision is {spec.precision!r}; allowed: {', '.join(PRECISIONS)}"
        )
    if spec.precision == "bfloat16" and spec.sparse_below > 0:
        raise ValueError(
            f"training.precision is 'bfloat16' and sparse_below {spec.sparse_below:g}; allowed: "
            "sparse_below 0 (layers in bfloat16 train dense), or precision float32"
        )
    version = VERSION if spec.precision == "bfloat16" else 0
    if spec.bfloat16_kernel != version:
        raise ValueError(
            f"training.bfloat16_kernel is {spec.bfloat16_kernel} with precision "
            f"{spec.precision!r}; allowed: {version}"
        )


def optimizer(spec: TrainingSpec, parameters: Sequence[Tensor], way: str) -> Optimizer:
    """Return the optimiser whose updates have the same bits on every machine.

    The formulas are those of `optimization.optimizer`. Raises ValueError for an unknown one.
    """
    bare = [parameter.detach() for parameter in parameters]
    if spec.optimizer == "sgd":
        return _sgd(spec, bare, way)
    if spec.optimizer == "adam":
        return _adam(spec, bare, way)
    raise ValueError(f"training.optimizer is {spec.optimizer!r}; allowed: ['adam', 'sgd']")


def _sgd(spec: TrainingSpec, parameters: list[Tensor], way: str) -> Optimizer:
    momenta = [torch.zeros_like(parameter) for parameter in parameters] if spec.momentum else []

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        slots: Sequence[Tensor | None] = momenta or [None] * len(parameters)
        for parameter, gradient, slot in zip(parameters, gradients, slots, strict=True):
            library(way).sgd(
                parameter.numel(), at(parameter), at(gradient), at(slot), float(rate),
                spec.momentum, spec.weight_decay,
            )  # fmt: skip

    return Optimizer({"momentum_buffer": momenta} if momenta else {}, update)


def _adam(spec: TrainingSpec, parameters: list[Tensor], way: str) -> Optimizer:
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    steps = [torch.zeros(()) for _ in parameters]

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        for values in zip(parameters, gradients, means, squares, steps, strict=True):
            parameter, gradient, mean, square, step = values
            step += 1
            library(way).adam(
                parameter.numel(), at(parameter), at(gradient), at(mean), at(square), int(step),
                float(rate), spec.momentum, 0.999, 1e-8, spec.weight_decay,
            )  # fmt: skip

    return Optimizer({"exp_avg": means, "exp_avg_sq": squares, "step": steps}, update)


def chosen_way() -> str:
    """Return the way of this machine (see `ways.chosen`).

    Raises ValueError, naming what can be done, without a C compiler.
    """
    try:
        way = ways.chosen()
        library(way)
    except compiled.CompilerError as error:
        raise ValueError(
            f"training.precision is 'bfloat16': {error}\ninstall gcc or clang, or name a C "
            "compiler in $CC, or set training.precision to float32"
        ) from error
    return way


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK)


def _map(blocks: int, pixels: int) -> Tensor:
    """Return zeros for maps of so many blocks, bfloat16 as int16."""
    return torch.zeros((blocks * pixels + SPARE) * BLOCK, dtype=torch.int16)

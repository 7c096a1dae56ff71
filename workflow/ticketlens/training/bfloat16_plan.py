"""What a convolutional network in bfloat16 reads and writes: packed layers, tables, maps.

`Plan` is a function of shapes alone; `Room` is the memory for batches of one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ticketlens.training import bfloat16_tables
from ticketlens.training.bfloat16_library import Convolving, Weighting
from ticketlens.training.bfloat16_tables import BLOCK, SLOT, Convolution, Layout, Table, Weighing

SPARE = 4 * SLOT
"""Pixels behind a map that the last slot may read."""


@dataclass(frozen=True)
class Layer:
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
    def of(cls, layer: nn.Conv2d, is_first: bool) -> Layer:
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
            layer.weight.detach(), cast(Tensor, layer.bias).detach(), kernel, stride,
            len(place) // BLOCK, _blocks(outputs), taps, 2 if is_first else 1, place,
        )  # fmt: skip

    @property
    def weights(self) -> int:
        """Return the weights (32, 32) of one pair of blocks."""
        return self.taps * self.parts

    @property
    def numbers(self) -> int:
        """Return how many numbers the packed weight has."""
        return self.in_blocks * self.out_blocks * self.weights * BLOCK * BLOCK


@dataclass(frozen=True)
class Plan:
    """The tables for images of one shape (channels, height, width).

    `inputs` are the layouts of what each layer but the first reads, and at last of what is pooled;
    `outputs` those of gradients by each layer's output; `pixels` the numbers of pixels of each
    layer's input. `kept` are the tables that the library's structures point to.
    """

    shape: tuple[int, ...]
    inputs: list[Layout]
    outputs: list[Layout]
    pixels: list[int]
    source: Table
    first: tuple[int, int]
    convolving: list[Convolving]
    back: list[Convolving]
    weighting: list[Weighting]
    pooled: Table
    spread: Table
    kept: tuple[list[Convolution], list[Convolution], list[Weighing]]

    @classmethod
    def of(
        cls, layers: Sequence[Layer], shape: tuple[int, ...], padding: str, is_residual: bool
    ) -> Plan:
        """Make it. Raises ValueError for maps and strides that the definition leaves out."""
        _, height, width = shape
        first, *others = layers
        sides = [(height, width)]
        for layer in layers:
            sides.append((-(-sides[-1][0] // layer.stride), -(-sides[-1][1] // layer.stride)))
        for layer, side in zip(others, sides[1:], strict=False):
            _check(layer.stride, side, padding)
        margins = [bfloat16_tables.margin(layer.kernel, layer.stride) for layer in others]
        end = (margins or [0])[-1] if is_residual else 0
        inputs = [
            *(Layout(*side, layer.stride, pad)
              for side, layer, pad in zip(sides[1:], others, margins, strict=False)),
            Layout(*sides[-1], 1, end),
        ]  # fmt: skip
        # The first layer's gradient is not convolved.
        outputs = [
            Layout(*side, 1, pad) for side, pad in zip(sides[1:], [end, *margins], strict=True)
        ]
        area = sides[1][0] * sides[1][1]
        pixels = [2 * area] + [layout.pixels for layout in inputs]
        ahead = [bfloat16_tables.first(area, sides[1], inputs[0], padding)]
        weighing = [bfloat16_tables.first_weighing(area, outputs[0])]
        back = []
        for index, layer in enumerate(others):
            here, result = inputs[index], outputs[index + 1]
            ahead.append(bfloat16_tables.forward(here, inputs[index + 1], layer.kernel, padding))
            weighing.append(bfloat16_tables.weighing(here, result, layer.kernel))
            back.append(
                bfloat16_tables.backward(result, here, outputs[index], layer.kernel, padding)
            )
        rows, columns = np.mgrid[0 : sides[-1][0], 0 : sides[-1][1]]
        return cls(
            shape, inputs, outputs, pixels,
            bfloat16_tables.unfolded(height, width, first.kernel, padding), sides[1],
            [Convolving.of(tables, layer.in_blocks, layer.out_blocks, layer.weights)
             for tables, layer in zip(ahead, layers, strict=True)],
            [Convolving.of(tables, layer.out_blocks, layer.in_blocks, layer.weights)
             for tables, layer in zip(back, others, strict=True)],
            [Weighting.of(tables, (layer.in_blocks, layer.out_blocks), (number, result.pixels))
             for tables, layer, number, result in
             zip(weighing, layers, pixels, outputs, strict=False)],
            inputs[-1].of_pixel(rows.ravel(), columns.ravel()),
            outputs[-1].of_pixel(rows.ravel(), columns.ravel()), (ahead, back, weighing),
        )  # fmt: skip

    def rooms(self, layers: Sequence[Layer]) -> tuple[int, int, int, int]:
        """Return how many numbers are needed: for a chunk's images as they are prepared, for a
        group's views and its gradients laid out, and for an image in two parts."""
        ahead, back, weighing = self.kept
        everything = [
            *((layer.in_blocks, t) for layer, t in zip(layers, ahead, strict=True)),
            *((layer.out_blocks, t) for layer, t in zip(layers[1:], back, strict=True)),
        ]
        prepared = max(b * tables.together * tables.prepared_pixels for b, tables in everything)
        pairs = list(zip(layers, weighing, strict=True))
        views = max(layer.in_blocks * t.images * t.view.shape[1] for layer, t in pairs)
        spread = max(layer.out_blocks * len(t.block) * BLOCK for layer, t in pairs)
        channels, height, width = self.shape
        flat = 2 * channels * (height * width + self.source.size) + 64
        return (prepared + SPARE) * BLOCK, views * BLOCK, spread * BLOCK, flat


def _check(stride: int, side: tuple[int, int], padding: str) -> None:
    """Refuse what the definition leaves out behind the first layer."""
    if padding == "circular" and any(n % stride for n in side):
        raise ValueError(
            f"training.precision is 'bfloat16', stride {stride} on a map of "
            f"{side[0]}x{side[1]} pixels, padded circularly; allowed: maps that the "
            "stride divides, or precision float32"
        )
    if stride not in (1, 2):
        raise ValueError(
            f"training.precision is 'bfloat16' and a stride is {stride}; allowed "
            "behind the first layer: 1, 2"
        )


@dataclass(frozen=True)
class Room:
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
    def of(
        cls, plan: Plan, layers: Sequence[Layer], images: int, is_training: bool, is_residual: bool
    ) -> Room:
        """Allocate it for so many images."""
        out = [images * layer.out_blocks for layer in layers]
        maps = [_map(images * layers[0].in_blocks, plan.pixels[0])]
        shared: dict[tuple[int, Layout, int], Tensor] = {}
        for index, layout in enumerate(plan.inputs[:-1]):
            if is_training:
                maps.append(_map(out[index], layout.pixels))
            else:
                key = (index % 2, layout, out[index])
                if key not in shared:
                    shared[key] = _map(out[index], layout.pixels)
                maps.append(shared[key])
        derivatives, gradients = [], []
        if is_training:
            pairs = list(zip(out, plan.inputs, strict=True))
            derivatives = [_map(count, layout.pixels) for count, layout in pairs]
            both: dict[tuple[int, Layout, int], Tensor] = {}
            for turn in range(2):
                chosen = {}
                for index, (count, layout) in enumerate(zip(out, plan.outputs, strict=True)):
                    key = (turn, layout, count)
                    if key not in both:
                        both[key] = _map(count, layout.pixels)
                    chosen[index] = both[key]
                gradients.append(chosen)
        trunk = None
        if is_residual:
            trunk = torch.zeros(out[0] * plan.inputs[0].pixels * BLOCK)
        return cls(maps, derivatives, gradients, trunk, torch.zeros(max(out) * BLOCK))


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK)


def _map(blocks: int, pixels: int) -> Tensor:
    """Return zeros for maps of so many blocks, bfloat16 as int16."""
    return torch.zeros((blocks * pixels + SPARE) * BLOCK, dtype=torch.int16)

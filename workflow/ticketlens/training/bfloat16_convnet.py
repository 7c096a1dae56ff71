"""Convolutional networks in bfloat16 arithmetic: forward, gradients, loss.

docs/precision.md defines every sum; bfloat16_convolution.h and bfloat16_weights.h compute them.
Threads share the images of a batch, and the outputs of a weight's gradient: no sum is cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ticketlens.networks import ResidualConvolutional
from ticketlens.training.bfloat16_library import (
    Convolving,
    Finishing,
    Weighting,
    at,
    chosen_way,
    cross_entropy,
    kind_of,
    library,
)
from ticketlens.training.bfloat16_plan import Layer, Plan, Room
from ticketlens.training.bfloat16_tables import BLOCK
from ticketlens.training.threads import Threads

EVALUATED = 32
"""Images of one forward pass of an evaluation; no bit depends on it."""


class ConvNet:
    """A convolutional network, plain or residual, in bfloat16 arithmetic on the model's parameters.

    Built for images (samples, channels, height, width) of one size, found at the first call.
    Raises ValueError for what the definition leaves out, naming what is allowed.
    """

    def __init__(self, model: nn.Module, way: str | None = None) -> None:
        self.way = way or chosen_way()
        self.library = library(self.way)
        self.threads = Threads(1)
        *convolutions, readout = cast("Iterable[Any]", model.layers)
        self.layers = [Layer.of(layer, not index) for index, layer in enumerate(convolutions)]
        self.padding = convolutions[0].padding_mode
        self.activation = kind_of(model)
        self.is_residual = isinstance(model, ResidualConvolutional)
        self.weight, self.bias = readout.weight.detach(), readout.bias.detach()
        self.found = [torch.empty_like(parameter) for parameter in model.parameters()]
        self.number = torch.int16 if self.library.number_bytes() == 2 else torch.float32
        self.forward_weights = [self._numbers(layer.numbers) for layer in self.layers]
        self.backward_weights = [self._numbers(layer.numbers) for layer in self.layers]
        self.biases = [torch.zeros(layer.out_blocks * BLOCK) for layer in self.layers]
        self.plan: Plan | None = None
        self.rooms: dict[tuple[int, bool], Room] = {}

    def share_among(self, threads: int) -> None:
        """Share what follows among so many threads; no bit depends on how many."""
        self.threads, self.plan = Threads(threads), None

    def gather(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Return the chosen images."""
        return images.index_select(0, chosen)

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the mean loss (float64), the logits, and a gradient per parameter, overwritten by
        the next call.

        Images are (samples, channels, height, width) float32, labels (samples,) int64.
        """
        plan = self._planned(images)
        self._pack(self.forward_weights, exchanged=False)
        self._pack(self.backward_weights, exchanged=True)
        room = self._room(plan, len(images), True)
        mean, logits = self._forward(plan, images, room)
        grad = torch.empty_like(logits)
        loss, _ = cross_entropy(self.library, logits, labels, grad)
        self._backward(plan, room, mean, grad)
        return torch.tensor(loss / len(images), dtype=torch.float64), logits, self.found

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (samples, classes)."""
        plan = self._planned(images)
        self._pack(self.forward_weights, exchanged=False)
        return torch.cat(
            [self._forward(plan, part, self._room(plan, len(part), False))[1]
             for part in (images[first : first + EVALUATED]
                          for first in range(0, len(images), EVALUATED))]
        )  # fmt: skip

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy."""
        loss, correct = cross_entropy(self.library, self.logits(images), labels, None)
        return loss / len(labels), correct / len(labels)

    def _planned(self, images: Tensor) -> Plan:
        """Return the tables for images of this shape, made at its first batch."""
        shape = tuple(images.shape[1:])
        if self.plan is None or self.plan.shape != shape:
            self.plan = Plan.of(self.layers, shape, self.padding, self.is_residual)
            self.rooms = {}
            prepared, views, across, flat = self.plan.rooms(self.layers)
            self.prepared, self.views, self.across = (
                [self._numbers(count) for _ in range(self.threads.count)]
                for count in (prepared, views, across)
            )
            self.flat = [torch.empty(flat, dtype=torch.int16) for _ in self.prepared]
            self.products = torch.empty(max(layer.numbers for layer in self.layers))
        return self.plan

    def _room(self, plan: Plan, images: int, is_training: bool) -> Room:
        key = (images, is_training)
        if key not in self.rooms:
            for old in [old for old in self.rooms if old[1] == is_training]:
                del self.rooms[old]
            self.rooms[key] = Room.of(plan, self.layers, images, is_training, self.is_residual)
        return self.rooms[key]

    def _pack(self, weights: list[Tensor], exchanged: bool) -> None:
        for bias, layer in zip(self.biases, self.layers, strict=True):
            bias[: len(layer.bias)].copy_(layer.bias)
        pairs = list(zip(self.layers, weights, strict=True))
        if exchanged:
            del pairs[0]  # nobody asks for the gradient by the images

        def pack(_: int, share: range) -> None:
            for layer, packed in pairs[share.start : share.stop]:
                self.library.pack(
                    len(layer.weight), layer.weight[0].numel(), layer.out_blocks, layer.in_blocks,
                    layer.taps, layer.parts, exchanged, layer.place.ctypes.data,
                    at(layer.weight), at(packed),
                )  # fmt: skip

        self.threads.share(len(pairs), pack)

    def _forward(self, plan: Plan, images: Tensor, room: Room) -> tuple[Tensor, Tensor]:
        """Return the means over pixels (samples, channels) and the logits."""
        count, first, images = len(images), self.layers[0], images.contiguous()
        channels, height, width = plan.shape

        def unfold(thread: int, share: range) -> None:
            self.library.unfold(
                len(share), channels, height * width, first.in_blocks, first.kernel, first.stride,
                *plan.first, plan.source.size, plan.source.shape[1], plan.source.ctypes.data,
                at(images[share.start :]),
                _behind(room.maps[0], share.start * first.in_blocks * plan.pixels[0]),
                at(self.flat[thread]),
            )  # fmt: skip

        self.threads.share(count, unfold)
        if room.trunk is not None:
            room.trunk.zero_()
        last = len(self.layers) - 1
        for index, convolving in enumerate(plan.convolving):
            pixels = plan.inputs[index].pixels
            finishing = Finishing(
                1, self.activation, at(self.biases[index]),
                None if index == last else at(room.maps[index + 1]),
                at(room.derivatives[index]) if room.derivatives else None,
                at(room.trunk) if self._is_on_trunk(index) else None,
                at(room.sums) if index == last else None, pixels, pixels,
            )  # fmt: skip
            self._convolve(
                convolving, finishing, count, room.maps[index], self.forward_weights[index]
            )
        classes, channels = self.weight.shape
        mean, logits = torch.empty(count, channels), torch.empty(count, classes)
        self.library.read_out(
            count, channels, self.layers[-1].out_blocks * BLOCK, classes, len(plan.pooled),
            at(room.sums), at(self.weight), at(self.bias), at(mean), at(logits),
        )  # fmt: skip
        return mean, logits

    def _backward(self, plan: Plan, room: Room, mean: Tensor, grad: Tensor) -> None:
        classes, channels = self.weight.shape
        count, stride = len(mean), self.layers[-1].out_blocks * BLOCK
        slope = torch.empty(count, stride)
        self.library.read_back(
            count, channels, stride, classes, len(plan.pooled), at(grad), at(mean),
            at(self.weight), at(self.found[-2]), at(self.found[-1]), at(slope),
        )  # fmt: skip
        last, turn = len(self.layers) - 1, itertools.cycle((1, 0))
        gradient = room.gradients[next(turn)]
        layout, maps = plan.outputs[last], count * self.layers[-1].out_blocks
        margins = layout.margins(self.padding) if last else np.empty((0, 2), np.int32)
        self.library.spread(
            count, self.layers[-1].out_blocks, len(plan.spread), plan.spread.ctypes.data,
            plan.pooled.ctypes.data, layout.pixels, plan.inputs[last].pixels, at(slope),
            at(room.derivatives[last]), at(gradient[last]), at(room.trunk), at(room.sums),
        )  # fmt: skip
        self.library.wrap(maps, layout.pixels, len(margins), margins.ctypes.data,
                          at(gradient[last]))  # fmt: skip
        for index in range(last, -1, -1):
            layer = self.layers[index]
            outputs, width = len(layer.weight), layer.weight[0].numel()
            by_weight, by_bias = self.found[2 * index : 2 * index + 2]
            self.library.total(count, layer.out_blocks * BLOCK, outputs, at(room.sums), at(by_bias))
            self._weigh(plan.weighting[index], count, room.maps[index], gradient[index])
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
                plan.outputs[index - 1].pixels, plan.inputs[index - 1].pixels,
            )  # fmt: skip
            self._convolve(
                plan.back[index - 1], finishing, count, gradient[index],
                self.backward_weights[index],
            )  # fmt: skip
            gradient = below

    def _convolve(
        self, tables: Convolving, finishing: Finishing, count: int, source: Tensor, weights: Tensor
    ) -> None:
        def work(thread: int, share: range) -> None:
            self.library.convolve(
                tables, finishing.behind(share.start * tables.out_blocks), len(share),
                _behind(source, share.start * tables.in_blocks * tables.pixels),
                at(weights), at(self.prepared[thread]),
            )  # fmt: skip

        self.threads.share(count, work)

    def _weigh(self, tables: Weighting, count: int, source: Tensor, gradient: Tensor) -> None:
        def work(thread: int, share: range) -> None:
            self.library.weigh(
                tables.of_outputs(share), count, at(source), at(gradient), at(self.products),
                at(self.views[thread]), at(self.across[thread]),
            )  # fmt: skip

        self.threads.share(tables.out_blocks, work)

    def _is_on_trunk(self, index: int) -> bool:
        """Whether the layer adds to the trunk: the stem and the second layer of every block."""
        return self.is_residual and index % 2 == 0

    def _numbers(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=self.number)


def _behind(maps: Tensor, pixels: int) -> int:
    """Return the address of maps from a pixel of 32 bfloat16 numbers on."""
    return maps.data_ptr() + pixels * BLOCK * maps.element_size()

"""Fully connected networks in bfloat16 arithmetic: forward, gradients, loss.

docs/precision.md defines every sum; bfloat16_linear.h computes them, all layers in one call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ticketlens.networks import ResidualFullyConnected
from ticketlens.training.bfloat16_library import (
    Batch,
    Linear,
    at,
    chosen_way,
    cross_entropy,
    kind_of,
    library,
)
from ticketlens.training.bfloat16_tables import BLOCK

EVALUATED = 256
"""Images of one forward pass of an evaluation; no bit depends on it."""


class FCNet:
    """A fully connected network, plain or residual, in bfloat16 arithmetic on the model's
    parameters."""

    def __init__(self, model: nn.Module, way: str | None = None) -> None:
        self.way = way or chosen_way()
        self.library = library(self.way)
        *linears, readout = cast("Iterable[Any]", model.layers)
        self.activation = kind_of(model)
        self.is_residual = isinstance(model, ResidualFullyConnected)
        self.parameters = [parameter.detach() for parameter in model.parameters()]
        self.found = [torch.empty_like(parameter) for parameter in self.parameters]
        self.shapes = [tuple(layer.weight.shape) for layer in linears]
        self.weight, self.bias = readout.weight.detach(), readout.bias.detach()
        number = torch.int16 if self.library.number_bytes() == 2 else torch.float32
        # For each layer: the weight packed for the way ahead, for the way back, and the bias.
        self.packed = [
            (
                torch.empty(_padded(outputs) * _padded(inputs), dtype=number),
                torch.empty(_padded(outputs) * _padded(inputs), dtype=number) if index else None,
                torch.empty(_padded(outputs)),
            )
            for index, (outputs, inputs) in enumerate(self.shapes)
        ]
        self.number = number
        self.rooms: dict[bool, _Room] = {}

    def share_among(self, threads: int) -> None:
        """Do nothing: a step is too short to be shared."""

    def gather(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Return the chosen images, rounded and laid out for `gradients`.

        Raises IndexError for a number that no image has.
        """
        if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(images):
            raise IndexError(f"images are numbered 0 to {len(images) - 1}")
        return self._laid_out(images, chosen.contiguous())

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the mean loss (float64), the logits, and a gradient per parameter, overwritten by
        the next call.

        Images are (samples, …) float32, or what `gather` returns; labels (samples,) int64.
        """
        count = len(labels)
        x = images if images.dtype == torch.int16 else self._laid_out(images, None)
        room = self._room(count, True)
        self._pack(room)
        logits = self._forward(x, room)
        grad = torch.empty_like(logits)
        loss, _ = cross_entropy(self.library, logits, labels, grad)
        slope = torch.empty_like(room.top)
        width = self.weight.shape[1]
        self.library.read_back(
            count, width, room.top.shape[1], len(self.weight), 1, at(grad), at(room.mean),
            at(self.weight), at(self.found[-2]), at(self.found[-1]), at(slope),
        )  # fmt: skip
        self.library.linear_backward(room.layers, len(self.shapes), room.batch, at(slope))
        return torch.tensor(loss / count, dtype=torch.float64), logits, self.found

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (samples, classes)."""
        found: list[Tensor] = []
        for part in images.split(EVALUATED):
            room = self._room(len(part), False)
            if not found:
                self._pack(room)
            found.append(self._forward(self._laid_out(part, None), room))
        return torch.cat(found)

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy."""
        loss, correct = cross_entropy(self.library, self.logits(images), labels, None)
        return loss / len(labels), correct / len(labels)

    def _laid_out(self, images: Tensor, chosen: Tensor | None) -> Tensor:
        """Return images, all or the chosen ones, as the map that the first layer reads."""
        images = images.contiguous()
        count, width = len(images) if chosen is None else len(chosen), images[0].numel()
        to = torch.empty(_padded(count) * _padded(width), dtype=torch.int16)
        self.library.linear_gather(
            count, _padded(count), width, at(chosen), at(images), at(to)
        )  # fmt: skip
        return to

    def _room(self, samples: int, is_training: bool) -> _Room:
        room = self.rooms.get(is_training)
        if room is None or room.samples != samples:
            room = self.rooms[is_training] = _Room(self, samples, is_training)
        return room

    def _pack(self, room: _Room) -> None:
        self.library.linear_pack(room.layers, len(self.shapes))

    def _forward(self, x: Tensor, room: _Room) -> Tensor:
        """Return the logits; the room keeps what the way back needs."""
        room.layers[0].x = at(x)
        room.images = x
        self.library.linear_forward(room.layers, len(self.shapes), room.batch)
        classes, width = self.weight.shape
        logits = torch.empty(room.samples, classes)
        self.library.read_out(
            room.samples, width, room.top.shape[1], classes, 1, at(room.top), at(self.weight),
            at(self.bias), at(room.mean), at(logits),
        )  # fmt: skip
        return logits


class _Room:
    """The memory of a batch of one size, and the structures that point to it.

    Kept between batches: memory that is new costs page faults.
    """

    def __init__(self, network: FCNet, samples: int, is_training: bool) -> None:
        rows, self.samples, self.images = _padded(samples), samples, torch.empty(0)
        widths = [_padded(outputs) for outputs, _ in network.shapes]
        widest = max(widths)
        last = len(widths) - 1
        self.maps = [torch.empty(rows * width, dtype=torch.int16) for width in widths[:-1]]
        self.slopes = [
            torch.empty(rows * width if is_training else 0, dtype=torch.int16) for width in widths
        ]
        self.gradients = [torch.empty(rows * widest, dtype=torch.int16) for _ in range(2)]
        self.trunk = torch.empty(rows * widest if network.is_residual else 0)
        self.top = torch.empty(samples, widths[-1])
        self.mean = torch.empty(samples, network.weight.shape[1])
        self.sums = torch.empty(widest)
        largest = max(_padded(inputs) for _, inputs in network.shapes)
        self.left, self.right = (
            torch.empty(rows * max(widest, largest), dtype=network.number) for _ in range(2)
        )
        self.layers = (Linear * len(widths))()
        for index, ((outputs, inputs), (ahead, back, padded)) in enumerate(
            zip(network.shapes, network.packed, strict=True)
        ):
            weight, bias = network.parameters[2 * index : 2 * index + 2]
            by_weight, by_bias = network.found[2 * index : 2 * index + 2]
            self.layers[index] = Linear(
                inputs, outputs, _padded(inputs) // BLOCK, _padded(outputs) // BLOCK,
                network.is_residual and index % 2 == 0, at(weight), at(bias), at(by_weight),
                at(by_bias), at(padded), at(ahead), at(back) if is_training else None,
                at(self.maps[index - 1]) if index else None,
                at(self.maps[index]) if index < last else None,
                at(self.slopes[index]) if is_training else None,
            )  # fmt: skip
        self.batch = Batch(
            samples, rows, network.activation, at(self.trunk) if network.is_residual else None,
            at(self.top), at(self.sums), (ctypes.c_void_p * 2)(*map(at, self.gradients)),
            at(self.left), at(self.right),
        )  # fmt: skip


def _padded(count: int) -> int:
    """Return the next multiple of 32."""
    return -(-count // BLOCK) * BLOCK

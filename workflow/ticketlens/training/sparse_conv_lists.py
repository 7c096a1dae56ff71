"""What sparse_conv.c works on: layers on masks, views of maps, and lists of weights."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ticketlens.training.support import SparseLayer

LANES = 16
TILE = 4
"""Rows and columns of a tile of 16 pixels."""
NEAR = 8192
"""Floats of the nearest cache that a tile's inputs may fill: 32 KiB."""


class SparseConvolution(SparseLayer):
    """A convolution on a mask (out, in, k, k), its values in the mask's own order."""

    def __init__(self, mask: npt.NDArray[np.bool_], stride: int, circular: bool) -> None:
        super().__init__(mask, np.flatnonzero(mask))
        self.stride, self.circular = stride, circular
        self.margin = mask.shape[2] // 2
        # A gradient with this margin has a place for all that any input's gradient asks for.
        self.reach = -(-(mask.shape[2] - 1) // stride) if stride > 1 else self.margin
        self.at = tuple(mask.nonzero())  # (out, in, row, column), in this order


class View(ctypes.Structure):
    """Pixels of maps, as sparse_conv.c sees them."""

    _fields_ = (
        ("at", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("block", "plane", "row", "pixel")),
    )

    @classmethod
    def of(cls, maps: Tensor | None, every: int = 1, top: int = 0, left: int = 0) -> View:
        """Every so many pixels of maps (blocks, channels, height, width, 16) from a corner on."""
        if maps is None:
            return cls()
        block, plane, row, pixel, _ = maps.stride()
        at = maps.data_ptr() + (top * row + left * pixel) * maps.element_size()
        return cls(at, block, plane, every * row, every * pixel)


class WeightList(ctypes.Structure):
    _fields_ = (
        ("groups", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("start", "offset", "place", "value")),
    )


class Sink(ctypes.Structure):
    _fields_ = (
        *((name, View) for name in ("to", "also", "add", "y")),
        *((name, ctypes.c_int64) for name in ("kind", "forward")),
    )


@dataclass(frozen=True, eq=False)
class Taps:
    """Weights by groups of channels that they read, and in a group by the channel they add to.

    `start` (groups × channels + 1,) says where each begins, `offset` (weights,) how far off its
    input is, `place` (weights,) which of the layer's values it has: all int32.
    """

    groups: int
    start: Tensor
    offset: Tensor
    place: Tensor
    top: int = 0
    left: int = 0

    @classmethod
    def of(
        cls,
        to: npt.NDArray[np.int64],
        source: npt.NDArray[np.int64],
        offset: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        counts: tuple[int, int],
        channels: int,
        corner: tuple[int, int] = (0, 0),
    ) -> Taps:
        """Sort weights from channels `source` to channels `to`.

        `counts` says how many of both there are, `to` first. Groups are of so many `channels`.
        Raises ValueError for maps too large for their offsets.
        """
        if offset.size and LANES * int(offset.max()) >= 2**31:
            raise ValueError(
                "maps of 2**31 floats or more; allowed: smaller images or fewer channels"
            )
        groups = -(-counts[1] // channels)
        cell = source // channels * counts[0] + to
        order = np.lexsort((place, source, cell))
        start = np.searchsorted(cell[order], np.arange(groups * counts[0] + 1))
        return cls(
            groups, _int32(start), _int32(LANES * offset[order]), _int32(place[order]), *corner
        )

    def listed(self, values: Tensor | None = None) -> WeightList:
        """Return the list, with values in its order; the arrays must outlive it."""
        arrays = (self.start, self.offset, self.place, values)
        return WeightList(
            self.groups, *(None if array is None else array.data_ptr() for array in arrays)
        )


def _channels(rows: int, columns: int, stride: int, kernel: int) -> int:
    """Return of how many channels the nearest cache holds what a tile sees."""
    seen = prod((side - 1) * stride + kernel for side in (rows, columns))
    return max(1, NEAR // (seen * LANES))


class Geometry:
    """A layer on maps of one size: lists of weights for sums forward and backward."""

    def __init__(self, layer: SparseConvolution, height: int, width: int) -> None:
        self.layer, self.inside = layer, (height, width)
        margin, reach, every = layer.margin, layer.reach, layer.stride
        outputs, inputs, kernel, _ = layer.shape
        self.outside = tuple((side + 2 * margin - kernel) // every + 1 for side in self.inside)
        out, into, row, column = layer.at
        line = width + 2 * margin
        plane = (height + 2 * margin) * line
        weights = np.arange(len(out))
        offset = into * plane + row * line + column
        counts = (outputs, inputs)
        seen = (TILE, TILE, every, kernel)
        self.forward = Taps.of(out, into, offset, weights, counts, _channels(*seen))
        line = self.outside[1] + 2 * reach
        plane = (self.outside[0] + 2 * reach) * line
        # The gradient by inputs, one list for each class of pixels that the same weights reach.
        self.backward = []
        for top in range(every):
            for left in range(every):
                here = np.flatnonzero((row % every == top) & (column % every == left))
                up, over = row[here] // every, column[here] // every
                if every == 1:  # interior pixels; else those of the margins, too
                    up, over = up - margin, over - margin
                offset = out[here] * plane + (reach - up) * line + reach - over
                channels = _channels(TILE, TILE, 1, -(-kernel // every))
                taps = Taps.of(
                    into[here], out[here], offset, here, counts[::-1], channels, (top, left)
                )
                self.backward.append(taps)
        self.zeros = torch.zeros(inputs)


def _int32(array: npt.NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array.astype(np.int32))

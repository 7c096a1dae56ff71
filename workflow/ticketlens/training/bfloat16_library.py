"""bfloat16.c as Python calls it: its structures, its functions' arguments, compiled for a way."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ticketlens.networks import ACTIVATIONS
from ticketlens.training import compiled, ways
from ticketlens.training.bfloat16_tables import BLOCK, Convolution, Pass, Weighing

SOURCE = Path(__file__).with_name("bfloat16.c")
HEADERS = tuple(
    SOURCE.with_name(name)
    for name in (
        "bfloat16_lanes.h",
        "bfloat16_pairs.h",
        "bfloat16_blocks.h",
        "bfloat16_tiles.h",
        "bfloat16_convolution.h",
        "bfloat16_weights.h",
        "bfloat16_linear.h",
        "bfloat16_readout.h",
    )
)
KINDS = {"linear": 0, "tanh": 1, "relu": 2, "hard_tanh": 3, "erf": 4}
"""Activations as bfloat16_lanes.h numbers them."""
_AT, _COUNT, _FLOAT, _DOUBLE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_double


class _Pass(ctypes.Structure):
    _fields_ = (
        ("taps", _COUNT), ("offset", _AT), ("weight", _AT), ("slots", _COUNT), ("slot", _AT),
        ("to", _AT), ("aside", _AT),
    )  # fmt: skip

    @classmethod
    def of(cls, one: Pass) -> _Pass:
        return cls(
            len(one.offset), _table(one.offset), _table(one.weight), len(one.slot),
            _table(one.slot), _table(one.to), _table(one.aside),
        )  # fmt: skip


class Convolving(ctypes.Structure):
    """`convolution` of bfloat16_convolution.h. Its tables must outlive it."""

    _fields_ = (
        *((name, _COUNT) for name in
          ("in_blocks", "out_blocks", "weights", "passes", "pixels", "gathered", "together")),
        ("gather", _AT), ("margins", _COUNT), ("margin", _AT), ("pass", _Pass * 4),
    )  # fmt: skip

    @classmethod
    def of(cls, tables: Convolution, in_blocks: int, out_blocks: int, weights: int) -> Convolving:
        """Fill it from tables; `weights` are those of one pair of blocks."""
        return cls(
            in_blocks, out_blocks, weights, len(tables.passes), tables.source_pixels,
            len(tables.gather), tables.together, _table(tables.gather), len(tables.margins),
            _table(tables.margins),
            (_Pass * 4)(*map(_Pass.of, tables.passes)),
        )  # fmt: skip


class Finishing(ctypes.Structure):
    """`finishing` of bfloat16_convolution.h."""

    _fields_ = (
        ("is_forward", _COUNT), ("activation", _COUNT),
        *((name, _AT) for name in ("bias", "to", "derivative", "trunk", "sums")),
        ("pixels", _COUNT), ("aside_pixels", _COUNT),
    )  # fmt: skip

    def behind(self, blocks: int) -> Finishing:
        """Return the same for maps that begin so many blocks later."""
        numbers = blocks * BLOCK

        def later(name: str, size: int) -> int | None:
            address = getattr(self, name)
            return None if address is None else address + size * numbers

        return Finishing(
            self.is_forward, self.activation, self.bias,
            later("to", 2 * self.pixels), later("derivative", 2 * self.aside_pixels),
            later("trunk", 4 * self.pixels), later("sums", 4), self.pixels, self.aside_pixels,
        )  # fmt: skip


class Weighting(ctypes.Structure):
    """`weighing` of bfloat16_weights.h. Its tables must outlive it."""

    _fields_ = (
        *((name, _COUNT) for name in
          ("in_blocks", "out_blocks", "first_out", "outs", "taps", "parts", "in_pixels",
           "out_pixels", "blocks", "images", "group", "view_pixels")),
        *((name, _AT) for name in ("view", "spread", "offset", "block", "order")),
    )  # fmt: skip

    @classmethod
    def of(cls, tables: Weighing, blocks: tuple[int, int], pixels: tuple[int, int]) -> Weighting:
        """Fill it from tables; `blocks` and `pixels` are those of the input and of the output."""
        return cls(
            *blocks, 0, blocks[1], *tables.offset.shape, *pixels, tables.blocks, tables.images,
            tables.group, tables.view.shape[1], _table(tables.view), _table(tables.spread),
            _table(tables.offset), _table(tables.block), _table(tables.order),
        )  # fmt: skip

    def of_outputs(self, share: range) -> Weighting:
        """Return the same for the sums of some blocks of outputs alone."""
        part = Weighting.from_buffer_copy(self)
        part.first_out, part.outs = share.start, len(share)
        return part


class Linear(ctypes.Structure):
    """`linear` of bfloat16_linear.h."""

    _fields_ = (
        *((name, _COUNT) for name in
          ("inputs", "outputs", "in_blocks", "out_blocks", "is_on_trunk")),
        *((name, _AT) for name in
          ("weight", "bias", "by_weight", "by_bias", "padded", "ahead", "back", "x", "y", "slope")),
    )  # fmt: skip


class Batch(ctypes.Structure):
    """`batch` of bfloat16_linear.h."""

    _fields_ = (
        *((name, _COUNT) for name in ("samples", "rows", "activation")),
        *((name, _AT) for name in ("trunk", "top", "sums")), ("gradient", _AT * 2),
        *((name, _AT) for name in ("left", "right")),
    )  # fmt: skip


def _pointer(kind: type) -> type:
    return ctypes.POINTER(kind)


_ARGUMENTS: dict[str, list[type]] = {
    "number_bytes": [],
    "pack": [*[_COUNT] * 7, *[_AT] * 3],
    "unfold": [*[_COUNT] * 10, *[_AT] * 4],
    "convolve": [_pointer(Convolving), _pointer(Finishing), _COUNT, *[_AT] * 3],
    "weigh": [_pointer(Weighting), _COUNT, *[_AT] * 5],
    "unpack": [*[_COUNT] * 5, *[_AT] * 3],
    "spread": [*[_COUNT] * 3, _AT, _AT, _COUNT, _COUNT, *[_AT] * 5],
    "wrap": [*[_COUNT] * 3, _AT, _AT],
    "linear_pack": [_pointer(Linear), _COUNT],
    "linear_gather": [*[_COUNT] * 3, *[_AT] * 3],
    "linear_forward": [_pointer(Linear), _COUNT, _pointer(Batch)],
    "linear_backward": [_pointer(Linear), _COUNT, _pointer(Batch), _AT],
    "read_out": [*[_COUNT] * 5, *[_AT] * 5],
    "cross_entropy": [_COUNT, _COUNT, *[_AT] * 3, _pointer(_COUNT), _AT],
    "read_back": [*[_COUNT] * 5, *[_AT] * 6],
    "total": [*[_COUNT] * 3, _AT, _AT],
    "sgd": [_COUNT, *[_AT] * 4, *[_FLOAT] * 3],
    "adam": [_COUNT, *[_AT] * 5, _COUNT, *[_DOUBLE] * 4, _FLOAT],
}
_RESULTS = {"number_bytes": _COUNT, "cross_entropy": _DOUBLE}


@functools.cache
def library(way: str) -> ctypes.CDLL:
    """Return bfloat16.c compiled for a way (see `ways`).

    Raises CompilerError if that fails, and WayError if this machine lacks the way.
    """
    return declared(compiled.library(SOURCE, ways.flags(ways.checked(way)), HEADERS))


def declared(found: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the arguments of the functions of bfloat16.c, and return it."""
    for name, arguments in _ARGUMENTS.items():
        function = getattr(found, name)
        function.argtypes, function.restype = arguments, _RESULTS.get(name)
    return found


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


def kind_of(model: nn.Module) -> int:
    """Return the number of a model's activation."""
    return KINDS[next(name for name, phi in ACTIVATIONS.items() if phi is model.activation)]


def cross_entropy(
    found: ctypes.CDLL, logits: Tensor, labels: Tensor, gradient: Tensor | None
) -> tuple[float, int]:
    """Return the sum of the losses and the correctly classified; write the mean's gradient."""
    losses, correct = torch.empty(len(logits)), ctypes.c_int64()
    labels = labels.contiguous()
    total = found.cross_entropy(
        *logits.shape, at(logits), at(labels), at(losses), correct, at(gradient)
    )
    return total, correct.value


def at(tensor: Tensor | None) -> int | None:
    """Return a tensor's address, None for None."""
    return None if tensor is None else tensor.data_ptr()


def _table(table: npt.NDArray[np.int32]) -> int | None:
    return table.ctypes.data if table.size else None

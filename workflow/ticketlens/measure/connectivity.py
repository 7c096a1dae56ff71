"""Stability to the order of the data: the straight line between two trainings of one ticket.

Two trainings of one ticket that differ in the order of the data alone are *linearly connected* if
the error does not rise on the straight line between their weights (Frankle, Dziugaite, Roy, Carbin
2020, arXiv:1912.05671). Both hold one mask, so that every point of the line holds it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.measure.gradients import Floats

POINTS = 11
Error = Callable[[Sequence[Layer]], float]
"""Share of images that a network classifies wrong, or another error."""


def between(one: Sequence[Layer], other: Sequence[Layer], share: float) -> tuple[Layer, ...]:
    """Return the layers at (1 − share)·one + share·other, weights and biases, in float32.

    Raises ValueError, naming the layer, if the two do not hold the same masks.
    """
    return tuple(
        replace(
            first,
            weight=_mixed(first.weight, second.weight, share),
            bias=_mixed(first.bias, second.bias, share),
        )
        for first, second in _pairs(one, other)
    )


def errors(
    one: Sequence[Layer], other: Sequence[Layer], error: Error, points: int = POINTS
) -> Floats:
    """Return the error at `points` equal steps from `one` (share 0) to `other` (share 1)."""
    return np.array([error(between(one, other, share)) for share in np.linspace(0, 1, points)])


def barrier(along: npt.NDArray[np.floating]) -> float:
    """Return the error barrier: the largest error on the line minus the mean of its two ends.

    In the unit of `along` (points, from end to end); at least half the difference of the ends.
    """
    return float(np.max(along) - (along[0] + along[-1]) / 2)


def distance(one: Sequence[Layer], other: Sequence[Layer]) -> float:
    """Return ‖one − other‖ over ‖one‖: weights of all layers, biases left out; NaN for 0.

    Networks of different masks have a distance, too: what one alone keeps is 0 in the other.
    """
    pairs = list(zip(one, other, strict=True))
    apart = sum(float(np.sum((a.weight.astype(float) - b.weight) ** 2)) for a, b in pairs)
    size = sum(float(np.sum(a.weight.astype(float) ** 2)) for a, _ in pairs)
    return float(np.sqrt(apart / size)) if size else np.nan


def pruned_to(
    network: Sequence[Layer], masks: Sequence[npt.NDArray[np.bool_]]
) -> tuple[Layer, ...]:
    """Return a trained network with the weights off `masks` set to 0: the pruned solution.

    A ticket trains from theta_0 on the same masks; `distance` to this says how far it ends from the
    network that it was pruned of.
    """
    return tuple(
        replace(layer, mask=mask, weight=np.where(mask, layer.weight, np.float32(0)))
        for layer, mask in zip(network, masks, strict=True)
    )


def _mixed(
    one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.float32]:
    mixed = (1 - share) * one.astype(np.float64) + share * other.astype(np.float64)
    return mixed.astype(np.float32)


def _pairs(one: Sequence[Layer], other: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    pairs = list(zip(one, other, strict=True))
    for first, second in pairs:
        if not np.array_equal(first.mask, second.mask):
            raise ValueError(
                f"layer {first.name}: the two networks do not hold the same mask; allowed: two "
                "trainings of one ticket"
            )
    return pairs

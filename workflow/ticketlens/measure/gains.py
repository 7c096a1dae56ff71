"""How theory reads sigma_w² off the weights of one given layer, by taps of its kernel.

A reading is a function of a layer; the gain times p, the mean of phi², gives q of the next layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from ticketlens.checkpoint import Layer
from ticketlens.measure.propagation import kernel


def naive_gain(layer: Layer) -> np.ndarray:
    """Return what R0 takes for sigma_w², spread over the kernel's taps: (taps,)."""
    kept = layer.weight[layer.mask].astype(float)
    _, channels, *size = layer.weight.shape
    return np.full(np.prod(size, dtype=int), channels * kept.var() if kept.size else 0.0)


def second_moment_gain(layer: Layer) -> np.ndarray:
    """Return what R1 takes for sigma_w², by taps of the kernel: (taps,)."""
    return cast(np.ndarray, np.sum(kernel(layer) ** 2, axis=(1, 2)) / len(layer.bias))


Gain = Callable[[Layer], np.ndarray]
GAINS: dict[str, Gain] = {"naive": naive_gain, "second_moment": second_moment_gain}

"""Locality of a mask of the first layer: how close together the inputs of a neuron lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class InputLocality:
    """Mean distance in pixels between two inputs of the same first-layer neuron.

    within: (neurons,), NaN for a neuron with fewer than two inputs.
    random: the value expected for uniformly random inputs, whatever their number.
    between: mean distance between an input of one neuron and another input of another neuron. It
        is the null for inputs that all neurons prefer (say, the middle of the image): such a mask
        has within = between < random, a local one within < between. NaN for one neuron.
    """

    within: np.ndarray
    random: float
    between: float

    @property
    def neurons(self) -> int:
        """Neurons with at least two inputs."""
        return int(np.count_nonzero(~np.isnan(self.within)))

    @property
    def mean(self) -> float:
        """Mean of `within` over those neurons; NaN without any."""
        return float(np.nansum(self.within) / self.neurons) if self.neurons else math.nan


def input_locality(mask: np.ndarray, image_shape: tuple[int, int, int]) -> InputLocality:
    """Measure how close together the inputs of each first-layer neuron lie in the image.

    `mask` is `(neurons, channels·height·width)`, or one neuron's row, in the order of
    `image_shape` = (channels, height, width). Distances are Euclidean, in pixels; two channels of
    one pixel are two inputs at distance zero.

    Raises ValueError for a mask that is not boolean or does not match the image's shape.
    """
    mask = np.atleast_2d(mask)
    channels, height, width = image_shape
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.shape[1] != channels * height * width:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype} for images of shape {image_shape}: "
            "a boolean mask of the fully connected first layer is needed"
        )
    # Over ordered pairs; an input paired with itself adds distance zero and is not counted.
    maps = mask.reshape(-1, channels, height, width).sum(axis=1)
    degrees, uses = mask.sum(axis=1), mask.sum(axis=0)
    sums, pairs = _pair_distance_sums(maps), degrees * (degrees - 1)
    everything = np.full((1, height, width), channels)
    inputs = mask.shape[1]
    between_sum = _pair_distance_sums(maps.sum(axis=0)[None])[0] - sums.sum()
    between_pairs = int(uses.sum()) ** 2 - int(uses @ uses) - int(pairs.sum())
    return InputLocality(
        within=np.divide(sums, pairs, out=np.full(sums.shape, np.nan), where=pairs > 0),
        random=float(_pair_distance_sums(everything)[0]) / (inputs * (inputs - 1) or math.nan),
        between=float(between_sum) / between_pairs if between_pairs else math.nan,
    )


def _pair_distance_sums(maps: np.ndarray) -> np.ndarray:
    """Return Σ over ordered pairs of pixels of n_p n_q |p − q| for each map (maps, height, width).

    Through the autocorrelation, which counts the pairs at each offset (integers, hence rint);
    padding to twice the size keeps opposite borders apart.
    """
    height, width = (2 * size for size in maps.shape[1:])
    power = np.square(np.abs(np.fft.rfft2(maps, (height, width))))
    pairs = np.rint(np.fft.irfft2(power, (height, width)))
    rows, columns = (np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width))
    return np.tensordot(pairs, np.hypot(rows[:, None], columns), axes=2)

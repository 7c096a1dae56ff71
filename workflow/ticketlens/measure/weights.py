"""Statistics of a layer's weights: moments, histograms, two peaks, and the selection null.

Weights and masks have the layer's shape, `(out, in)` or `(out, in, k, k)`; kept weights are those
where the mask is true. All sums run in float64. What an empty or a diverged layer cannot give is
NaN, so that its row of the table stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

DIP_TABLE_LIMIT = 72_000  # the largest sample in the table of critical values


@dataclass(frozen=True)
class WeightStatistics:
    """Moments of n weights w of one layer. All but `mean_standard_error` are population values.

    count: n.
    mean, mean_standard_error: mean of w, and √(Σ(w − mean)²/(n − 1)/n), for independent weights.
    std: √(Σ(w − mean)²/n), about the mean (ddof = 0).
    std_scaled: std·√fan_in, to compare with sigma_w.
    second_moment: mean of w², about zero.
    fourth_moment_ratio: (mean of w⁴)/(mean of w²)², about zero: 3 for a centred Gaussian, 1 for ±a.
    kurtosis: the same ratio about the mean (Pearson's, 3 for a Gaussian; not the excess).
    positive_fraction: sign balance, positive weights among those that are not exactly zero.
    """

    count: int
    mean: float
    mean_standard_error: float
    std: float
    std_scaled: float
    second_moment: float
    fourth_moment_ratio: float
    kurtosis: float
    positive_fraction: float


@dataclass(frozen=True)
class TrainingChange:
    """How the kept weights moved in training.

    count: kept weights. correlation: Pearson's, of initial with trained values.
    sign_flip_fraction: trained weights of the opposite sign, among those that started nonzero.
    """

    count: int
    correlation: float
    sign_flip_fraction: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts (bins,) int64 over `edges` (bins + 1,), and what fell below, above, or was NaN.

    A bin holds edges[i] <= value < edges[i + 1]; the last one includes its upper edge. Nothing is
    dropped: counts.sum() + below + above + not_a_number is the number of values.
    """

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int
    not_a_number: int


@dataclass(frozen=True)
class DipTest:
    """Hartigan's dip, its p value under unimodality, and the number of values that were used."""

    dip: float
    p_value: float
    n: int


def weight_statistics(weight: np.ndarray, mask: np.ndarray | None, fan_in: int) -> WeightStatistics:
    """Return the moments of the kept weights; of all weights, zeros counted, for mask None.

    Raises ValueError for a mask of another shape or not boolean, or a fan_in below 1.
    """
    if fan_in < 1:
        raise ValueError(f"fan_in is {fan_in}: a neuron has at least one input")
    values = _kept(weight, mask)
    n = values.size
    nan = math.nan
    if n == 0 or not np.isfinite(values).all():
        return WeightStatistics(n, nan, nan, nan, nan, nan, nan, nan, nan)
    mean, variance, _, kurtosis = _moments(values)
    squares = np.square(values)
    second_moment = float(squares.mean())
    std = math.sqrt(variance)
    nonzero = int(np.count_nonzero(values))
    return WeightStatistics(
        count=n,
        mean=mean,
        mean_standard_error=std / math.sqrt(n - 1) if n > 1 else nan,
        std=std,
        std_scaled=std * math.sqrt(fan_in),
        second_moment=second_moment,
        fourth_moment_ratio=_ratio(float(np.square(squares).mean()), second_moment**2),
        kurtosis=kurtosis,
        positive_fraction=_ratio(int(np.count_nonzero(values > 0)), nonzero),
    )


def training_change(
    initial_weight: np.ndarray, trained_weight: np.ndarray, mask: np.ndarray | None
) -> TrainingChange:
    """Return how kept weights differ between theta_0 (or theta_k) and the end of training.

    A correlation without spread on either side is NaN.

    Raises ValueError for arrays of different shapes, or a mask that is not boolean.
    """
    if initial_weight.shape != trained_weight.shape:
        raise ValueError(
            f"initial weights have shape {initial_weight.shape}, trained ones "
            f"{trained_weight.shape}: both belong to one layer"
        )
    initial = _kept(initial_weight, mask)
    trained = _kept(trained_weight, mask)
    finite = np.isfinite(initial).all() and np.isfinite(trained).all()
    if initial.size == 0 or not finite:
        return TrainingChange(initial.size, math.nan, math.nan)
    flipped = int(np.count_nonzero(np.sign(initial) * np.sign(trained) < 0))
    return TrainingChange(
        count=initial.size,
        correlation=correlation(initial, trained),
        sign_flip_fraction=_ratio(flipped, int(np.count_nonzero(initial))),
    )


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation of two equally long arrays; NaN if one of them is constant."""
    if a.size == 0 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    a = a - a.mean(dtype=np.float64)
    b = b - b.mean(dtype=np.float64)
    return float(np.clip(_ratio(a @ b, math.sqrt(a @ a) * math.sqrt(b @ b)), -1, 1))


# Histograms


def common_edges(limit: float = 8.0, bins: int = 161) -> np.ndarray:
    """Return bins + 1 edges from −limit to limit, exactly symmetric.

    For weights scaled by √fan_in they are common to all layers. The default reaches beyond five
    sigma_w = 1.4; an odd number of bins puts zero at the centre of a bin.

    Raises ValueError for limit <= 0 or bins < 1.
    """
    if not 0 < limit < math.inf or bins < 1:
        raise ValueError(
            f"limit is {limit}, bins {bins}: limit must be positive and finite, bins at least 1"
        )
    return (2 * np.arange(bins + 1) - bins) * (limit / bins)


def histogram(values: np.ndarray, edges: np.ndarray) -> Histogram:
    """Count values per bin; those outside the edges and NaN are counted apart.

    Raises ValueError for fewer than two edges, or edges that do not increase.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges have shape {edges.shape}: at least two increasing ones are needed")
    values = np.asarray(values, dtype=np.float64).ravel()
    nan = np.isnan(values)
    counts, _ = np.histogram(values[~nan], edges)
    return Histogram(
        edges=edges,
        counts=counts.astype(np.int64),
        below=int(np.count_nonzero(values < edges[0])),
        above=int(np.count_nonzero(values > edges[-1])),
        not_a_number=int(np.count_nonzero(nan)),
    )


# One peak or two


def dip_test(
    values: np.ndarray, rng: np.random.Generator, max_points: int = DIP_TABLE_LIMIT
) -> DipTest:
    """Test unimodality by Hartigan's dip (Hartigan & Hartigan 1985).

    Above `max_points` a random subsample of that size is used, because the p value is read from a
    table that ends at 72,000 values. A dip falls with n, so compare dips only at equal `n`; a p of
    zero is one below the table's smallest. Fewer than four values give NaN.

    Raises ValueError for max_points outside 4..72,000.
    """
    if not 4 <= max_points <= DIP_TABLE_LIMIT:
        raise ValueError(f"max_points is {max_points}: it must be in 4..{DIP_TABLE_LIMIT}")
    values = _values(values)
    if values.size < 4 or not np.isfinite(values).all():
        return DipTest(math.nan, math.nan, min(values.size, max_points))
    if values.size > max_points:
        values = rng.choice(values, max_points, replace=False, shuffle=False)
    from diptest import diptest

    dip, p_value = diptest(values)
    return DipTest(float(dip), float(p_value), values.size)


def bimodality_coefficient(values: np.ndarray) -> float:
    """Return Sarle's coefficient (skewness² + 1)/kurtosis, from population moments.

    In (0, 1]: 1/3 for a Gaussian, 5/9 for a uniform law, 1 for two points. Heavy skew raises it as
    two peaks do. NaN for values without spread.
    """
    values = _values(values)
    if values.size == 0 or not np.isfinite(values).all():
        return math.nan
    _, _, skewness, kurtosis = _moments(values)
    return math.nan if math.isnan(kurtosis) else min((skewness**2 + 1) / kurtosis, 1.0)


def distance_to_normal(values: np.ndarray) -> float:
    """Return the Kolmogorov–Smirnov distance to the normal law of the same mean and std.

    The largest gap between the empirical distribution function and that law's, in [0, 1]. It is a
    distance, not a test: with fitted moments the usual p values do not hold, and any departure is
    significant among 10⁵ weights. NaN for values without spread.
    """
    values = np.sort(_values(values))
    if values.size == 0 or not np.isfinite(values).all():
        return math.nan
    mean, variance, _, _ = _moments(values)
    if variance == 0:
        return math.nan
    from scipy.special import ndtr

    fitted = ndtr((values - mean) / math.sqrt(variance))
    steps = np.arange(values.size + 1) / values.size
    return float(max((steps[1:] - fitted).max(), (fitted - steps[:-1]).max()))


def density_at_zero_over_peak(values: np.ndarray) -> float:
    """Return f(0)/max f of the weights' density f, symmetrised about zero, in [0, 1].

    1 for one peak at zero, towards 0 for a gap there. f is a Gaussian kernel estimate from |w|,
    reflected at zero. Its bandwidth is 0.9·min(s, IQR/1.34)·n^(−1/5) with the standard deviation
    s and the interquartile range of |w| (Silverman's rule of thumb): of |w|, because the spread
    of w measures the distance of two peaks, not their width. The highest 1 % of |w| is left out of
    the search for the peak, and the bandwidth is at least 1/20,000 of the rest's range. To
    symmetrise loses nothing at zero and averages the two peaks, whose difference it hides.

    The noise of the peak lowers the ratio of a Gaussian, to about 0.9 at n = 50. Exactly equal
    |w| have no density: 0, or 1 where all are zero. NaN for no values.
    """
    magnitudes = np.abs(_values(values))
    n = magnitudes.size
    if n == 0 or not np.isfinite(magnitudes).all():
        return math.nan
    if np.ptp(magnitudes) == 0:
        return float(magnitudes[0] == 0)
    magnitudes /= magnitudes.max()
    lower, upper, top = np.quantile(magnitudes, [0.25, 0.75, 0.99])
    spread = magnitudes.std()
    if upper > lower:
        spread = min(spread, (upper - lower) / 1.34)
    bandwidth = max(0.9 * spread * n**-0.2, top / 20_000)
    # Binned to a tenth of the bandwidth, the estimate costs one histogram and one convolution.
    reach = top + 10 * bandwidth
    bins = int(10 * reach / bandwidth)
    counts, _ = np.histogram(magnitudes, bins, range=(0, reach))
    step = reach / bins
    half = math.ceil(5 * bandwidth / step)
    kernel = np.exp(-0.5 * np.square(np.arange(-half, half + 1) * step / bandwidth))
    density = np.convolve(np.concatenate([counts[::-1], counts]), kernel, mode="same")[bins:]
    return float(density[0] / density.max())


def _kept(weight: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the kept weights, flat, float64."""
    if mask is None:
        return _values(weight)
    if mask.dtype != np.bool_ or mask.shape != weight.shape:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype} for weights of shape "
            f"{weight.shape}: a boolean mask of the weights' shape is needed"
        )
    return cast(np.ndarray, weight[mask].astype(np.float64))


def _values(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).ravel()


def _moments(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return mean, population variance, skewness and Pearson's kurtosis of at least one value."""
    if np.ptp(values) == 0:  # exact, where the rounded mean would leave a residue
        return float(values[0]), 0.0, math.nan, math.nan
    mean = float(values.mean())
    centred = values - mean
    squares = np.square(centred)
    variance = float(squares.mean())
    skewness = _ratio(float((squares * centred).mean()), variance**1.5)
    kurtosis = _ratio(float(np.square(squares).mean()), variance**2)
    return mean, variance, skewness, kurtosis


def _ratio(numerator: float, denominator: float) -> float:
    """NaN where there is nothing to divide by."""
    return numerator / denominator if denominator else math.nan

"""Inference over seeds: intervals, paired differences, equivalence, planned contrasts.

The unit is the seed, one independent replicate of a whole chain. Images, neurons and weights
within a seed are not replicates and never enter `n`. Values are assumed independent between
seeds and roughly normal. Margins for accuracies are in percentage points.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

Verdict = Literal["greater", "less", "equal", "inconclusive"]

MAX_CONTRASTS = 6
MIN_BOOTSTRAP_SEEDS = 8
NO_SPREAD = 1e-12  # standard deviations below this share of the margin are rounding residue


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds and the bounds of its confidence interval, in the values' own units."""

    mean: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests of |true mean difference| < margin.

    `p_value` is the larger of the two tests' p values; `equivalent` is p_value < alpha.
    """

    p_value: float
    equivalent: bool
    margin: float
    alpha: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """The verdict on a set of paired differences and all that it rests on.

    `sd` is the sample standard deviation of the differences (ddof = 1) and `n_needed` the seeds
    that would show equality at 80 % power if the true difference were zero and `sd` the true one
    (None for a single seed). `p_difference` and `p_equivalence` are those that the verdict used.
    In a planned set the p values are Holm's, and `n_needed` is at his strictest level.
    """

    verdict: Verdict
    interval: Interval
    p_difference: float
    p_equivalence: float
    margin: float
    sd: float
    n_needed: int | None


@dataclass(frozen=True)
class Contrast:
    """One contrast of a planned set: raw p, Holm's adjusted p, and whether it is rejected."""

    p_value: float
    p_adjusted: float
    rejected: bool


def t_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Return the mean over seeds with its two-sided Student t interval.

    One value gives NaN bounds: a single seed says nothing about the spread. Identical values give
    an interval of width zero, which overstates what is known where the quantity is coarse (an
    accuracy on few test images).

    Raises ValueError for no values, values that are not finite, or a confidence outside (0, 1).
    """
    values = _values_per_seed(values)
    _check_fraction("confidence", confidence)
    mean, sd = _mean_and_sd(values)
    half_width = t_quantile(values.size - 1, (1 + confidence) / 2) * sd / math.sqrt(values.size)
    return Interval(mean, mean - half_width, mean + half_width, values.size)


def paired_difference(
    a: Mapping[int, float] | Sequence[float],
    b: Mapping[int, float] | Sequence[float],
    seeds: Sequence[int] | None = None,
) -> np.ndarray:
    """Return a − b per seed, float64, in ascending order of the seeds.

    `a` and `b` map each seed to its value (a dict, or a pandas Series indexed by seed), or are
    arrays whose entries belong to the entries of `seeds`. Pairing takes out what the two sides
    share: theta_0, the data order and the dense network.

    Raises ValueError for seeds that only one side has or that occur twice, arrays without seeds or
    of another length, no seeds at all, or values that are not finite.
    """
    by_seed_a = _by_seed("a", a, seeds)
    by_seed_b = _by_seed("b", b, seeds)
    if by_seed_a.keys() != by_seed_b.keys():
        only_a = sorted(by_seed_a.keys() - by_seed_b.keys())
        only_b = sorted(by_seed_b.keys() - by_seed_a.keys())
        raise ValueError(
            f"seeds only in a: {only_a}, only in b: {only_b}: pairing needs the same on both sides"
        )
    return _values_per_seed(by_seed_a[seed] - by_seed_b[seed] for seed in sorted(by_seed_a))


def equivalence(
    differences: Iterable[float], margin: float = 0.5, alpha: float = 0.05
) -> Equivalence:
    """Test that the true mean difference lies within ±margin (Schuirmann's two one-sided tests).

    Differences without any spread are judged by their mean alone (p is 0 strictly within the
    margin, else 1); a single seed gives NaN and is never equivalent.

    Raises ValueError for no or non-finite differences, a margin <= 0, or alpha outside (0, 0.5).
    """
    differences = _values_per_seed(differences)
    _check_positive("margin", margin)
    _check_fraction("alpha", alpha, upper=0.5)
    mean, sd = _mean_and_sd(differences)
    if math.isnan(sd):
        p_value = math.nan
    elif sd < NO_SPREAD * margin:  # t would be infinite, or 0/0 on the margin itself
        p_value = 0.0 if abs(mean) < margin else 1.0
    else:
        from statsmodels.stats.weightstats import DescrStatsW  # about 0.8 s to import

        p_value = float(DescrStatsW(differences).ttost_mean(-margin, margin)[0])
    return Equivalence(p_value, p_value < alpha, margin, alpha, differences.size)


def planned_comparisons(
    differences: Mapping[str, Iterable[float]], margin: float = 0.5, confidence: float = 0.95
) -> dict[str, Comparison]:
    """Judge a planned set of paired differences: equal within ±margin, greater, less, or neither.

    - "equal": the two one-sided tests reject at alpha = 1 − confidence. This comes first: the
      margin is fixed beforehand as the smallest difference that matters, so a difference that is
      significant yet surely inside it counts as equal (the interval still shows it);
    - "greater", "less": else, the mean differs from zero. It need not lie beyond the margin;
    - "inconclusive": else. `n_needed` says how many seeds would show equality.

    All p values are Holm's. The tests of difference form one family and those of equivalence
    another; within each, the chance of any false verdict is at most 1 − confidence. The intervals
    are not adjusted, so an interval that excludes zero may stand beside "inconclusive".

    Raises ValueError as `holm`, `equivalence` and `t_interval`.
    """
    _check_fraction("confidence", confidence)
    alpha = 1 - confidence
    values = {name: _values_per_seed(each) for name, each in differences.items()}
    different = holm({name: _difference_p_value(each) for name, each in values.items()}, alpha)
    equal = holm(
        {name: equivalence(each, margin, alpha).p_value for name, each in values.items()}, alpha
    )

    def judge(name: str) -> Comparison:
        mean, sd = _mean_and_sd(values[name])
        if equal[name].rejected:
            verdict: Verdict = "equal"
        elif different[name].rejected:
            verdict = "greater" if mean > 0 else "less"
        else:
            verdict = "inconclusive"
        return Comparison(
            verdict=verdict,
            interval=t_interval(values[name], confidence),
            p_difference=different[name].p_adjusted,
            p_equivalence=equal[name].p_adjusted,
            margin=margin,
            sd=sd,
            n_needed=None if math.isnan(sd) else required_n(sd, margin, alpha=alpha / len(values)),
        )

    return {name: judge(name) for name in values}


def required_n(sd: float, margin: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the least number of seeds (>= 2) that shows equality with the wanted power.

    For `equivalence` at a true difference of zero, `sd` being the true standard deviation of the
    paired differences. An sd estimated from a few seeds is itself rough (from three, the true
    one may be half or six times as large): so is the answer.

    Raises ValueError for sd negative or not finite, margin <= 0, power outside (0, 1), or alpha
    outside (0, 0.5).
    """
    _check_fraction("power", power)

    def enough(n: int) -> bool:
        return equivalence_power(n, sd, margin, alpha) >= power

    # At zero difference the power grows with n: bracket by doubling, then bisect.
    upper = 2
    while not enough(upper):
        upper *= 2
    lower = upper // 2
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if enough(middle) else (middle, upper)
    return upper


def equivalence_power(n: int, sd: float, margin: float, alpha: float = 0.05) -> float:
    """Return the exact power of `equivalence` on n normal differences of true mean zero.

    Equality is declared where |mean| < margin − t·s/√n, with s the sample standard deviation and
    t the 1 − alpha quantile at n − 1 degrees of freedom. Mean and s are independent, so the power
    is the expectation over s of P(|mean| < margin − t·s/√n | s), taken here by quadrature. (The
    usual shortcut by two noncentral t probabilities is a lower bound, poor for few seeds.)

    Raises ValueError for n < 2, sd negative or not finite, margin <= 0, or alpha outside (0, 0.5).
    """
    from scipy import special

    if n != int(n) or n < 2:
        raise ValueError(f"n is {n}: a test needs a whole number of seeds, at least 2")
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd is {sd}: a standard deviation is finite and at least 0")
    _check_positive("margin", margin)
    _check_fraction("alpha", alpha, upper=0.5)
    if sd < 1e-100 * margin:  # zero, or so small that margin/sd would overflow
        return 1.0
    degrees = n - 1
    quantile = t_quantile(degrees, 1 - alpha)
    scaled_margin = margin * math.sqrt(n) / sd
    # Over u = P(sample variance below s²): s/sd = √(chi² quantile / degrees). Beyond u_max the
    # sample spread alone forbids the verdict.
    u_max = special.gammainc(degrees / 2, degrees * (scaled_margin / quantile) ** 2 / 2)
    nodes, weights = _quadrature()
    u = u_max * (nodes + 1) / 2
    relative_s = np.sqrt(2 * special.gammaincinv(degrees / 2, u) / degrees)
    inside = special.erf(np.maximum(scaled_margin - quantile * relative_s, 0) / math.sqrt(2))
    return float(u_max / 2 * weights @ inside)


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> dict[str, Contrast]:
    """Adjust the p values of a planned, named set of at most six contrasts (Holm 1979).

    The whole set is passed, so that the correction counts what was planned. A contrast without a
    p value (NaN: a single seed) keeps its place in the count, stays NaN and is not rejected.

    Raises ValueError for p values without names, none, more than six, or one outside [0, 1].
    """
    if not isinstance(p_values, Mapping):
        raise ValueError("p_values must map the name of each planned contrast to its p value")
    _check_fraction("alpha", alpha, upper=0.5)
    if not 1 <= len(p_values) <= MAX_CONTRASTS:
        raise ValueError(
            f"{len(p_values)} contrasts: plan 1 to {MAX_CONTRASTS}, named before any run"
        )
    for name, p in p_values.items():
        if not (math.isnan(p) or 0 <= p <= 1):
            raise ValueError(f"p value of contrast {name!r} is {p}: it must be in [0, 1] or NaN")
    raw_values = np.array(list(p_values.values()), dtype=np.float64)
    unknown = np.isnan(raw_values)
    adjusted = raw_values
    if raw_values.size > 1:  # multipletests collects garbage at each call: 50 ms
        from statsmodels.stats.multitest import multipletests

        # An unknown p counts as 1, so that it costs the others what it would if known.
        adjusted = multipletests(np.where(unknown, 1.0, raw_values), alpha, method="holm")[1]
        adjusted = np.where(unknown, np.nan, adjusted)
    return {
        name: Contrast(float(raw), float(corrected), bool(corrected < alpha))
        for name, raw, corrected in zip(p_values, raw_values, adjusted, strict=True)
    }


def bootstrap_interval(
    values: Iterable[float],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 9999,
) -> Interval:
    """Return the mean over seeds with its BCa bootstrap interval (Efron 1987).

    Raises ValueError as `t_interval`, and for fewer than eight values.
    """
    values = _values_per_seed(values)
    _check_fraction("confidence", confidence)
    if values.size < MIN_BOOTSTRAP_SEEDS:
        raise ValueError(
            f"{values.size} seeds: a bootstrap interval needs at least {MIN_BOOTSTRAP_SEEDS}, "
            "as fewer have too few distinct resamples; use t_interval"
        )
    mean = float(values.mean())
    if np.ptp(values) == 0:  # BCa's acceleration is 0/0 here
        return Interval(mean, mean, mean, values.size)
    from scipy import stats  # about 0.7 s to import

    result = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=confidence, rng=rng
    )  # BCa is its default method
    lower, upper = result.confidence_interval
    return Interval(mean, float(lower), float(upper), values.size)


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on [−1, 1]; finding them costs more than using them."""
    return np.polynomial.legendre.leggauss(100)


def _difference_p_value(values: np.ndarray) -> float:
    """Two-sided p of a one-sample t test of mean zero; NaN for one value."""
    from scipy import special  # scipy.stats.ttest_1samp would add 0.6 s of import

    mean, sd = _mean_and_sd(values)
    if sd == 0:
        return 0.0 if mean != 0 else 1.0
    t = abs(mean) / sd * math.sqrt(values.size)
    return float(2 * special.stdtr(values.size - 1, -t)) if values.size > 1 else math.nan


def _mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation (ddof = 1, NaN for one value)."""
    if values.size == 1:
        return float(values[0]), math.nan
    if np.ptp(values) == 0:  # exact, where the rounded mean would leave a residue
        return float(values[0]), 0.0
    return float(values.mean()), float(values.std(ddof=1))


def t_quantile(degrees: int, probability: float) -> float:
    """Return the quantile of Student's t; NaN without degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(degrees, probability)) if degrees > 0 else math.nan


def _values_per_seed(values: Iterable[float]) -> np.ndarray:
    values = np.array(list(values), dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"values have shape {values.shape}: pass one value per seed, at least one")
    if not np.isfinite(values).all():
        raise ValueError(
            f"values are {values.tolist()}: every seed needs a finite value "
            "(leave out a seed on both sides, and say so, rather than pass NaN)"
        )
    return values


def _by_seed(
    name: str, values: Mapping[int, float] | Sequence[float], seeds: Sequence[int] | None
) -> dict[int, float]:
    if hasattr(values, "items"):  # a mapping, or a pandas Series, which may repeat a label
        pairs = list(values.items())
    elif seeds is None:
        raise ValueError(f"{name} is an array without seeds: pass seeds, or a mapping from seed")
    elif len(values) != len(seeds):
        raise ValueError(f"{name} has {len(values)} values for {len(seeds)} seeds: pass one each")
    else:
        pairs = list(zip(seeds, values, strict=True))
    repeated = sorted(s for s, times in Counter(seed for seed, _ in pairs).items() if times > 1)
    if repeated:
        raise ValueError(f"{name} has seeds {repeated} more than once: pass one value per seed")
    return {seed: float(value) for seed, value in pairs}


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}: it must be positive and finite")


def _check_fraction(name: str, value: float, upper: float = 1.0) -> None:
    if not 0 < value < upper:
        raise ValueError(f"{name} is {value}: it must lie strictly between 0 and {upper:g}")

"""Arms against IMP with one spread for all arms: the two-way fit arm + seed.

With three seeds an arm's own spread has two degrees of freedom, and intervals are three times as
wide as they need be. The accuracies of all arms at one study, round and set of weights are fitted
as arm + seed; the residual spread, on (arms − 1)(seeds − 1) degrees of freedom where no run is
missing, serves all contrasts. The assumption, the same spread in all arms, is tested
(`Fit.p_spread`: Brown & Forsythe 1974). Simultaneous intervals of all arms against the one control
are Dunnett's (1955): contrasts that share the control have correlation 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from ticketlens.verdicts.inference import t_quantile

Floats = npt.NDArray[np.float64]
MIN_SEEDS_TO_TEST = 3  # per arm, below which equal spreads cannot be tested


@dataclass(frozen=True)
class Fit:
    """The two-way fit: differences to the control per arm, and what their errors rest on.

    mean: arm − control over the arm's seeds, paired; n: the number of these seeds.
    sd: residual standard deviation of one run; degrees: its degrees of freedom (0: unknown, NaN).
    p_spread: p of equal spreads in all arms; NaN where it cannot be tested.
    """

    mean: Mapping[str, float]
    n: Mapping[str, int]
    sd: float
    degrees: int
    p_spread: float

    def error(self, arm: str) -> float:
        """Return the standard error of an arm's difference."""
        return self.sd * sqrt(2 / self.n[arm])

    def t(self, arm: str, beyond: float = 0.0) -> float:
        """Return (difference − beyond)/standard error; ±inf without any spread."""
        gap, error = self.mean[arm] - beyond, self.error(arm)
        if error > 0:
            return gap / error
        return nan if np.isnan(error) else float(np.sign(gap) * np.inf) if gap else 0.0


def fit(runs: Mapping[str, Mapping[int, float]], control: str = "imp") -> Fit:
    """Fit arm + seed to values by arm and seed. Seeds that only one arm has say nothing.

    Raises ValueError if the control is missing, or lacks a seed that an arm has.
    """
    if control not in runs:
        raise ValueError(f"no arm {control!r} to compare with; found: {sorted(runs)}")
    arms = [arm for arm in runs if arm != control]
    for arm in arms:
        gone = sorted(set(runs[arm]) - set(runs[control]))
        if gone:
            raise ValueError(f"arm {arm} against {control}: seeds only in {arm}: {gone}")
    points = [
        (arm, seed, value) for arm, by_seed in runs.items() for seed, value in by_seed.items()
    ]
    counts: dict[int, int] = {}
    for _, seed, _ in points:
        counts[seed] = counts.get(seed, 0) + 1
    points = [point for point in points if counts[point[1]] > 1]
    residuals, degrees = _residuals(points)
    return Fit(
        mean={
            arm: float(np.mean([v - runs[control][s] for s, v in runs[arm].items()]))
            for arm in arms
        },
        n={arm: len(runs[arm]) for arm in arms},
        sd=float(np.sqrt(np.sum(residuals**2) / degrees)) if degrees > 0 else nan,
        degrees=degrees,
        p_spread=_equal_spreads(points, residuals),
    )


def _residuals(points: list[tuple[str, int, float]]) -> tuple[Floats, int]:
    """Return the residuals of the least-squares fit arm + seed, and their degrees of freedom."""
    if not points:
        return np.zeros(0), 0
    arms = list(dict.fromkeys(arm for arm, _, _ in points))
    seeds = sorted({seed for _, seed, _ in points})
    design = np.zeros((len(points), len(arms) + len(seeds)))
    for row, (arm, seed, _) in enumerate(points):
        design[row, arms.index(arm)] = design[row, len(arms) + seeds.index(seed)] = 1
    values = np.array([value for _, _, value in points])
    solution, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return values - design @ solution, len(points) - int(rank)


def _equal_spreads(points: list[tuple[str, int, float]], residuals: Floats) -> float:
    """Return p of Brown and Forsythe's test over arms with enough seeds; NaN for fewer than two."""
    groups: dict[str, list[float]] = {}
    for (arm, _, _), residual in zip(points, residuals, strict=True):
        groups.setdefault(arm, []).append(float(residual))
    kept = [group for group in groups.values() if len(group) >= MIN_SEEDS_TO_TEST]
    if len(kept) < 2 or not any(np.ptp(group) for group in kept):
        return nan
    from scipy.stats import levene  # slow to import

    with np.errstate(divide="ignore", invalid="ignore"):  # groups that all lie on their medians
        return float(levene(*kept, center="median").pvalue)


# --- Dunnett -------------------------------------------------------------------------------------


@cache
def _grid(degrees: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return nodes and weights over the control's z and over s/sigma."""
    from scipy import special

    nodes, weights = np.polynomial.legendre.leggauss(80)
    z = 8 * nodes
    z_weights = 8 * weights * np.exp(-(z**2) / 2) / sqrt(2 * np.pi)
    u, u_weights = (nodes + 1) / 2, weights / 2
    return z, z_weights, np.sqrt(2 * special.gammaincinv(degrees / 2, u) / degrees), u_weights


def dunnett_p(t: float, arms: int, degrees: int) -> float:
    """Return P(max over `arms` contrasts of |T| > |t|) under equality: two-sided Dunnett.

    All contrasts are with one control, of equal n, so that T_i = (Z_i − Z_0)/√2/S. NaN without
    degrees of freedom. Raises ValueError for fewer than one arm.
    """
    from scipy import special

    if arms < 1:
        raise ValueError(f"arms is {arms}; allowed: integers >= 1")
    if degrees < 1 or np.isnan(t):
        return nan
    if np.isinf(t):
        return 0.0
    z, z_weights, s, s_weights = _grid(degrees)
    reach = sqrt(2) * abs(t) * s[:, None]
    inside = (special.ndtr(z + reach) - special.ndtr(z - reach)) ** arms
    return float(np.clip(1 - s_weights @ (inside @ z_weights), 0, 1))


@cache
def dunnett_quantile(arms: int, degrees: int, confidence: float = 0.95) -> float:
    """Return the t beyond which `dunnett_p` is below 1 − confidence; NaN without degrees."""
    if degrees < 1:
        return nan
    from scipy.optimize import brentq

    low = t_quantile(degrees, (1 + confidence) / 2)
    if arms == 1:
        return low

    def excess(t: float) -> float:
        return dunnett_p(t, arms, degrees) - (1 - confidence)

    return float(brentq(excess, 0.9 * low, 20 * low))

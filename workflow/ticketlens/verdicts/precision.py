"""Chains in one arithmetic against chains of the same seeds in another: docs/precision-chains.md.

A further seed of the same law lies in the 95 % prediction interval of m seeds with probability
0.95 (normal values; Hahn & Meeker 1991, Statistical Intervals, §4.7). How often the seeds of the
reference do so when each in turn is left out is what to compare the other arithmetic's share with.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ticketlens.verdicts.inference import equivalence, equivalence_power, t_quantile

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
MARGIN = 0.5
"""Of accuracies, in points."""
KEY = ["round", "quantity"]


@dataclass(frozen=True)
class Coverage:
    """Of `numbers` values, those `inside` the intervals; `outside` lists the others.

    `outside` has columns seed, round, quantity, value, lower, upper.
    """

    inside: int
    numbers: int
    outside: pd.DataFrame

    @property
    def share(self) -> float:
        """Return the share inside, NaN without numbers."""
        return self.inside / self.numbers if self.numbers else float("nan")


def interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Return the prediction interval for one further value; NaN for fewer than two values.

    At least as wide as the last digit of the tables: 1e-5 of the mean on both sides.
    """
    sample = np.asarray(values, float)
    if sample.size < 2:
        return float("nan"), float("nan")
    mean, n = float(sample.mean()), sample.size
    half = _quantile(n - 1) * float(sample.std(ddof=1)) * np.sqrt(1 + 1 / n)
    half = max(half, 1e-5 * abs(mean))
    return mean - half, mean + half


def coverage(own: pd.DataFrame, reference: pd.DataFrame) -> Coverage:
    """Judge every value of `own` by the reference's other seeds: columns seed, round, quantity,
    value.

    The same seed is left out, as it shares theta_0 and the data's order; so the reference judged by
    itself is leave-one-out, with as many seeds. Values that are not finite, and those without two
    seeds to judge them, are left out.
    """
    groups: dict[tuple[Any, Any], list[tuple[Any, float]]] = {}
    for where, seed, value in _rows(reference):
        if np.isfinite(value):
            groups.setdefault(where, []).append((seed, value))
    bounds = [
        interval([value for other, value in groups.get(where, ()) if other != seed])
        for where, seed, _ in _rows(own)
    ]
    return _judged(own, bounds)


@dataclass(frozen=True)
class Accuracy:
    """Mean over rounds of an accuracy, in points, one difference a seed, and what they show.

    `power` is that of the test at the differences' own spread, if there is no difference.
    """

    differences: npt.NDArray[np.float64]
    p_value: float
    is_equivalent: bool
    power: float


def accuracy(
    own: pd.DataFrame, reference: pd.DataFrame, quantity: str = "test_accuracy"
) -> Accuracy:
    """Compare seeds that both have, over rounds that both have. Raises ValueError without two."""
    chosen = [
        table[table["quantity"] == quantity].pivot(index="seed", columns="round", values="value")
        for table in (own, reference)
    ]
    both = (100 * (chosen[0] - chosen[1])).dropna(how="all").dropna(axis=1)
    if len(both) < 2 or both.empty:
        raise ValueError(f"{quantity}: fewer than two seeds in both; allowed: two or more")
    differences = both.mean(axis=1).to_numpy(float)
    tested = equivalence(differences, MARGIN)
    spread = float(differences.std(ddof=1))
    power = equivalence_power(len(differences), spread, MARGIN)
    return Accuracy(differences, tested.p_value, tested.equivalent, power)


def agreement(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the share of the kept weights of `one` that `other` keeps too, and chance's.

    Raises ValueError for masks of different shapes.
    """
    if one.shape != other.shape:
        raise ValueError(f"masks have shapes {one.shape} and {other.shape}; allowed: the same")
    kept = int(np.count_nonzero(one))
    shared = int(np.count_nonzero(one & other))
    return (shared / kept if kept else float("nan")), float(other.mean())


def _rows(table: pd.DataFrame) -> list[tuple[tuple[Any, Any], Any, float]]:
    """Return ((round, quantity), seed, value) of every row."""
    columns = (table[name].tolist() for name in ("round", "quantity", "seed", "value"))
    return [
        ((number, name), seed, float(value))
        for number, name, seed, value in zip(*columns, strict=True)
    ]


@functools.cache
def _quantile(degrees: int) -> float:
    return t_quantile(degrees, (1 + CONFIDENCE) / 2)


def _judged(rows: pd.DataFrame, bounds: list[tuple[float, float]]) -> Coverage:
    lower, upper = np.array(bounds, float).reshape(-1, 2).T
    value = rows["value"].to_numpy(float)
    is_judged = np.isfinite(value) & np.isfinite(lower)
    is_inside = (lower <= value) & (value <= upper)
    outside = rows.assign(lower=lower, upper=upper)[is_judged & ~is_inside]
    return Coverage(int(np.sum(is_judged & is_inside)), int(is_judged.sum()), outside)

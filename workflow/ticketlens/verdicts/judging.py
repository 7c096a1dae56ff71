"""Verdicts on numbers: the rules by which values per seed support or contradict a claim.

A case is judged as a whole: "supported" if all of its numbers support it, "contradicted" if any of
them contradicts it, else "inconclusive". L and U are the bounds of the 95 % t-interval over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ticketlens.verdicts.inference import Interval, t_interval

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
LAYER_SHARE = 0.75  # 6 of 8 layers
NO_SUCH_ROUND = np.inf  # of a seed in which something never happens


@dataclass(frozen=True)
class Judgement:
    """Whether a number alone meets the branch "supported" or "contradicted", and a remark."""

    supports: bool
    contradicts: bool
    remark: str = ""


Judge = Callable[[pd.Series], Judgement]


@dataclass(frozen=True, eq=False)
class Number:
    """One number of a claim: a value per seed, and how they are judged.

    `values` is indexed by seed; empty, or NaN throughout, if there is nothing to judge: `absent`
    then says why. `null` is what chance, or selection alone, would show, `n_needed` the seeds that
    would show equality within the margin (accuracies only). `interval` replaces the t-interval over
    these seeds where the verdict rests on another (contrasts of arms: one spread for all arms).
    `planned` says whether the number was named before any run.
    """

    quantity: str
    values: pd.Series
    judge: Judge
    absent: str
    null: float = np.nan
    n_needed: Callable[[], int | None] = lambda: None
    interval: Interval | None = None
    planned: bool = True

    @property
    def is_absent(self) -> bool:
        """Return whether no seed has a value."""
        return bool(self.values.isna().all())


@dataclass(frozen=True, eq=False)
class Case:
    """Numbers that are judged together, and the figure that shows them."""

    name: str
    figure: str
    numbers: Sequence[Number]


def verdict(judgements: Iterable[Judgement]) -> str:
    """Return "contradicted" if any number contradicts, "supported" if all support, or neither."""
    judgements = list(judgements)
    if any(judgement.contradicts for judgement in judgements):
        return CONTRADICTED
    return SUPPORTED if all(judgement.supports for judgement in judgements) else INCONCLUSIVE


def judged(number: Number) -> Judgement:
    """Judge one number. One seed, or a seed without a value, decides nothing."""
    unknown = [str(seed) for seed in number.values.index[number.values.isna()]]
    if unknown:
        return Judgement(False, False, f"no value in seed {', '.join(unknown)}")
    if len(number.values) == 1:
        return Judgement(False, False, "one seed: no interval")
    return number.judge(number.values)


def above(threshold: float) -> Judge:
    """Supported where L > threshold, contradicted where U < threshold."""

    def judge(values: pd.Series) -> Judgement:
        interval = t_interval(values)
        return Judgement(interval.lower > threshold, interval.upper < threshold)

    return judge


def below(threshold: float) -> Judge:
    """Supported where U < threshold, contradicted where L > threshold."""

    def judge(values: pd.Series) -> Judgement:
        interval = t_interval(values)
        return Judgement(interval.upper < threshold, interval.lower > threshold)

    return judge


def beyond(size: float) -> Judge:
    """Supported where L >= size, contradicted where U <= −size, but for rounding."""

    def judge(values: pd.Series) -> Judgement:
        interval = t_interval(values)
        return Judgement(interval.lower > size - 1e-9, interval.upper < 1e-9 - size)

    return judge


def within(first: int, last: int) -> Judge:
    """Supported where all seeds' rounds lie in first … last, contradicted where none does."""

    def judge(values: pd.Series) -> Judgement:
        inside = values.between(first, last)
        never = [str(seed) for seed, value in values.items() if value == NO_SUCH_ROUND]
        remark = f"in {first}–{last} in {inside.sum()} of {len(inside)} seeds"
        remark += f"; never in seed {', '.join(never)}" if never else ""
        return Judgement(bool(inside.all()), not inside.any(), remark)

    return judge


def few(large: pd.DataFrame, chance: float, most: float) -> Judge:
    """Judge the share of large values by their count over all seeds and layers, (seeds, layers).

    These are independent draws, so that the count is binomial. Supported where the upper bound of
    its 95 % interval (Clopper & Pearson 1934) is below `most`, contradicted where the lower one is
    above `chance`.
    """

    def judge(values: pd.Series) -> Judgement:
        from scipy import special

        count, total = int(large.to_numpy().sum()), large.size
        lower = special.betaincinv(count, total - count + 1, 0.025) if count else 0.0
        upper = special.betaincinv(count + 1, total - count, 0.975) if count < total else 1.0
        remark = f"{count} of {total} layers; share in [{lower:.2g}, {upper:.2g}]"
        return Judgement(bool(upper < most), bool(lower > chance), remark)

    return judge


def below_in_most(layers: pd.DataFrame, threshold: float) -> Judge:
    """Supported where U < threshold in three quarters of the layers, contradicted by L alike.

    `layers` is (seeds, layers); the intervals are per layer.
    """
    needed = int(np.ceil(LAYER_SHARE * layers.shape[1]))

    def judge(values: pd.Series) -> Judgement:
        judged = [below(threshold)(column) for _, column in layers.items()]
        low, high = (
            sum(getattr(layer, side) for layer in judged) for side in ("supports", "contradicts")
        )
        remark = (
            f"U < {threshold:g} in {low} and L > {threshold:g} in {high} of {len(judged)} layers"
        )
        return Judgement(low >= needed, high >= needed, remark)

    return judge

"""Contrasts: each arm against the IMP ticket of the same seed and round, in percentage points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ticketlens.verdicts.inference import (
    Comparison,
    paired_difference,
    planned_comparisons,
    t_interval,
)

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = ("test_accuracy", "test_accuracy_best_validation")


def contrasts(
    accuracy: pd.DataFrame,
    planned: Iterable[str],
    round_: int,
    margin: float,
    not_applicable: Iterable[tuple[str, int, str]] = (),
) -> pd.DataFrame:
    """Return one row per study, quantity, round and arm: accuracy of the arm minus IMP's.

    `accuracy` is accuracy.csv. `mean`, `lower`, `upper`: over seeds, with the unadjusted 95 %
    t-interval. Only the `planned` arms at round `round_` have a verdict: they are the family, per
    study and quantity, over which Holm's correction runs; equality is within ±`margin`. A diverged
    run counts, at chance accuracy. An arm that is `not_applicable` (study, round, arm) has rows of
    0 seeds, with that verdict.
    Raises ValueError if an arm has a seed that IMP lacks, or if there is no arm at all.
    """
    import pandas as pd

    planned, rows = list(planned), []
    for (study, number), runs in accuracy.groupby(["study", "round"], sort=True):
        arms = [arm for arm in dict.fromkeys(runs["arm"]) if arm != "imp"]
        for quantity in QUANTITIES if arms else ():
            found = {arm: differences(study, runs, arm, quantity) for arm in arms}
            family = [arm for arm in planned if arm in arms] if number == round_ else []
            judged = _judged({arm: found[arm] for arm in family}, margin)
            for arm in arms:
                interval = t_interval(found[arm])
                rows.append(
                    {
                        "study": study,
                        "round": number,
                        "density": runs.loc[runs["arm"] == "imp", "density"].mean(),
                        "arm": arm,
                        "quantity": quantity,
                        "mean": interval.mean,
                        "lower": interval.lower,
                        "upper": interval.upper,
                        "n": interval.n,
                        "margin": margin,
                        "planned": arm in judged,
                        **_verdict(judged.get(arm)),
                    }
                )
    if not rows:
        raise ValueError("the table of accuracies has no arm but imp: nothing to compare")
    for study, number, arm in not_applicable:
        labels = {"study": study, "round": number, "density": 1.0, "arm": arm}
        empty = {"n": 0, "margin": margin, "planned": False, "verdict": "not applicable"}
        rows += [{**labels, "quantity": quantity, **empty} for quantity in QUANTITIES]
    return pd.DataFrame(rows)


def differences(study: str, runs: pd.DataFrame, arm: str, quantity: str) -> Sequence[float]:
    """Return arm − imp per seed, in percentage points, in ascending order of the seeds.

    Raises ValueError if the two do not have the same seeds.
    """
    one, imp = (
        100 * runs[runs["arm"] == name].set_index("seed")[quantity] for name in (arm, "imp")
    )
    try:
        return paired_difference(one, imp[imp.index.isin(one.index)])
    except ValueError as error:
        raise ValueError(f"{study}, arm {arm} against imp: {error}") from error


def _judged(family: Mapping[str, Sequence[float]], margin: float) -> dict[str, Comparison]:
    return planned_comparisons(family, margin) if family else {}


def _verdict(found: Comparison | None) -> dict[str, object]:
    """Return the columns of a planned contrast; empty for one that was not planned."""
    keys = ("verdict", "p_difference", "p_equivalence", "sd", "n_needed")
    return {key: getattr(found, key, None) for key in keys}

"""Contrasts: each arm against the IMP ticket of the same seed and round, in percentage points.

One family, one correction, one verdict. At each study, round and set of weights all arms share one
spread (`pooled`). The planned arms, at their round, are judged with Holm's correction over them;
every other arm with Dunnett's over all arms there, and is post hoc. The claim "property X suffices"
reads these verdicts: it has none of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.verdicts.inference import holm, paired_difference, required_n, t_quantile
from ticketlens.verdicts.pooled import Fit, dunnett_p, dunnett_quantile, fit

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = ("test_accuracy", "test_accuracy_best_validation")
ALPHA = 0.05
BETTER, NOT_WORSE, WORSE, INCONCLUSIVE = "better", "not worse", "worse", "inconclusive"
SUFFICIENT = (BETTER, NOT_WORSE)


def contrasts(
    accuracy: pd.DataFrame,
    planned: Iterable[str],
    round_: int,
    margin: float,
    not_applicable: Iterable[tuple[str, int, str]] = (),
) -> pd.DataFrame:
    """Return one row per study, quantity, round and arm: accuracy of the arm minus IMP's.

    `accuracy` is accuracy.csv. `mean`: over the arm's seeds, paired. `lower`, `upper`: its 95 %
    interval with the spread `sd` pooled over arms on `degrees` degrees of freedom; `lower_all`,
    `upper_all`: Dunnett's, which hold for all arms of the panel at once. `p_not_worse`, one-sided,
    is of a difference of −`margin` or less; `p_difference`, two-sided, of none; both are corrected
    as `correction` says: holm over the `planned` arms at round `round_`, dunnett elsewhere (where
    `p_not_worse` is the two-sided one, so on the safe side). `p_spread` tests that arms have one
    spread. `n_needed`: seeds that would show equality. A diverged run counts, at chance accuracy.
    Verdicts: better (the difference is above 0), not worse (above −margin), worse (below 0, and not
    shown to be above −margin), else inconclusive. An arm that is `not_applicable` (study, round,
    arm) has rows of 0 seeds, with that verdict.
    Raises ValueError if an arm has a seed that IMP lacks, or if there is no arm at all.
    """
    import pandas as pd

    planned, rows = list(planned), []
    for (study, number), runs in accuracy.groupby(["study", "round"], sort=True):
        arms = [arm for arm in dict.fromkeys(runs["arm"]) if arm != "imp"]
        for quantity in QUANTITIES if arms else ():
            family = [arm for arm in planned if arm in arms] if number == round_ else []
            by_arm = judged(study, runs, arms, quantity, family, margin)
            density = runs.loc[runs["arm"] == "imp", "density"].mean()
            for arm, columns in by_arm.items():
                labels = {"study": study, "round": number, "density": density, "arm": arm}
                rows.append({**labels, "quantity": quantity, **columns})
    if not rows:
        raise ValueError("the table of accuracies has no arm but imp: nothing to compare")
    for study, number, arm in not_applicable:
        labels = {"study": study, "round": number, "density": 1.0, "arm": arm}
        empty = {"n": 0, "margin": margin, "planned": False, "verdict": "not applicable"}
        rows += [{**labels, "quantity": quantity, **empty} for quantity in QUANTITIES]
    return pd.DataFrame(rows)


def judged(
    study: object,
    runs: pd.DataFrame,
    arms: Sequence[str],
    quantity: str,
    family: Sequence[str],
    margin: float,
) -> dict[str, dict[str, object]]:
    """Return the columns of each arm at one study, round and quantity; `family` was planned."""
    for arm in arms:
        differences(study, runs, arm, quantity)  # raises for seeds that do not pair
    values = {
        arm: {int(seed): 100 * value for seed, value in of_arm.set_index("seed")[quantity].items()}
        for arm, of_arm in runs.groupby("arm", sort=False)
    }
    model = fit(values)
    equal = holm({arm: _above(model, arm, -margin) for arm in family}) if family else {}
    different = holm({arm: _two_sided(model, arm) for arm in family}) if family else {}
    rows: dict[str, dict[str, object]] = {}
    for arm in arms:
        if arm in family:
            p_not_worse, p_difference = equal[arm].p_adjusted, different[arm].p_adjusted
        else:
            t = model.t(arm, -margin)
            p_not_worse = dunnett_p(t, len(arms), model.degrees) if not t < 0 else 1.0
            p_difference = dunnett_p(model.t(arm), len(arms), model.degrees)
        half = t_quantile(model.degrees, 1 - ALPHA / 2) * model.error(arm)
        wide = dunnett_quantile(len(arms), model.degrees) * model.error(arm)
        mean = model.mean[arm]
        rows[arm] = {
            "mean": mean, "lower": mean - half, "upper": mean + half,
            "lower_all": mean - wide, "upper_all": mean + wide, "n": model.n[arm],
            "margin": margin, "planned": arm in family,
            "verdict": _verdict(mean, p_not_worse, p_difference),
            "correction": "holm" if arm in family else "dunnett",
            "p_not_worse": p_not_worse, "p_difference": p_difference,
            "sd": model.sd, "degrees": model.degrees, "p_spread": model.p_spread,
            "n_needed": _seeds_needed(model, margin),
        }  # fmt: skip
    return rows


def _verdict(mean: float, p_not_worse: float, p_difference: float) -> str:
    """Return the one verdict; NaN p values (one seed) give inconclusive."""
    if p_difference < ALPHA and mean > 0:
        return BETTER
    if p_not_worse < ALPHA:
        return NOT_WORSE
    return WORSE if p_difference < ALPHA and mean < 0 else INCONCLUSIVE


def _above(found: Fit, arm: str, threshold: float) -> float:
    """Return the one-sided p of a true difference of `threshold` or less."""
    from scipy import special

    return float(special.stdtr(found.degrees, -found.t(arm, threshold)))


def _two_sided(found: Fit, arm: str) -> float:
    """Return the two-sided p of no true difference."""
    from scipy import special

    return float(2 * special.stdtr(found.degrees, -abs(found.t(arm))))


def _seeds_needed(found: Fit, margin: float) -> int | None:
    return required_n(np.sqrt(2) * found.sd, margin) if found.sd > 0 else None


def differences(
    study: object, runs: pd.DataFrame, arm: str, quantity: str
) -> Sequence[float] | np.ndarray:
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


def verdicts_of(table: pd.DataFrame) -> Mapping[tuple[str, int, str, str], Mapping[str, object]]:
    """Return the rows of `contrasts` by (study, round, arm, quantity)."""
    keys = ["study", "round", "arm", "quantity"]
    return {
        (row["study"], int(row["round"]), row["arm"], row["quantity"]): row
        for row in table.to_dict("records")
        if all(key in row for key in keys)
    }

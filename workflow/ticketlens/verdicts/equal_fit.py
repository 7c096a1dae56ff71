"""Networks compared at equal fit: validation accuracy where the training accuracy reaches a level.

Post hoc, and not an early-stopping rule: it asks whether a lead is more than having fitted sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.verdicts.inference import t_interval

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.6, 0.7, 0.8, 0.9, 0.95)


def validation_at(run: pd.DataFrame, level: float) -> float:
    """Return the validation accuracy where a run first reaches a training accuracy.

    `run` has columns epoch, train_accuracy and validation_accuracy; linear between two epochs. NaN
    where the level is never reached, or already passed in the first epoch.
    """
    run = run.sort_values("epoch")
    train, validation = (
        run[f"{part}_accuracy"].to_numpy(dtype=float) for part in ("train", "validation")
    )
    reached = np.flatnonzero(train >= level)
    if not reached.size or reached[0] == 0:
        return float("nan")
    after = int(reached[0])
    share = (level - train[after - 1]) / (train[after] - train[after - 1])
    return float(validation[after - 1] + share * (validation[after] - validation[after - 1]))


def equal_fit(curves: pd.DataFrame, round_: int, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Return the lead of the IMP tickets of a round over the dense network and over each arm.

    `curves` is training_curves.csv. Columns study, round, rival (dense or an arm), level, mean,
    lower, upper (points, t-interval over the seeds that both have and that reach the level) and n.
    """
    import pandas as pd

    at = {
        (study, arm, number, seed, level): validation_at(run, level)
        for (study, arm, number, seed), run in curves.groupby(["study", "arm", "round", "seed"])
        for level in levels
    }
    rows = []
    for study in curves["study"].unique():
        of_study = curves[curves["study"] == study]
        arms = of_study.loc[
            (of_study["round"] == round_) & (of_study["arm"] != "imp"), "arm"
        ].unique()
        for name, arm, number in [("dense", "imp", 0), *((arm, arm, round_) for arm in arms)]:
            for level in levels:
                leads = [
                    100 * (value - at[study, arm, number, seed, level])
                    for (s, a, r, seed, wanted), value in at.items()
                    if (s, a, r, wanted) == (study, "imp", round_, level)
                    and (study, arm, number, seed, level) in at
                ]
                leads = [lead for lead in leads if np.isfinite(lead)]
                if leads:
                    found = t_interval(leads)
                    rows.append(
                        {
                            "study": study, "round": round_, "rival": name, "level": level,
                            "mean": found.mean, "lower": found.lower, "upper": found.upper,
                            "n": found.n,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)

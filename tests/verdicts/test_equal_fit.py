"""Networks at equal fit: where training curves cross a level, and who leads there."""

import numpy as np
import pandas as pd
import pytest

from ticketlens.verdicts.equal_fit import equal_fit, validation_at


def run(train, validation, **labels):
    return pd.DataFrame(
        {
            "epoch": range(1, len(train) + 1),
            "train_accuracy": train,
            "validation_accuracy": validation,
            **{"study": "s", "seed": 0, "round": 0, "arm": "imp", **labels},
        }
    )


def test_the_crossing_is_linear_between_epochs_and_the_first():
    curve = run([0.2, 0.4, 0.8, 0.5, 0.9], [0.1, 0.2, 0.4, 0.3, 0.5])
    assert validation_at(curve, 0.6) == pytest.approx(0.3)
    assert validation_at(curve.sample(frac=1, random_state=0), 0.4) == pytest.approx(0.2)
    assert np.isnan(validation_at(curve, 0.95)) and np.isnan(validation_at(curve, 0.1))


def test_leads_are_paired_over_the_seeds_that_both_have():
    shift = {0: 0.01, 1: 0.03}
    curves = pd.concat(
        [run([0.2, 0.8], [0.1, 0.4], seed=s) for s in (0, 1, 2)]
        + [run([0.2, 0.8], [0.1 + d, 0.4 + d], seed=s, round=7) for s, d in shift.items()]
        + [run([0.2, 0.5], [0.1, 0.2], seed=0, round=7, arm="slow")]
    )
    found = equal_fit(curves, 7, (0.4, 0.6))
    dense = found[(found["rival"] == "dense") & (found["level"] == 0.6)].iloc[0]
    assert (dense["mean"], dense["n"]) == (pytest.approx(2.0), 2)
    assert set(found.loc[found["rival"] == "slow", "level"]) == {0.4}

"""Chains in another arithmetic: the same law is inside as often as said, a shifted one is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ticketlens.verdicts import precision

QUANTITIES = [f"quantity {number}" for number in range(12)]


def values(seed: int, seeds: int = 6, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"seed": own, "round": number, "quantity": name, "value": rng.normal() + shift}
        for own in range(seeds)
        for number in range(8)
        for name in QUANTITIES
    ]
    return pd.DataFrame(rows)


def test_seeds_of_one_law_are_inside_as_often_as_the_interval_says() -> None:
    reference = values(0)
    for found in (
        precision.coverage(values(1), reference),
        precision.coverage(reference, reference),
    ):
        assert found.numbers == 6 * 8 * 12
        assert found.share == pytest.approx(0.95, abs=0.03)
        assert len(found.outside) == found.numbers - found.inside


def test_another_law_is_outside_and_listed() -> None:
    found = precision.coverage(values(1, shift=4.0), values(0))
    assert found.share < 0.3
    assert (found.outside["value"] > found.outside["upper"]).all()


def test_what_is_missing_or_alone_is_not_judged() -> None:
    own, reference = values(1), values(0)
    own.loc[own["quantity"] == "quantity 0", "value"] = np.nan
    reference = reference[(reference["quantity"] != "quantity 1") | (reference["seed"] == 0)]
    assert precision.coverage(own, reference).numbers == 6 * 8 * 10


@pytest.mark.parametrize(("shift", "is_equivalent"), [(0.0, True), (0.002, True), (0.02, False)])
def test_accuracies_are_equivalent_within_half_a_point(shift: float, is_equivalent: bool) -> None:
    rng = np.random.default_rng(2)
    tables = [
        pd.DataFrame(
            {"seed": seed, "round": number, "quantity": "test_accuracy",
             "value": 0.5 + 0.01 * seed + own + 0.002 * rng.standard_normal()}
            for seed in range(6) for number in range(8)
        )
        for own in (shift, 0.0)
    ]  # fmt: skip
    found = precision.accuracy(*tables)
    assert found.is_equivalent == is_equivalent and found.power > 0.9
    assert found.differences.mean() == pytest.approx(100 * shift, abs=0.1)


def test_agreement_of_masks_stands_beside_chance() -> None:
    one = np.array([True, True, False, False])
    assert precision.agreement(one, one) == (1.0, 0.5)
    assert precision.agreement(one, ~one) == (0.0, 0.5)
    with pytest.raises(ValueError, match="shapes"):
        precision.agreement(one, one[:2])

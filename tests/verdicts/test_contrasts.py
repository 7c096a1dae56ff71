"""Contrasts of arms with IMP: paired by seed, judged where planned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ticketlens.figures.arms import zero_shot
from ticketlens.verdicts.contrasts import QUANTITIES, contrasts
from ticketlens.verdicts.inference import planned_comparisons

SEEDS = range(5)


def accuracies(**shifts: float) -> pd.DataFrame:
    """Runs of imp and of arms at rounds 3 and 7: imp's accuracy, a shift, noise of its own."""
    rng, rows = np.random.default_rng(0), []
    for round_ in (3, 7):
        for seed in SEEDS:
            imp = 0.5 + 0.05 * rng.standard_normal()
            for arm, shift in {"imp": 0.0, **shifts}.items():
                value = imp + shift + (arm != "imp") * 0.001 * rng.standard_normal()
                rows.append(
                    {"study": "s", "seed": seed, "round": round_, "density": 0.8**round_,
                     "arm": arm, QUANTITIES[0]: value, QUANTITIES[1]: value + 0.01}
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed_and_in_percentage_points() -> None:
    table = accuracies(worse=-0.05, equal=0.0)
    found = contrasts(table.sample(frac=1, random_state=1), ["worse", "equal"], 7, 0.5)
    assert len(found) == 2 * 2 * 2
    judged = found[found["planned"]]
    assert set(judged["round"]) == {7} and set(judged["arm"]) == {"worse", "equal"}
    for quantity in QUANTITIES:
        rows = judged[judged["quantity"] == quantity].set_index("arm")
        runs = table[table["round"] == 7].pivot(index="seed", columns="arm", values=quantity)
        wanted = planned_comparisons(
            {arm: 100 * (runs[arm] - runs["imp"]) for arm in ("worse", "equal")}, 0.5
        )
        assert rows.loc["worse", "verdict"] == "less" and rows.loc["equal", "verdict"] == "equal"
        for arm, comparison in wanted.items():
            assert rows.loc[arm, "mean"] == pytest.approx(comparison.interval.mean)
            assert rows.loc[arm, "lower"] == pytest.approx(comparison.interval.lower)
            assert rows.loc[arm, "p_difference"] == pytest.approx(comparison.p_difference)
            assert rows.loc[arm, "n"] == len(SEEDS)
    assert found[~found["planned"]]["verdict"].isna().all()


def test_one_seed_gives_no_interval_and_no_verdict_but_inconclusive() -> None:
    table = accuracies(worse=-0.05)
    found = contrasts(table[table["seed"] == 0], ["worse"], 7, 0.5)
    assert found["lower"].isna().all()
    assert set(found[found["planned"]]["verdict"]) == {"inconclusive"}


def test_an_arm_that_is_not_applicable_has_rows_without_seeds_and_no_place_in_the_figure() -> None:
    found = contrasts(accuracies(worse=-0.05), ["worse"], 7, 0.5, [("s", 0, "worse")])
    rows = found[found["round"] == 0]
    assert list(rows["verdict"]) == ["not applicable"] * len(QUANTITIES)
    assert set(rows["n"]) == {0} and rows["mean"].isna().all() and not rows["planned"].any()
    labels = [text.get_text() for text in zero_shot(found, {"s": "S"}).axes[0].get_yticklabels()]
    assert labels == ["worse"]


def test_a_missing_seed_is_named() -> None:
    table = accuracies(worse=-0.05)
    gone = (table["seed"] == 3) & (table["arm"] == "imp")
    with pytest.raises(ValueError, match=r"s, arm worse against imp: seeds only in a: \[3\]"):
        contrasts(table[~gone], ["worse"], 7, 0.5)


def test_an_arm_of_some_seeds_is_compared_over_those() -> None:
    table = accuracies(worse=-0.05)
    kept = table[(table["arm"] == "imp") | table["seed"].isin([1, 3])]
    found = contrasts(kept, ["worse"], 7, 0.5)
    assert set(found["n"]) == {2}
    runs = kept[(kept["round"] == 7) & kept["seed"].isin([1, 3])]
    wide = runs.pivot(index="seed", columns="arm", values=QUANTITIES[0])
    row = found[(found["round"] == 7) & (found["quantity"] == QUANTITIES[0])].iloc[0]
    assert row["mean"] == pytest.approx(100 * (wide["worse"] - wide["imp"]).mean())


def test_a_table_without_arms_has_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no arm but imp"):
        contrasts(accuracies(), [], 7, 0.5)


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_figure_has_two_panels_per_study_and_a_line_per_arm(seeds: int) -> None:
    runs = accuracies(worse=-0.05, equal=0.0)
    table = contrasts(runs[runs["seed"] < seeds], ["worse"], 7, 0.5)
    figure = zero_shot(table, {"s": "Study", "other": "not in the table"})
    axis = figure.axes[0]
    study = f"Study, {seeds}\u00a0seed" + "s" * (seeds > 1)
    assert [" ".join(own.get_title().split("\n")) for own in figure.axes] == [
        f"{study}, last epoch",
        f"{study}, best validation epoch",
    ]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["worse", "equal"]
    low, high = axis.get_xlim()
    assert low < -5 and high > 5

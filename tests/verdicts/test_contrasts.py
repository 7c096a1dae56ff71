"""Contrasts of arms with IMP: paired by seed, judged where planned."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ticketlens.figures.arms import zero_shot
from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.claims import case_rows
from ticketlens.verdicts.contrasts import QUANTITIES, contrasts, verdicts_of
from ticketlens.verdicts.inference import t_quantile
from ticketlens.verdicts.pooled import fit
from ticketlens.verdicts.rival_claims import WEIGHTS, bimodal_nets_lose, property_suffices
from ticketlens.verdicts.study_values import Study

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
        wanted = fit({arm: (100 * runs[arm]).to_dict() for arm in ("imp", "worse", "equal")})
        assert rows.loc["worse", "verdict"] == "worse"
        assert rows.loc["equal", "verdict"] == "not worse"
        assert set(rows["correction"]) == {"holm"} and set(rows["degrees"]) == {wanted.degrees}
        for arm in ("worse", "equal"):
            assert rows.loc[arm, "mean"] == pytest.approx(100 * (runs[arm] - runs["imp"]).mean())
            half = t_quantile(wanted.degrees, 0.975) * wanted.error(arm)
            assert rows.loc[arm, "upper"] - rows.loc[arm, "mean"] == pytest.approx(half)
            assert rows.loc[arm, "n"] == len(SEEDS)
    others = found[~found["planned"]]
    assert set(others["correction"]) == {"dunnett"} and set(others["verdict"]) == {
        "worse",
        "not worse",
    }


def test_one_spread_for_all_arms_makes_three_seeds_decide() -> None:
    """With its own spread alone an arm has two degrees of freedom, with twelve arms 22."""
    shifts = {f"arm{i}": 0.0 for i in range(11)}
    found = contrasts(accuracies(**shifts, worse=-0.003).query("seed < 3"), ["worse"], 7, 0.5)
    row = found[(found["arm"] == "worse") & (found["round"] == 7)].iloc[0]
    assert row["degrees"] == 12 * 2 and row["p_spread"] > 0.01
    assert row["lower_all"] < row["lower"] < row["mean"] < row["upper"] < row["upper_all"]


def test_a_better_arm_suffices() -> None:
    """Equality within ± the margin would call it no more than inconclusive."""
    found = contrasts(accuracies(better=0.05), ["better"], 7, 0.5)
    assert set(found["verdict"]) == {"better"}


def test_claims_and_contrasts_cannot_contradict_each_other() -> None:
    """Any accuracies: the claim on an arm says the contrast's verdict in other words."""
    plan = Plan(planned=("a", "b"), suffices=(3, 7), bimodal_arm="b", bimodal_accuracy=(3, 7))
    says = {"better": "supported", "not worse": "supported", "worse": "contradicted"}
    loses = {"better": "contradicted", "not worse": "contradicted", "worse": "supported"}
    for shift in (-0.05, -0.006, -0.002, 0.0, 0.002, 0.05):
        table = accuracies(a=shift, b=-shift, c=0.01)
        found = verdicts_of(contrasts(table, plan.planned, plan.planned_round, plan.margin))
        weights = pd.DataFrame({"arm": ["imp"], "round": [7]})
        study = Study("s", {"accuracy": table, "weight_statistics": weights})
        for case in property_suffices(study, plan):
            arm, round_, name = re.fullmatch(r"(\w), round (\d+), (.*)", case.name).groups()
            contrast = found["s", int(round_), arm, WEIGHTS[name]]
            (row,) = case_rows("s", "new: property X suffices", case)
            assert row.verdict == says.get(contrast["verdict"], "inconclusive")
            assert (row.lower, row.upper) == (contrast["lower"], contrast["upper"])
            assert row.planned == ("planned" if contrast["planned"] else "post hoc")
        for case in bimodal_nets_lose(study, plan):
            round_, name = re.fullmatch(r"round (\d+), (.*)", case.name).groups()
            contrast = found["s", int(round_), "b", WEIGHTS[name]]
            (row,) = case_rows("s", "bimodal random nets lose", case)
            assert row.verdict == loses.get(contrast["verdict"], "inconclusive")


def test_one_seed_gives_no_interval_and_no_verdict_but_inconclusive() -> None:
    table = accuracies(worse=-0.05)
    found = contrasts(table[table["seed"] == 0], ["worse"], 7, 0.5)
    assert found["lower"].isna().all()
    assert set(found["verdict"]) == {"inconclusive"}


def test_an_arm_that_is_not_applicable_has_rows_without_seeds_and_no_place_in_the_figure() -> None:
    found = contrasts(accuracies(worse=-0.05), ["worse"], 7, 0.5, [("s", 0, "worse")])
    rows = found[found["round"] == 0]
    assert list(rows["verdict"]) == ["not applicable"] * len(QUANTITIES)
    assert set(rows["n"]) == {0} and rows["mean"].isna().all() and not rows["planned"].any()
    labels = [
        text.get_text() for text in zero_shot(found, {"s": "S"}, {}).axes[0].get_yticklabels()
    ]
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
    figure = zero_shot(table, {"s": "Study", "other": "not in the table"}, {})
    axis = figure.axes[0]
    study = f"Study, {seeds}\u00a0seed" + "s" * (seeds > 1)
    assert [" ".join(own.get_title().split("\n")) for own in figure.axes] == [
        f"{study}, last epoch",
        f"{study}, best validation epoch",
    ]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["equal", "worse"]
    low, high = axis.get_xlim()
    assert low < -5 and 0 < high < 5, "the axis follows the means"

"""What the page of the arms of orthogonal networks says, from its own tables."""

from __future__ import annotations

import pandas as pd
import pytest

from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.contrasts import contrasts
from ticketlens.verdicts.inference import t_interval
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "orthogonal-arms"
STUDY, LAST, BEST = "fcnet-orthogonal", "test_accuracy", "test_accuracy_best_validation"
NUMBERS = Numbers(FOLDER)
PLANNED = NUMBERS.config["contrasts"]["arms"]
SMALL = ("imp-other-seed", "imp-orthogonal", "imp-sign-kept")


def rows(quantity: str, number: int) -> pd.DataFrame:
    table = NUMBERS.table("contrasts")
    found = table[(table["quantity"] == quantity) & (table["round"] == number)]
    return found.set_index("arm")


def scale(arm: str, number: int, **where: int) -> pd.Series:
    return NUMBERS.by_seed("weight_statistics", "std_scaled", number, STUDY, arm, **where)


def test_the_page_is_rendered_from_its_tables() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_every_arm_trained_to_the_end_on_three_seeds() -> None:
    arms = {name for name, recipe in NUMBERS.config["arms"].items() if recipe and name != "imp"}
    runs = NUMBERS.table("accuracy").query("arm != 'imp'")
    assert set(PLANNED) < set(runs["arm"]) == arms and len(runs) == len(arms) * 2 * 3
    assert set(runs["epochs"]) == {50} and not runs["diverged"].any()


def test_the_contrasts_are_those_of_the_published_accuracies() -> None:
    plan = NUMBERS.config["contrasts"]
    found = contrasts(NUMBERS.table("accuracy"), PLANNED, plan["round"], plan["margin"])
    keys = ["study", "round", "arm", "quantity"]
    both = found.merge(
        NUMBERS.table("contrasts"), on=keys, suffixes=("", "_published"), validate="one_to_one"
    )
    assert len(both) == len(found) == len(NUMBERS.table("contrasts")) == 2 * 2 * 8
    assert (both["verdict"] == both["verdict_published"]).all()
    for column in ("mean", "lower", "upper"):
        assert both[column].tolist() == pytest.approx(both[f"{column}_published"], abs=1e-3)


def test_what_the_page_says_of_the_last_epoch() -> None:
    assert set(rows(LAST, 7)["verdict"]) == {"worse"}
    of_planned = rows(LAST, 7).loc[PLANNED, "mean"]
    assert (of_planned.idxmax(), of_planned.idxmin()) == ("imp-sign-kept", "imp-other-seed")
    later = rows(LAST, 10)["verdict"]
    assert later.pop("imp-matched") == "inconclusive"
    assert set(later) == {"worse"}


def test_what_the_page_says_of_the_best_epoch() -> None:
    for number in (7, 10):
        assert "better" not in set(rows(BEST, number)["verdict"])
        assert set(rows(BEST, number).loc[list(SMALL), "verdict"]) == {"worse"}
    at_seven = rows(BEST, 7)
    assert set(at_seven.index[at_seven["verdict"] == "not worse"]) == {
        "shuffle-layer",
        "imp-matched",
    }
    assert set(at_seven.index[at_seven["verdict"] == "worse"]) == set(SMALL)
    assert at_seven.loc["uniform-density", "lower"] < 0 < at_seven.loc["uniform-density", "upper"]
    at_ten = rows(BEST, 10)
    assert set(at_ten.index[at_ten["verdict"] == "worse"]) == {*SMALL, "uniform-bimodal"}
    other = NUMBERS.part("../planned-seeds").row
    of_normal = {
        arm: other("contrasts", of="all seeds", arm=arm, round=7, quantity=BEST)["verdict"]
        for arm in ("uniform-density", "imp-other-seed")
    }
    assert of_normal == {"uniform-density": "worse", "imp-other-seed": "not worse"}
    assert set(at_ten.loc[["shuffle-layer", "imp-matched"], "verdict"]) == {"inconclusive"}
    where = {"of": "all seeds", "quantity": BEST}
    later = {
        arm: other("contrasts", arm=arm, round=10, **where)["verdict"]
        for arm in ("imp-other-seed", "imp-sign-kept")
    }
    assert set(later.values()) == {"worse"}
    for number in (7, 10):
        gain = NUMBERS.estimate("accuracy", BEST, number, study=STUDY, minus=0)
        assert gain.lower < 0 < gain.upper


@pytest.mark.parametrize("number", [7, 10])
def test_the_arms_that_fall_behind_are_those_of_the_dense_networks_scale(number: int) -> None:
    dense = scale("imp", 0).mean()
    assert dense == pytest.approx(1, abs=0.005)
    for arm in rows(BEST, number).index:
        found = scale(arm, number).mean()
        assert (found == pytest.approx(dense, abs=0.02)) == (arm in SMALL)
    assert scale("imp", 10).mean() > scale("imp", 7).mean() > 1.6
    means = rows(BEST, number).loc[list(SMALL), "mean"]
    assert means.idxmax() == "imp-sign-kept"
    signs = NUMBERS.by_seed("accuracy", BEST, number, STUDY, "imp-sign-kept")
    above = {
        arm: t_interval(signs - NUMBERS.by_seed("accuracy", BEST, number, STUDY, arm)).lower > 0
        for arm in SMALL[:2]
    }
    assert above["imp-other-seed"] and above["imp-orthogonal"] == (number == 10)


def test_two_of_the_small_ones_learn_slowly() -> None:
    def mean(column: str, arm: str) -> float:
        return NUMBERS.estimate("accuracy", column, 10, study=STUDY, arm=arm).mean

    learnt = {arm: mean("train_accuracy", arm) for arm in (*SMALL, "imp-matched", "imp")}
    for arm in SMALL[:2]:
        assert learnt[arm] == pytest.approx(learnt["imp-other-seed"], abs=0.005)
        assert learnt[arm] < 0.6 < learnt["imp-sign-kept"] < learnt["imp"]
        assert mean("best_epoch", arm) > 45
    assert learnt["imp-sign-kept"] == pytest.approx(learnt["imp-matched"], abs=0.005)

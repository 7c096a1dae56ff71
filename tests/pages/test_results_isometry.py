"""The published runs of isometric weights and of spikes: whole, and as their page says."""

from __future__ import annotations

import pandas as pd
import pytest

from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import Interval, t_interval
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "isometry"
STUDY, ROUND = "fcnet-normal-rate-0-03", 7
ROUNDS = (3, 7, 10)
NUMBERS = Numbers(FOLDER)
RUNS = NUMBERS.table("accuracy")
ARMS = (
    "isometric-imp",
    "isometric-random",
    "isometric-orthogonal",
    "bulk-redrawn",
    "spikes-removed",
)
COLUMNS = ("test_accuracy", "test_accuracy_best_validation")


def mean(column: str, arm: str, round: int = ROUND, numbers: Numbers = NUMBERS) -> float:
    return 100 * numbers.estimate("accuracy", column, round, study=STUDY, arm=arm).mean


def row(arm: str, column: str, round: int = ROUND) -> pd.Series:
    return NUMBERS.row("contrasts", study=STUDY, arm=arm, round=round, quantity=column)


def bounds(arm: str, column: str, round: int = ROUND) -> tuple[float, float]:
    return row(arm, column, round)["lower"], row(arm, column, round)["upper"]


def test_the_page_is_what_its_template_and_tables_give() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_every_arm_has_three_seeds_that_trained_all_epochs() -> None:
    trained = RUNS[RUNS["arm"] != "imp"]
    assert set(trained["arm"]) == set(ARMS) and set(trained["round"]) == set(ROUNDS)
    for _, runs in trained.groupby(["arm", "round"]):
        assert sorted(runs["seed"]) == [0, 1, 2]
        assert set(runs["epochs"]) == {50} and not runs["diverged"].any()


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("arm", ARMS)
def test_a_contrast_is_the_paired_difference_to_the_ticket(
    arm: str, column: str, number: int
) -> None:
    paired = NUMBERS.estimate("accuracy", column, number, study=STUDY, arm=arm, minus="imp")
    assert row(arm, column, number)["mean"] == pytest.approx(100 * paired.mean, abs=1e-3)


@pytest.mark.parametrize("column", COLUMNS)
def test_isometric_weights_end_below_the_ticket_and_near_the_dense_network(column: str) -> None:
    for arm in ARMS[:3]:
        assert bounds(arm, column)[1] < 0
        assert abs(mean(column, arm) - mean(column, "imp", 0)) < 1


@pytest.mark.parametrize("column", COLUMNS)
def test_the_ticket_without_its_spikes_is_not_told_apart_from_it(column: str) -> None:
    lower, upper = bounds("spikes-removed", column)
    assert lower < 0 < upper


def test_with_its_spikes_alone_the_ticket_is_as_far_below_as_a_random_mask() -> None:
    random = mean("test_accuracy", "uniform-matched", numbers=Numbers(FOLDER.parent / "high-rate"))
    assert bounds("bulk-redrawn", "test_accuracy")[1] < 0
    assert abs(mean("test_accuracy", "bulk-redrawn") - random) < 1


def test_an_isometric_random_mask_beats_no_random_mask_that_is_not_isometric() -> None:
    other = Numbers(FOLDER.parent / "high-rate")
    for column in COLUMNS:
        random = mean(column, "uniform-matched", numbers=other)
        assert mean(column, "isometric-random") < random


def jacobian(arm: str, column: str, number: int) -> Interval:
    where = {"study": STUDY, "arm": arm, "jacobian": "hidden", "network": "ticket"}
    return NUMBERS.estimate("jacobian", column, number, **where)


@pytest.mark.parametrize("number", [3, 7])
def test_the_isometric_arms_are_nearer_to_isometry_than_the_ticket(number: int) -> None:
    ticket = jacobian("imp", "log_sd", number)
    for arm in ARMS[:3]:
        assert jacobian(arm, "log_sd", number).upper < ticket.lower


def test_at_round_10_only_the_mask_of_its_own_is_isometric_by_both_measures() -> None:
    def is_nearer(arm: str, column: str) -> bool:
        return jacobian(arm, column, 10).mean < jacobian("imp", column, 10).mean

    assert all(is_nearer(arm, "relative_variance") for arm in ARMS[:3])
    assert [arm for arm in ARMS[:3] if is_nearer(arm, "log_sd")] == ["isometric-orthogonal"]


@pytest.mark.parametrize("column", COLUMNS)
def test_round_10_agrees_with_round_7(column: str) -> None:
    for arm in ARMS[:4]:
        assert row(arm, column, 10)["verdict"] == "worse"
        assert row(arm, column, 10)["p_difference"] < 0.05
    lower, upper = bounds("spikes-removed", column, 10)
    assert lower < 0 < upper
    other = Numbers(FOLDER.parent / "high-rate")
    one = NUMBERS.by_seed("accuracy", column, 10, STUDY, "isometric-random")
    beside = t_interval(one - other.by_seed("accuracy", column, 10, STUDY, "uniform-matched"))
    assert beside.mean < 0 and (beside.upper < 0) == (column == COLUMNS[1])
    assert row("bulk-redrawn", COLUMNS[1])["verdict"] == "inconclusive"


def test_round_3_decides_nothing() -> None:
    for column in COLUMNS:
        assert {row(arm, column, 3)["verdict"] for arm in ARMS} == {"inconclusive"}
    assert max(bounds(arm, "test_accuracy", 3)[1] for arm in ARMS[:3]) < 0.1
    gains = [
        NUMBERS.estimate("accuracy", "test_accuracy", number, study=STUDY, minus=0).mean
        for number in (3, 7)
    ]
    assert 0 < 2 * gains[0] < gains[1]

"""The published runs of isometric weights and of spikes: whole, and as their page says."""

from __future__ import annotations

import pytest

from ticketlens.pages.results_page import Numbers, render
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "isometry"
STUDY, ROUND = "fcnet-normal-rate-0-03", 7
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


def bounds(arm: str, column: str) -> tuple[float, float]:
    row = NUMBERS.row("contrasts", study=STUDY, arm=arm, round=ROUND, quantity=column)
    return row["lower"], row["upper"]


def test_the_page_is_what_its_template_and_tables_give() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_every_arm_has_three_seeds_that_trained_all_epochs() -> None:
    trained = RUNS[RUNS["arm"] != "imp"]
    assert set(trained["arm"]) == set(ARMS) and set(trained["round"]) == {ROUND}
    for _, runs in trained.groupby("arm"):
        assert sorted(runs["seed"]) == [0, 1, 2]
        assert set(runs["epochs"]) == {50} and not runs["diverged"].any()


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("arm", ARMS)
def test_a_contrast_is_the_paired_difference_to_the_ticket(arm: str, column: str) -> None:
    paired = NUMBERS.estimate("accuracy", column, ROUND, study=STUDY, arm=arm, minus="imp")
    row = NUMBERS.row("contrasts", study=STUDY, arm=arm, round=ROUND, quantity=column)
    assert row["mean"] == pytest.approx(100 * paired.mean, abs=1e-3)


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


def test_the_isometric_arms_are_nearer_to_isometry_than_the_ticket() -> None:
    found = {
        arm: NUMBERS.estimate(
            "jacobian", "log_sd", ROUND, study=STUDY, arm=arm, jacobian="hidden", network="ticket"
        )
        for arm in ("imp", *ARMS)
    }
    for arm in ARMS[:3]:
        assert found[arm].upper < found["imp"].lower

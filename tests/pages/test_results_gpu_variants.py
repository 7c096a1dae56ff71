"""The published runs on a GPU: whole as far as they go, and as their page says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from ticketlens.figures import variants
from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import Interval, t_interval
from workflow_tools import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
FOLDER = RESULTS / "gpu-variants"
NUMBERS, CPU = Numbers(FOLDER), Numbers(RESULTS)
RUNS = NUMBERS.table("accuracy")
PAGE = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
LAST, BEST = "test_accuracy", "test_accuracy_best_validation"
LATE = ("fcnet-rewind-1", "fcnet-rewind-2")


def gap(column: str, round_: int, study: str, other: str = "fcnet-normal") -> Interval:
    """Return study − other at a round, paired by seed, in points."""
    one, less = (NUMBERS.by_seed("accuracy", column, round_, name) for name in (study, other))
    return t_interval(100 * (one - less).dropna())


def gain(column: str, round_: int, study: str) -> Interval:
    """Return the ticket of a round minus the dense network of its study."""
    return NUMBERS.estimate("accuracy", column, round_, study=study, minus=0)


def test_the_page_is_what_its_template_and_tables_give() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_the_chains_are_whole_up_to_their_last_round() -> None:
    ends = {"resnet-fc-normal": 14}
    for study, runs in RUNS[RUNS["arm"] == "imp"].groupby("study"):
        donors = [3] if study == "fcnet-orthogonal" else []
        seeds = NUMBERS.config["studies"][study]["seeds"] + donors
        for number in range(ends.get(study, 6) + 1):
            assert sorted(runs.loc[runs["round"] == number, "seed"]) == seeds
        assert runs["round"].max() == ends.get(study, 6)
    assert set(RUNS["epochs"]) == {50} and not RUNS["diverged"].any()


def test_the_trainings_are_those_that_the_record_counts() -> None:
    times = pd.read_json(FOLDER / "run.json", typ="series")["run_times"]
    assert sum(row["trainings"] for row in times) == len(RUNS)
    curves = NUMBERS.table("training_curves")
    assert len(curves) == 50 * len(RUNS)


def test_without_rewinding_two_of_four_intervals_lie_below_rewinding() -> None:
    below = {
        (round_, column)
        for round_ in (3, 6)
        for column in (LAST, BEST)
        if gap(column, round_, "fcnet-rewind-none").upper < 0
    }
    assert below == {(3, LAST), (6, BEST)}
    assert [r for r in range(1, 7) if gap(LAST, r, "fcnet-rewind-none").mean > 0] == [1]
    assert gap(LAST, 1, "fcnet-rewind-none").lower > 0


def late() -> Iterator[tuple[str, int, str]]:
    return (
        (study, round_, column) for study in LATE for round_ in (3, 6) for column in (LAST, BEST)
    )


def test_late_rewinding_is_not_told_apart_and_equal_in_one_of_eight() -> None:
    cells = list(late())
    equal = []
    for study, round_, column in cells:
        found = gap(column, round_, study)
        assert found.lower < 0 < found.upper
        pair = [NUMBERS.by_seed("accuracy", column, round_, s) for s in (study, "fcnet-normal")]
        equal += [(study, round_, column)] if NUMBERS.equivalence(*pair).equivalent else []
    assert len(cells) == 8 and equal == [("fcnet-rewind-1", 6, BEST)]


def test_late_rewinding_ends_below_in_the_last_epoch_of_round_4_alone() -> None:
    apart = {
        (column, r, study)
        for study in LATE
        for column in (LAST, BEST)
        for r in range(1, 7)
        if not gap(column, r, study).lower < 0 < gap(column, r, study).upper
    }
    assert apart == {(LAST, 4, study) for study in LATE}


def test_at_a_constant_rate_learning_rate_rewinding_is_none() -> None:
    of_study = [
        RUNS[RUNS["study"] == f"fcnet-rewind-{name}"].drop(columns="study").reset_index(drop=True)
        for name in ("schedule", "none")
    ]
    pd.testing.assert_frame_equal(*of_study)
    assert len(of_study[0]) == 21 and "all 21 rows" in PAGE


def test_scaled_biases_are_worse_by_more_than_a_point_and_tickets_gain_with_them() -> None:
    for round_, column in [(0, LAST), *((r, c) for r in (3, 6) for c in (LAST, BEST))]:
        found = gap(column, round_, "fcnet-scaled-bias")
        assert found.mean < -1 and found.upper < 0
    assert all(gain(LAST, r, "fcnet-scaled-bias").lower > 0 for r in (3, 6))


def test_orthogonal_weights_are_not_told_apart_and_gain_at_round_3_alone() -> None:
    study = "fcnet-orthogonal"
    for round_ in (3, 6):
        for column in (LAST, BEST):
            found = gap(column, round_, study)
            assert found.lower < 0 < found.upper
    above = [(r, c) for r in (3, 6) for c in (LAST, BEST) if gain(c, r, study).lower > 0]
    assert above == [(3, LAST)]
    init = NUMBERS.config["inits"][NUMBERS.config["studies"][study]["init"]]
    assert (init["sigma_w"], init["sigma_b"]) == (1, 0)


def test_the_gain_of_residual_networks_excludes_0_at_the_best_epoch_of_round_14() -> None:
    study = "resnet-fc-normal"
    above = [(r, c) for r in (7, 14) for c in (LAST, BEST) if gain(c, r, study).lower > 0]
    assert above == [(14, BEST)]
    firsts = (
        RUNS[RUNS["study"] == study].groupby("round")["best_epoch"].agg(lambda e: (e == 1).all())
    )
    assert firsts[firsts].index.tolist() == [7, 9]


@pytest.mark.parametrize("column", [LAST, BEST])
def test_a_small_dense_network_is_below_the_ticket_and_the_dense_network(column: str) -> None:
    small = NUMBERS.by_seed("accuracy", column, 4, arm="small-dense")
    for other in (NUMBERS.by_seed("accuracy", column, at) for at in (4, 0)):
        assert t_interval(small - other).upper < 0 and len(small) == 8


@pytest.mark.parametrize("column", [LAST, BEST])
@pytest.mark.parametrize("number", [4, 7, 10])
def test_on_a_cpu_too_it_is_below_both(column: str, number: int) -> None:
    numbers = NUMBERS.part("../small-dense")
    small = numbers.by_seed("accuracy", column, number, arm="small-dense")
    for other in (numbers.by_seed("accuracy", column, at) for at in (number, 0)):
        assert t_interval(small - other).upper < 0 and len(small) == 3


def test_the_chain_of_scaled_biases_on_a_cpu_is_below_the_normal_one_in_every_round() -> None:
    study, numbers = "fcnet-scaled-bias", NUMBERS.part("../scaled-bias")
    for number in range(11):
        for column in (LAST, BEST):
            scaled = numbers.by_seed("accuracy", column, number, study)[0]
            assert scaled < CPU.by_seed("accuracy", column, number)[0]
        gained = numbers.by_seed("accuracy", LAST, number, study)
        assert number == 0 or gained[0] > numbers.by_seed("accuracy", LAST, 0, study)[0]


def test_the_gpu_starts_from_the_weights_of_the_cpu() -> None:
    here, there = (n.by_seed("accuracy", "untrained_accuracy", 0) for n in (NUMBERS, CPU))
    np.testing.assert_allclose(here, there, atol=6e-4)  # rounding turns a few of 10,000 images


def test_no_interval_of_gpu_minus_cpu_excludes_0_and_some_are_within_the_margin() -> None:
    within: dict[str, list[int]] = {LAST: [], BEST: []}
    for column, rounds in within.items():
        for number in range(7):
            pair = [n.by_seed("accuracy", column, number) for n in (NUMBERS, CPU)]
            found = t_interval(pair[0] - pair[1])
            assert found.n == 8 and found.lower < 0 < found.upper
            rounds += [number] if NUMBERS.equivalence(*pair).equivalent else []
        pooled = [
            sum(n.by_seed("accuracy", column, number) for number in range(7)) / 7
            for n in (NUMBERS, CPU)
        ]
        assert NUMBERS.equivalence(*pooled).equivalent
    assert within == {LAST: [3, 4, 5], BEST: [2, 3, 4]}
    said = re.search(
        r"By round it does so for ([\d, ]+) in the last epoch and ([\d, ]+) at the best", PAGE
    )
    assert said is not None
    assert [[int(r) for r in text.split(", ")] for text in said.groups()] == [*within.values()]


def test_the_figure_shows_what_tickets_are_rewound_to() -> None:
    figure = variants.rewinding(RUNS)
    assert [axis.get_title() for axis in figure.axes] == [
        "last epoch, 3\u00a0seeds", "best validation epoch, 3\u00a0seeds"
    ]  # fmt: skip
    lines = [c for c in figure.axes[0].containers if c.get_label() in variants.REWINDING.values()]
    assert len(lines) == 4
    shown = lines[-1].lines[0].get_ydata()  # not rewound
    means = [100 * NUMBERS.estimate("accuracy", LAST, r, study="fcnet-rewind-none").mean
             for r in range(7)]  # fmt: skip
    np.testing.assert_allclose(np.asarray(shown, dtype=float), means)

"""What the page of what tickets are rewound to says, from its own tables and the published ones."""

from __future__ import annotations

import itertools

import pytest
from scipy.stats import ttest_1samp

from ticketlens.figures import variants
from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import Interval, holm, t_interval
from workflow_tools import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
FOLDER = RESULTS / "rewinding"
NUMBERS, CPU, GPU = Numbers(FOLDER), Numbers(RESULTS), Numbers(RESULTS / "gpu-variants")
LAST, BEST = "test_accuracy", "test_accuracy_best_validation"
NONE, LATE = "fcnet-rewind-none", ("fcnet-rewind-1", "fcnet-rewind-2")


def gap(column: str, round_: int, study: str) -> Interval:
    """Return a way minus the ticket rewound to theta_0, paired by seed, in points."""
    one = NUMBERS.by_seed("accuracy", column, round_, study)
    return t_interval(100 * (one - CPU.by_seed("accuracy", column, round_)).dropna())


def gain(column: str, round_: int) -> Interval:
    return NUMBERS.estimate("accuracy", column, round_, study=NONE, minus=0)


def test_the_page_is_rendered_from_its_tables() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_chains_are_whole_up_to_round_10() -> None:
    runs = NUMBERS.table("accuracy")
    assert set(runs["epochs"]) == {50} and not runs["diverged"].any()
    for study, entry in NUMBERS.config["studies"].items():
        for seed in entry["seeds"]:
            own = runs[(runs["study"] == study) & (runs["seed"] == seed)]
            assert sorted(own["round"]) == list(range(11))


@pytest.mark.parametrize("study", [NONE, *LATE])
def test_dense_networks_are_the_published_ones(study: str) -> None:
    for column in (LAST, BEST, "train_accuracy"):
        found = gap(column, 0, study)
        assert (found.lower, found.upper, found.n) == (0, 0, 3)


def test_the_planned_contrasts_are_those_of_the_accuracies_by_holm() -> None:
    rows = NUMBERS.table("contrasts").set_index("round")
    p_values = {}
    for round_ in (7, 10):
        found, row = gap(LAST, round_, NONE), rows.loc[round_]
        assert [row["mean"], row["low"], row["high"]] == pytest.approx(
            [found.mean, found.lower, found.upper], abs=1e-3
        )
        one = NUMBERS.by_seed("accuracy", LAST, round_, NONE)
        differences = one - CPU.by_seed("accuracy", LAST, round_)[:3]
        p_values[str(round_)] = float(ttest_1samp(differences, 0).pvalue)
        assert row["p"] == pytest.approx(p_values[str(round_)], rel=1e-3)
    for name, contrast in holm(p_values).items():
        assert rows.loc[int(name), "p_holm"] == pytest.approx(contrast.p_adjusted, rel=1e-3)
        assert contrast.rejected and rows.loc[int(name), "mean"] < 0


def test_without_rewinding_the_gain_goes_and_the_best_epoch_falls_below_the_dense_network() -> None:
    assert all(gap(BEST, r, NONE).upper < 0 for r in (7, 10))
    assert gap(LAST, 10, NONE).mean < gap(LAST, 7, NONE).mean < gap(LAST, 3, NONE).mean
    assert all(gain(LAST, r).lower < 0 < gain(LAST, r).upper for r in (7, 10))
    assert all(gain(BEST, r).upper < 0 for r in (7, 10))
    assert [r for r in range(1, 11) if gain(LAST, r).lower > 0] == [1, 2, 3]


def test_from_when_on_all_training_images_are_learnt() -> None:
    own = [NUMBERS.by_seed("accuracy", "train_accuracy", r, NONE).min() for r in range(11)]
    rewound = [CPU.by_seed("accuracy", "train_accuracy", r)[:3].min() for r in range(11)]
    for shares, first in ((own, 1), (rewound, 2)):
        assert [r for r, share in enumerate(shares) if share < 0.9995] == list(range(first))


@pytest.mark.parametrize("study", LATE)
def test_late_rewinding_is_not_told_apart_and_not_shown_to_be_the_same(study: str) -> None:
    for column, round_ in itertools.product((LAST, BEST), (3, 7, 10)):
        found = gap(column, round_, study)
        assert found.lower < 0 < found.upper
        pair = [part.by_seed("accuracy", column, round_, name)
                for part, name in ((NUMBERS, study), (CPU, "fcnet-normal"))]  # fmt: skip
        assert not NUMBERS.equivalence(*pair).equivalent
    assert gap(LAST, 4, study).lower < 0 < gap(LAST, 4, study).upper
    on_gpu = GPU.by_seed("accuracy", LAST, 4, study) - GPU.by_seed("accuracy", LAST, 4)
    assert t_interval(on_gpu.dropna()).upper < 0


def test_epoch_2_may_cost_half_a_point_over_rounds_3_to_6() -> None:
    found = []
    for numbers, chain in ((NUMBERS, CPU), (GPU, GPU)):
        of_rounds = [
            numbers.by_seed("accuracy", LAST, r, LATE[1]) - chain.by_seed("accuracy", LAST, r)
            for r in range(3, 7)
        ]
        found += [t_interval(100 * (sum(of_rounds) / 4).dropna())]
    assert all(-0.7 < interval.mean < -0.5 and interval.n == 3 for interval in found)
    assert found[0].upper > 0 > found[1].upper


def test_the_figure_joins_the_runs_with_the_published_chain() -> None:
    rows = variants.beside_published(RESULTS, FOLDER)
    assert set(rows["study"]) == set(variants.REWINDING) and rows["round"].max() == 10
    figure = variants.rewinding(rows)
    assert [len(axis.get_lines()) > 0 for axis in figure.axes] == [True, True]

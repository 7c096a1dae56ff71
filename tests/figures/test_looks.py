"""How figures look: legends, ticks and titles that a reader can tell apart."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.lines import Line2D

from ticketlens.figures import accuracy as figures
from ticketlens.figures import arms
from ticketlens.figures import style as plotting
from ticketlens.figures.change import LEVELS
from ticketlens.figures.density import by_density, density_labels


def test_a_study_of_fewer_epochs_is_not_below_the_axis_of_validation_accuracy() -> None:
    """The axis begins below the lowest end of all studies, each at its own last epoch."""
    rows = [
        (study, 0, r, 0.8**r, "imp", epoch, level + 0.01 * epoch, 0.5, 1.0)
        for study, level, epochs in (("fc", 0.5, 6), ("conv", 0.2, 2))
        for r in (0, 1)
        for epoch in range(1, epochs + 1)
    ]
    columns = ["study", "seed", "round", "density", "arm", "epoch", "validation_accuracy",
               "train_accuracy", "train_loss"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    figure = figures.training_curves(table, {"fc": "fc", "conv": "conv"})
    low, high = figure.axes[0].get_ylim()
    assert low < 22 and high > 56


def test_a_legend_has_densities_from_dense_to_sparse_and_no_two_for_one_round() -> None:
    table = pd.DataFrame(
        [("fc", 0, 1.0), ("fc", 1, 0.80), ("conv", 1, 0.81), ("conv", 2, 0.65), ("res", 2, 0.4)],
        columns=["study", "round", "density"],
    )
    names = density_labels(table)
    assert names["fc", 1] == names["conv", 1] == "density 0.81"
    assert (names["conv", 2], names["res", 2]) == ("density 0.65", "density 0.4"), "too far apart"
    labels = ["density 0.4", "tickets", "dense", "density 0.65"]
    handles = [Line2D([], [], label=label) for label in labels]
    ordered, found = by_density(handles, labels)
    assert found == ["dense", "density 0.65", "density 0.4", "tickets"]
    assert [handle.get_label() for handle in ordered] == found


@pytest.mark.parametrize("limits", [(0.45, 1.7), (0.6, 2.2), (1.8, 6.4), (0.1, 3.0)])
def test_a_logarithmic_axis_of_less_than_a_decade_has_labels_enough_to_read_it(limits) -> None:
    _, axes = plotting.panels([""])
    axis = axes[0][0]
    axis.set_yscale("log")
    axis.set_ylim(*limits)
    plotting.plain_ticks(axis)
    seen = [tick for tick in axis.get_yticks() if limits[0] <= tick <= limits[1]]
    assert 3 <= len(seen) <= 8


def test_levels_of_equal_accuracy_are_all_seen() -> None:
    """theta_0 + bulk and the spikes of W alone are both at chance in a dense network."""
    lines = [line for _, line, _ in LEVELS.values()]
    dashed = [line for line in lines if line != "-"]
    assert lines.index(dashed[0]) == len(lines) - 2, "dashes lie on solid lines"
    (first, pattern), (second, same) = dashed
    assert pattern == same and second - first == pattern[0], "and fill each other's gaps"


def test_titles_of_panels_side_by_side_do_not_run_into_each_other() -> None:
    rows = [("a", 1, q, True) for q in ("test_accuracy", "test_accuracy_best_validation")]
    table = pd.DataFrame(rows, columns=["arm", "round", "quantity", "planned"]).assign(
        study="s", n=3, density=0.5, mean=1.0, lower=0.5, upper=1.5, margin=0.5
    )
    long = "FCNet normal (quick: 4 × 64, 6 epochs), with a longer name"
    figure = arms.zero_shot(table, {"s": long}, {"a": {"title": "an arm", "mask": "m", "law": "w"}})
    figure.draw_without_rendering()
    left, right = (axis.title.get_window_extent() for axis in figure.axes[:2])
    assert left.x1 < right.x0

"""The figures: each is one function from a tidy table and panel titles to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.density import by_density, density_axis, density_labels, density_scale

CURVES = 5  # rounds whose curves are drawn: more of them tangle
START = 8.0
QUANTITIES = {
    "validation_accuracy": ("validation\naccuracy (%)", 100),
    "train_accuracy": ("training\naccuracy (%)", 100),
    "train_loss": ("train loss\n(nats)", 1),
}
"""Columns of training_curves.csv: label, and the unit's factor."""


def accuracy(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Test accuracy against density: mean and 95 % t-interval over seeds, single seeds faint.

    `table` is accuracy.csv; one panel per study, all on one y axis. Last-epoch and best-validation
    weights apart. The axis follows the single seeds: wide intervals (few seeds) run off it, and end
    in arrowheads.
    """
    table, studies = plotting.selected(table, titles)
    figure, axes = plotting.study_panels(table, studies, titles)
    for axis, study in zip(axes[0], studies, strict=True):
        rows = table[table["study"] == study]
        seeds = rows["seed"].nunique()
        shown: list[pd.Series] = []
        for suffix, label, colour, marker, shift in plotting.WEIGHTS:
            column = f"test_accuracy{suffix}"
            for _, run in rows.groupby("seed"):
                if seeds > 1:
                    axis.plot(run["density"], 100 * run[column], color=colour, alpha=0.25, lw=0.7)
            points = plotting.seed_intervals(rows, "round", column)
            percent = points[["mean", "lower", "upper"]] * 100
            shown += [100 * rows[column], percent["mean"]]
            # Of few seeds intervals run off; where they fit, the axis makes room for them.
            reach = 100 * (rows[column].max() - rows[column].min())
            shown += [
                percent[end].clip(percent["mean"] - reach, percent["mean"] + reach)
                for end in ("lower", "upper")
            ]
            plotting.draw_intervals(
                axis, points["density"], percent, colour, shift, marker=marker, label=label
            )
        dense = 100 * rows.loc[rows["round"] == 0, "test_accuracy"].mean()
        axis.axhline(dense, color="0.5", lw=0.8, ls="--", zorder=0, label="dense, last epoch")
        plotting.frame(axis, *shown)
        density_axis(axis, rows["density"])
    plotting.same_y(axes[0])
    plotting.label_rows(axes, "test accuracy (%)")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def training_curves(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Validation accuracy, training accuracy and train loss against epoch, mean over seeds.

    `table` is training_curves.csv; one column per study, a line each for `CURVES` rounds at most,
    the dense network in black. Training figures are running means over an epoch's batches. The axis
    of validation accuracy begins `START` points below the lowest end: first epochs may lie below.
    """
    table, studies = plotting.selected(table, titles)
    figure, axes = plotting.study_panels(table, studies, titles, len(QUANTITIES), height=2.0)
    scale = density_scale(table)
    names = density_labels(table)
    for column, study in enumerate(studies):
        rows = table[table["study"] == study]
        for axis, (quantity, (_, unit)) in zip(axes[:, column], QUANTITIES.items(), strict=True):
            for number in plotting.spread(rows["round"], CURVES)[::-1]:
                group = rows[rows["round"] == number]
                density = group["density"].mean()
                mean = group.groupby("epoch")[quantity].mean()
                is_dense = number == 0
                axis.plot(
                    mean.index, unit * mean,
                    color="black" if is_dense else scale.colour(density),
                    lw=1.8 if is_dense else 1.1,
                    label="dense" if is_dense else names[study, number],
                )  # fmt: skip
            plotting.hide_x(axis)
            axis.xaxis.get_major_locator().set_params(integer=True)
        axes[-1][column].tick_params(labelbottom=True)
        axes[-1][column].set_xlabel("epoch")
    for row in axes:
        plotting.same_y(row)
    last = table.groupby("study")["epoch"].transform("max")  # studies may differ in it
    ends = table[table["epoch"] == last].groupby(["study", "round"])
    lowest = 100 * ends["validation_accuracy"].mean().min() - START
    for axis in axes[0] if np.isfinite(lowest) else ():
        axis.set_ylim(bottom=max(lowest, axis.get_ylim()[0]))
    plotting.label_rows(axes, *(label for label, _ in QUANTITIES.values()))
    plotting.legend(figure, *by_density(*plotting.entries(axes[0])))
    return figure

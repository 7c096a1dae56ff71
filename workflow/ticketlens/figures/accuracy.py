"""The figures: each is one function from a tidy table and panel titles to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting


def accuracy(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Test accuracy against density: mean and 95 % t-interval over seeds, single seeds faint.

    `table` is accuracy.csv; one panel per study. Last-epoch and best-validation weights apart. The
    axis follows the single seeds: wide intervals (few seeds) run off it.
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
                axis, points["density"] * shift, percent, colour, marker=marker, label=label
            )
        dense = 100 * rows.loc[rows["round"] == 0, "test_accuracy"].mean()
        axis.axhline(dense, color="0.5", lw=0.8, ls="--", zorder=0, label="dense, last epoch")
        plotting.frame(axis, *shown)
        plotting.density_axis(axis, rows["density"])
    plotting.label_rows(axes, "test accuracy (%)")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def training_curves(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Validation accuracy (top) and train loss (bottom) against epoch, mean over seeds.

    `table` is training_curves.csv; one column per study, one line per round.
    """
    table, studies = plotting.selected(table, titles)
    figure, axes = plotting.study_panels(table, studies, titles, 2)
    for column, study in enumerate(studies):
        rows = table[table["study"] == study]
        for quantity, axis, scale in (
            ("validation_accuracy", axes[0][column], 100),
            ("train_loss", axes[1][column], 1),
        ):
            for _, group in rows.groupby("round"):
                mean = group.groupby("epoch")[quantity].mean()
                colour = plotting.density_colour(group["density"].mean())
                axis.plot(mean.index, scale * mean, color=colour, lw=1)
        plotting.hide_x(axes[0][column])
        axes[1][column].set_xlabel("epoch")
        for axis in axes[:, column]:
            axis.xaxis.get_major_locator().set_params(integer=True)
    plotting.label_rows(axes, "validation accuracy (%)", "train loss (nats)")
    plotting.density_colourbar(figure, list(axes.ravel()))
    return figure

"""The figures: each is one function from a tidy table and panel titles to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ticketlens import plotting
from ticketlens.inference import t_interval


def accuracy(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Test accuracy against density: mean and 95 % t-interval over seeds, single seeds faint.

    `table` is accuracy.csv; one panel per study. Last-epoch and best-validation weights apart. The
    axis follows the single seeds: wide intervals (few seeds) run off it.
    """
    table = table[table["arm"] == "imp"]
    studies = _studies(table, titles)
    figure, axes = plotting.panels([titles[study] for study in studies])
    curves = (
        ("test_accuracy", "last epoch", plotting.BLUE, "o", 0.985),
        ("test_accuracy_best_validation", "best validation epoch", plotting.VERMILLION, "s", 1.015),
    )
    for axis, study in zip(axes[0], studies, strict=True):
        rows = table[table["study"] == study]
        for column, label, colour, marker, shift in curves:
            for _, run in rows.groupby("seed"):
                if rows["seed"].nunique() > 1:
                    axis.plot(run["density"], 100 * run[column], color=colour, alpha=0.25, lw=0.7)
            points = pd.DataFrame(
                [
                    {"density": group["density"].mean(), **_interval(100 * group[column])}
                    for _, group in rows.groupby("round")
                ]
            )
            errors = (points["mean"] - points["lower"]).to_numpy()
            axis.errorbar(
                points["density"] * shift,
                points["mean"],
                yerr=None if np.isnan(errors).all() else errors,
                color=colour,
                marker=marker,
                capsize=1.5,
                elinewidth=0.9,
                label=label,
            )
        dense = 100 * rows.loc[rows["round"] == 0, "test_accuracy"].mean()
        axis.axhline(dense, color="0.5", lw=0.8, ls="--", zorder=0, label="dense, last epoch")
        values = 100 * rows[[column for column, *_ in curves]].to_numpy()
        margin = max(1.0, np.ptp(values))
        axis.set_ylim(values.min() - margin, values.max() + margin)
        plotting.density_axis(axis, rows["density"])
        seeds = rows["seed"].nunique()
        axis.text(
            0.03, 0.03, f"{seeds} seed{'s' if seeds > 1 else ''}", transform=axis.transAxes,
            fontsize=8, color="0.4",
        )  # fmt: skip
    axes[0][0].set_ylabel("test accuracy (%)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def training_curves(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Validation accuracy (top) and train loss (bottom) against epoch, mean over seeds.

    `table` is training_curves.csv; one column per study, one line per round.
    """
    table = table[table["arm"] == "imp"]
    studies = _studies(table, titles)
    figure, axes = plotting.panels([titles[study] for study in studies], rows=2)
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
        axes[0][column].tick_params(labelbottom=False)
        axes[1][column].set_xlabel("epoch")
        for axis in axes[:, column]:
            axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0][0].set_ylabel("validation accuracy (%)")
    axes[1][0].set_ylabel("train loss (nats)")
    plotting.density_colourbar(figure, list(axes.ravel()))
    return figure


def _interval(values: pd.Series) -> dict[str, float]:
    interval = t_interval(values.to_numpy())
    return {"mean": interval.mean, "lower": interval.lower, "upper": interval.upper}


def _studies(table: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    """Return the studies of the table in the order of `titles`. Raises ValueError if none."""
    found = [study for study in titles if study in set(table["study"])]
    if not found:
        raise ValueError(f"the table has none of the studies {sorted(titles)}")
    return found

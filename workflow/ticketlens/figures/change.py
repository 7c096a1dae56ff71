"""Figure of the change that training makes: its spikes per layer, and what they classify alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.experiments import Shown

MATRICES = {
    "change": (plotting.VERMILLION, "o", r"$D = W - \theta_0$"),
    "trained": (plotting.BLUE, "s", r"$W$, trained"),
    "initial": ("0.4", "^", r"$\theta_0$ on the mask"),
}
LEVELS: dict[str, tuple[str, Any, str]] = {
    "trained": ("black", "-", "trained"),
    "spikes": (plotting.VERMILLION, "-", r"$\theta_0$ + spikes of $D$"),
    "control-spikes": (plotting.BLUE, "-", r"spikes of $W$ alone"),
    "bulk": (plotting.VERMILLION, (0, (4, 4)), r"$\theta_0$ + bulk of $D$"),
    "control-bulk": (plotting.BLUE, (4, (4, 4)), r"bulk of $W$ alone"),
}
"""Levels of accuracy, in the order in which they are drawn: dashes lie on solid lines, thicker than
these, and those of two colours beside each other, so that equal levels (chance) are all seen."""


def change(
    spectra: pd.DataFrame,
    accuracy: pd.DataFrame,
    titles: Mapping[str, str],
    labels: Mapping[str, Shown],
    count: int = 3,
) -> Figure:
    """Spikes per layer, and accuracy of theta_0 with parts of the change added.

    `spectra` is change_spectra.csv, `accuracy` change_accuracy.csv (validation images). One column
    per density of a study's chain, `count` at most; where there are fewer, the others are of its
    arms at their sparsest. `labels` say what arms are called. Top:
    singular values beyond the edge of Gaussian matrices on the same mask. Bottom: theta_0 plus the
    k leading directions of every layer's D, and levels of spikes and bulk. Mean over seeds, bars
    95 % t-intervals. Raises ValueError if there are no rows of these studies.
    """
    rows = spectra[spectra["study"].isin(list(titles))]
    curves = accuracy[accuracy["study"].isin(list(titles))]
    if rows.empty:
        raise ValueError(f"the table has no rows of studies {list(titles)}")
    columns = []
    for study in titles:
        of_study = rows[rows["study"] == study]
        chain = plotting.spread(of_study.loc[of_study["arm"] == "imp", "round"], count)
        last = of_study[of_study["arm"] != "imp"].groupby("arm")["round"].max()
        shown = [("imp", number) for number in chain] + list(last.items())
        columns += [(study, arm, number) for arm, number in shown[:count]]
    names = []
    for study, arm, number in columns:
        points = _of(rows, study, arm, number)
        which = "" if arm == "imp" else f", {labels[arm]['title'] if arm in labels else arm}"
        seeds = plotting.seed_range([points["seed"].nunique()])
        density = _of(curves, study, arm, number)["density"].mean()
        names.append(f"{titles[study]}{which}, density {density:.2g}, {seeds}")
    figure, axes = plotting.panels(names, 2)
    for column, (study, arm, number) in enumerate(columns):
        axis, points = axes[0][column], _of(rows, study, arm, number)
        for name, (colour, marker, label) in MATRICES.items():
            intervals = plotting.seed_intervals(points[points["matrix"] == name], "layer", "spikes")
            plotting.draw_intervals(
                axis, intervals["layer"], intervals, colour, marker=marker, label=label
            )
        readout = points.loc[points["name"] == "readout", "layer"].max()
        plotting.frame(axis, points["spikes"], [0])
        plotting.layer_axis(
            axis, points.loc[points["name"] != "readout", "layer"],
            None if np.isnan(readout) else int(readout),
        )  # fmt: skip
        axis, points = axes[1][column], _of(curves, study, arm, number)
        points = points.assign(validation_accuracy=100 * points["validation_accuracy"])
        ranked = plotting.seed_intervals(
            points[points["network"] == "rank"], "rank", "validation_accuracy"
        )
        plotting.draw_intervals(
            axis, ranked["rank"], ranked, plotting.GREEN, marker="o",
            label=r"$\theta_0$ + rank $k$ of $D$",
        )  # fmt: skip
        for name, (colour, line, label) in LEVELS.items():
            level = points.loc[points["network"] == name, "validation_accuracy"].mean()
            axis.axhline(level, color=colour, ls=line, lw=1.2 if line == "-" else 2.2, label=label)
        axis.set_xscale("log")
        axis.set_xlabel("rank $k$, per layer")
        axis.set_ylim(0, None)
    plotting.same_y(axes[1])
    plotting.label_rows(axes, "spikes beyond the null", "validation accuracy (%)")
    plotting.legend(figure, *plotting.entries([axes[0][0], axes[1][0]]))
    return figure


def _of(rows: pd.DataFrame, study: str, arm: str, round_: int) -> pd.DataFrame:
    return rows[(rows["study"] == study) & (rows["arm"] == arm) & (rows["round"] == round_)]

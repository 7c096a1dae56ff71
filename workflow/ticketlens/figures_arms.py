"""Figures of arms: rival tickets against the IMP ticket."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ticketlens import plotting


def zero_shot(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Accuracy of each arm minus IMP's: mean and 95 % t-interval over seeds, per round.

    `table` is contrasts.csv, of which the last epoch's weights are drawn; one panel per study. The
    band is the margin of equality; filled markers have a verdict, open ones were not planned. The
    axis follows the means: wide intervals (few seeds) run off it.
    """
    table = table[table["quantity"] == "test_accuracy"]
    studies = [study for study in titles if study in set(table["study"])]
    names = [_panel_title(table[table["study"] == study], titles[study]) for study in studies]
    arms = list(dict.fromkeys(table["arm"]))
    figure, axes = plotting.panels(names, height=0.6 + 0.36 * max(4, len(arms)))
    for axis, study in zip(axes[0], studies, strict=True):
        rows = table[table["study"] == study]
        rounds = sorted(set(rows["round"]))
        for number, shift in zip(rounds, _shifts(len(rounds)), strict=True):
            found = rows[rows["round"] == number]
            colour = plotting.density_colour(found["density"].mean())
            place = np.array([arms.index(arm) for arm in found["arm"]]) + shift
            for y, (_, row) in zip(place, found.iterrows(), strict=True):
                axis.plot([row["lower"], row["upper"]], [y, y], color=colour, alpha=0.5, lw=0.9)
            for planned, face in ((True, colour), (False, "white")):
                own = (found["planned"] == planned).to_numpy()
                axis.plot(found["mean"][own], place[own], "o", color=colour, mfc=face, zorder=3)
            label = f"round {number}, density {found['density'].mean():.2g}"
            axis.plot([], [], "o", color=colour, label=label)
        margin = float(rows["margin"].iloc[0])
        axis.axvspan(-margin, margin, color="0.9", zorder=0, label=f"±{margin:g} points")
        axis.axvline(0, color="0.5", lw=0.8, zorder=1)
        reach = 1.15 * max(2 * margin, rows["mean"].abs().max())
        axis.set_xlim(-reach, reach)
        axis.set_ylim(len(arms) - 0.5, -0.5)
        axis.set_yticks(range(len(arms)), labels=arms if axis is axes[0][0] else [""] * len(arms))
        axis.set_xlabel("test accuracy, arm − IMP (points)")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def _shifts(count: int) -> np.ndarray:
    """Return vertical places of `count` rounds around an arm's line."""
    return np.linspace(-0.22, 0.22, count) if count > 1 else np.zeros(1)


def _panel_title(rows: pd.DataFrame, name: str) -> str:
    seeds = int(rows["n"].max())
    return f"{name}, {seeds}\u00a0seed{'' if seeds == 1 else 's'}"

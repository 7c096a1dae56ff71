"""Density, the share of weights kept, in figures: as a colour, as an axis, in a legend.

Dense is dark, and on the left; sparse is light, and on the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from ticketlens.figures.style import FEWEST_SEEDS, draw_intervals, seed_intervals

DENSITY_TICKS = (1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
ALIKE = 1.05  # densities of one round that a legend does not tell apart
DENSITY_LABEL = "density (kept / all weights)"


# --- As a colour ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class DensityScale:
    """Colours of densities from 1 down to `lowest`: viridis in logs, dense is dark."""

    lowest: float = 0.03

    def colour(self, density: float) -> tuple[float, float, float, float]:
        """Return the colour of a density; one beyond the scale has that of the scale's end."""
        norm = LogNorm(self.lowest, 1.0, clip=True)
        red, green, blue, alpha = plt.get_cmap("viridis")(0.92 * (1 - float(norm(density))))
        return red, green, blue, alpha

    def bar(self, figure: Figure, axes: Iterable[Axes]) -> None:
        """Draw the scale beside `axes`."""
        colours = [self.colour(density) for density in np.geomspace(self.lowest, 1.0, 256)]
        mappable = mpl.cm.ScalarMappable(LogNorm(self.lowest, 1.0), ListedColormap(colours))
        bar = figure.colorbar(mappable, ax=list(axes), pad=0.02, aspect=30)
        bar.set_label("density")
        wide = self.lowest < 0.15
        ticks = [
            tick
            for tick in DENSITY_TICKS
            if tick >= self.lowest and not (wide and tick in (0.8, 0.6, 0.4, 0.3))
        ]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.ax.minorticks_off()


def density_scale(rows: pd.DataFrame) -> DensityScale:
    """Return the colours for the densities that `rows` hold."""
    lowest = float(rows["density"].min())
    return DensityScale(min(0.9, lowest)) if lowest > 0 else DensityScale()


def draw_layers(
    axis: Axes, rows: pd.DataFrame, column: str, scale: DensityScale, **style: Any
) -> None:
    """Draw the mean of `column` over seeds against the layer, one line per round.

    Where there are too few seeds for an interval, they are drawn faint.
    """
    style = {"marker": "o", "ms": 2.2, "lw": 1.1, "elinewidth": 0.6, "capsize": 0, **style}
    for _, group in rows.groupby("round"):
        intervals = seed_intervals(group, "layer", column)
        density = group["density"].mean()
        colour = scale.colour(density)
        if 1 < group["seed"].nunique() < FEWEST_SEEDS:
            for _, run in group.groupby("seed"):
                line = seed_intervals(run, "layer", column)
                axis.plot(line["layer"], line["mean"], color=colour, alpha=0.35, lw=0.6, zorder=1.5)
        # A name that no legend shows: colours stand for densities; a page's pointer says it.
        named = {"label": f"_density {density:.3g}", **style}
        draw_intervals(axis, intervals["layer"], intervals, colour, **named)


# --- As an axis ----------------------------------------------------------------------------------


def density_axis(axis: Axes, densities: Sequence[float]) -> None:
    """Make x a logarithmic density axis, dense on the left."""
    axis.set_xscale("log")
    low, high = min(densities), max(densities)
    axis.set_xlim(high * 1.15, low / 1.15)
    wide: tuple[float, ...] = (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
    ticks: Sequence[float]
    ticks = wide if low < 0.15 * high else (1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)
    ticks = [tick for tick in ticks if low / 1.15 <= tick <= high * 1.15]
    axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel(DENSITY_LABEL)


def draw_against_density(
    axis: Axes,
    rows: pd.DataFrame,
    column: str,
    colour: str,
    shift: float = 1.0,
    **style: Any,
) -> None:
    """Draw the mean of `column` over seeds against density, single seeds faint.

    `shift` is a factor on the density that keeps the bars of several lines apart.
    """
    intervals = seed_intervals(rows, "round", column)
    if rows["seed"].nunique() > 1:
        for _, run in rows.groupby("seed"):
            line = seed_intervals(run, "round", column)
            axis.plot(line["density"], line["mean"], color=colour, alpha=0.25, lw=0.7)
    draw_intervals(axis, intervals["density"], intervals, colour, shift, **style)


# --- In a legend ---------------------------------------------------------------------------------


def density_labels(rows: pd.DataFrame) -> dict[tuple[str, int], str]:
    """Return what a legend calls the rounds of studies, (study, round): "density 0.64".

    Studies whose densities of a round are within `ALIKE` of each other share one name, so that a
    legend does not tell 0.64 from 0.65: layers that are pruned less make the difference.
    """
    densities = rows.groupby(["round", "study"])["density"].mean()
    shared = densities.groupby("round").agg(["min", "max", "mean"])
    alike = shared["max"] <= ALIKE * shared["min"]
    return {
        (study, number): f"density {shared.loc[number, 'mean'] if alike[number] else value:.2g}"
        for (number, study), value in densities.items()
    }


def by_density(handles: Sequence[Artist], labels: Sequence[str]) -> tuple[list[Artist], list[str]]:
    """Return legend entries with those of densities ("density 0.64") from dense to sparse, first.

    Others keep their order: before the densities "dense", behind them the rest.
    """

    def rank(label: str) -> tuple[int, float]:
        kind, _, number = label.partition(" ")
        if label == "dense":
            return 0, 0.0
        return (1, -float(number)) if kind == "density" else (2, 0.0)

    order = sorted(range(len(labels)), key=lambda place: rank(labels[place]))
    return [handles[place] for place in order], [labels[place] for place in order]

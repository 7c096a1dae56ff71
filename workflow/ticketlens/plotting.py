"""The look that all figures share: one style, one colour scale for density, panels per study."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ticketlens.atomic import replacing

MAX_PIXELS = 1500
TITLE_CHARACTERS = 38
PANEL = (3.4, 2.7)  # inches: two panels fill a page's width
DENSITY_RANGE = (0.03, 1.0)
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "savefig.bbox": "tight",
    "pdf.fonttype": 42,
}
plt.rcParams.update(STYLE)
# Okabe & Ito's colours, which the colour-blind tell apart.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"


def density_colour(density: float) -> tuple[float, float, float, float]:
    """Return the colour of a density: viridis on a log scale, dense is dark."""
    norm = LogNorm(*DENSITY_RANGE, clip=True)
    return plt.get_cmap("viridis")(0.92 * (1 - norm(density)))


def density_colourbar(figure: Figure, axes: Sequence[Axes]) -> None:
    """Draw the scale of `density_colour` beside `axes`."""
    colours = [density_colour(d) for d in np.geomspace(*DENSITY_RANGE, 256)]
    mappable = mpl.cm.ScalarMappable(LogNorm(*DENSITY_RANGE), mpl.colors.ListedColormap(colours))
    bar = figure.colorbar(mappable, ax=list(axes), pad=0.02, aspect=30)
    bar.set_label("density")
    bar.set_ticks([1, 0.5, 0.2, 0.1, 0.05, 0.03], labels=["1", "0.5", "0.2", "0.1", "0.05", "0.03"])
    bar.ax.minorticks_off()


def panels(titles: Iterable[str], rows: int = 1) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, shape (rows, panels), one column per title."""
    titles = list(titles)
    figure, axes = plt.subplots(
        rows,
        len(titles),
        figsize=(PANEL[0] * len(titles) + 0.5, PANEL[1] * rows + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title("\n".join(textwrap.wrap(title, TITLE_CHARACTERS)))
    return figure, axes


def density_axis(axis: Axes, densities: Sequence[float]) -> None:
    """Make x a logarithmic density axis, dense on the left."""
    axis.set_xscale("log")
    low, high = min(densities), max(densities)
    axis.set_xlim(high * 1.15, low / 1.15)
    ticks = [t for t in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01) if low / 1.15 <= t <= high * 1.15]
    axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("density (kept / all weights)")


def save(figure: Figure, png: str | os.PathLike, pdf: str | os.PathLike) -> None:
    """Write a figure as PNG (at most 1,500 px wide) and PDF, and close it."""
    width = figure.get_size_inches()[0] * 1.05
    dpi = min(200, MAX_PIXELS / width)
    with replacing(png) as temporary:
        figure.savefig(temporary, dpi=dpi)
    with replacing(pdf) as temporary:
        # No time stamp: the same table gives the same file.
        figure.savefig(temporary, metadata={"CreationDate": None})
    plt.close(figure)

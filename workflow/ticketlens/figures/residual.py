"""The figure of residual networks: q and chi of the blocks, measured and in theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ticketlens.figures import style as plotting
from ticketlens.figures.density import (
    DensityScale,
    density_axis,
    density_scale,
    draw_against_density,
    draw_layers,
)
from ticketlens.figures.signal import MeanField
from ticketlens.meanfield import dense_q

GREY = "0.35"
DENSITIES = 5
# Line of each source in all panels; the measured one has markers.
THEORY = {"naive": ("R0 (naive)", ":"), "second_moment": ("R1 (zeros count)", "--")}


def residual(
    table: pd.DataFrame, titles: Mapping[str, str], dense: Mapping[str, MeanField]
) -> Figure:
    """Trunk q per block, its ratio to theory, and chi of the blocks.

    `table` is residual.csv, of tickets before training; one column per study. First row: q of the
    trunk behind each block (0: the stem) at a few densities, measured, as R0 and R1 have it, and
    for a wide dense network from the measured stem on (black). Second and third: ln(q/R0) and
    ln(q/R1) per block at the same densities. Last: chi_block against density, mean over blocks.
    Colour is the density, the style of line the source. Means over seeds with 95 % t-intervals.
    """
    rows, studies = plotting.selected(table, titles, "init")
    rows = rows[rows["part"] == "trunk"]
    for name in THEORY:
        usable = (rows["q"] > 0) & (rows[f"q_{name}"] > 0)
        ratio = np.log(rows["q"].where(usable) / rows[f"q_{name}"].where(usable))
        rows = rows.assign(**{f"log_{name}": ratio})
    figure, axes = plotting.study_panels(rows, studies, titles, 4, 2.0)
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        shown = of_study[of_study["round"].isin(plotting.spread(of_study["round"], DENSITIES))]
        lengths, *ratios, chi = axes[:, column]
        _draw_lengths(lengths, shown, dense[study], scale)
        for axis, name in zip(ratios, THEORY, strict=True):
            _draw_blocks(axis, shown, f"log_{name}", scale)
            plotting.frame(axis, shown[f"log_{name}"], [0])
            axis.axhline(0, color="0.5", lw=0.8, zorder=1)
        for axis in (lengths, ratios[0]):
            plotting.hide_x(axis)
        behind = of_study[of_study["block"] > 0]
        styles = {"chi": "-", **{f"chi_{name}": line for name, (_, line) in THEORY.items()}}
        for quantity, line in styles.items():
            marker: dict[str, Any] = {"marker": "o", "ms": 2.5} if quantity == "chi" else {}
            draw_against_density(chi, behind, quantity, GREY, ls=line, lw=1.1, **marker)
        chi.axhline(1, color="0.5", lw=0.8, zorder=1)
        density_axis(chi, behind["density"])
        per_run = behind.groupby(["seed", "round"])[list(styles)].mean()
        plotting.frame(chi, per_run.to_numpy().ravel(), [1])
    labels = (r"trunk $q$", r"$\ln(q/\mathrm{R0})$", r"$\ln(q/\mathrm{R1})$", r"$\chi$ of a block")
    plotting.label_rows(axes, *labels)
    scale.bar(figure, axes[:3].ravel())
    handles = [Line2D([], [], color=GREY, marker="o", ms=2.5)]
    handles += [Line2D([], [], color=GREY, ls=style) for _, style in THEORY.values()]
    handles += [Line2D([], [], color="black", lw=0.9)]
    names = ["measured", *(label for label, _ in THEORY.values()), "wide dense network"]
    plotting.legend(figure, handles, names)
    return figure


def _draw_lengths(axis: Axes, shown: pd.DataFrame, dense: MeanField, scale: DensityScale) -> None:
    """Draw q behind each block, measured and in theory, and that of a wide dense network."""
    axis.set_yscale("log")
    for _, group in shown.groupby("round"):
        colour = scale.colour(group["density"].mean())
        for name, (_, style) in THEORY.items():
            line = plotting.seed_intervals(group, "block", f"q_{name}")
            axis.plot(line["block"], line["mean"], color=colour, ls=style, lw=1)
    _draw_blocks(axis, shown, "q", scale)
    is_dense = shown["round"] == shown["round"].min()
    stem = shown.loc[is_dense & (shown["block"] == 0), "q"].mean()
    count = int(shown["block"].max())
    if np.isfinite(stem):
        wide = dense_q(stem, dense[0], dense[1], count, dense[2])[::2]
        axis.plot(range(count + 1), wide, color="black", lw=0.9, zorder=2)
    plotting.frame(axis, shown["q"], *(shown[f"q_{name}"] for name in THEORY))
    plotting.plain_ticks(axis)


def _draw_blocks(axis: Axes, shown: pd.DataFrame, quantity: str, scale: DensityScale) -> None:
    """Draw a measured quantity per block, one line per round."""
    by_block = shown.assign(layer=shown["block"])
    draw_layers(axis, by_block, quantity, scale, ms=2.5, zorder=3)
    axis.set_xticks(range(int(shown["block"].max()) + 1))
    axis.set_xlabel("block (0: the stem)")

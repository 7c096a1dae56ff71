"""The figure of residual networks: q and chi of the blocks, measured and in theory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ticketlens.figures import style as plotting
from ticketlens.figures.signal import MeanField
from ticketlens.meanfield import dense_q

GREY = "0.35"
DENSITIES = 5
SHIFT = 0.007  # share of the density axis from block to block: keeps their bars apart
THEORY = {"naive": ("R0 (naive)", ":"), "second_moment": ("R1 (zeros count)", "--")}
# Colour, marker and its size, label. R1 and the measured chi may coincide: the smaller is on top.
CHI = {
    "chi_naive": (plotting.ORANGE, "s", 4, r"$\chi$, R0 (naive)"),
    "chi_second_moment": (plotting.BLUE, "^", 6.5, r"$\chi$, R1 (zeros count)"),
    "chi": ("black", "o", 3, r"$\chi$, measured"),
}


def residual(
    table: pd.DataFrame, titles: Mapping[str, str], dense: Mapping[str, MeanField]
) -> Figure:
    """Trunk q per block, its ratio to theory against density, and chi of the blocks.

    `table` is residual.csv, of tickets before training; one column per study. First row: q of the
    trunk behind each block (0: the stem) at a few densities, measured, as R0 and R1 have it, and
    for a wide dense network from the measured stem on (black). Second and third: ln(q/R0) and
    ln(q/R1) against density, a line per block. Last: chi_block, mean over blocks. Means over seeds
    with 95 % t-intervals.
    """
    rows, studies = plotting.selected(table, titles, "init")
    rows = rows[rows["part"] == "trunk"]
    for name in THEORY:
        usable = (rows["q"] > 0) & (rows[f"q_{name}"] > 0)
        ratio = np.log(rows["q"].where(usable) / rows[f"q_{name}"].where(usable))
        rows = rows.assign(**{f"log_{name}": ratio})
    figure, axes = plotting.study_panels(rows, studies, titles, 4, 2.2)
    for column, study in enumerate(studies):
        own = rows[rows["study"] == study]
        lengths, *ratios, chi = axes[:, column]
        _draw_lengths(lengths, own, dense[study])
        for axis, name in zip(ratios, THEORY, strict=True):
            _draw_ratios(axis, own, f"log_{name}")
            plotting.hide_x(axis)
        behind = own[own["block"] > 0]
        for quantity, (colour, marker, size, label) in CHI.items():
            style = {"marker": marker, "ms": size, "label": label}
            plotting.draw_against_density(chi, behind, quantity, colour, **style)
        chi.axhline(1, color="0.4", lw=0.9, ls="--", zorder=1)
        plotting.density_axis(chi, behind["density"])
        per_run = behind.groupby(["seed", "round"])[list(CHI)].mean()
        plotting.frame(chi, per_run.to_numpy().ravel(), [1])
    labels = (r"trunk $q$", r"$\ln(q/\mathrm{R0})$", r"$\ln(q/\mathrm{R1})$", r"$\chi$ of a block")
    plotting.label_rows(axes, *labels)
    plotting.density_colourbar(figure, axes[0])
    handles = [Line2D([], [], color=GREY, marker="o", ms=2.5)]
    handles += [Line2D([], [], color=GREY, ls=style) for _, style in THEORY.values()]
    handles += [Line2D([], [], color="black", lw=0.9)]
    names = ["measured", *(label for label, _ in THEORY.values()), "wide dense network"]
    plotting.legend(figure, handles, names)
    blocks, found = plotting.entries(axes[1:3].ravel())
    more, others = plotting.entries(axes[3])
    plotting.legend(figure, blocks + more, found + others, where="lower")
    return figure


def _draw_lengths(axis: Axes, rows: pd.DataFrame, dense: MeanField) -> None:
    axis.set_yscale("log")
    rounds = plotting.spread(rows["round"], DENSITIES)
    shown = rows[rows["round"].isin(rounds)]
    for number in rounds:
        group = shown[shown["round"] == number]
        colour = plotting.density_colour(group["density"].mean())
        for name, (_, style) in THEORY.items():
            line = plotting.seed_intervals(group, "block", f"q_{name}")
            axis.plot(line["block"], line["mean"], color=colour, ls=style, lw=1)
        found = plotting.seed_intervals(group, "block", "q")
        plotting.draw_intervals(
            axis, found["block"], found, colour, marker="o", ms=2.5, lw=1.1, zorder=3
        )
    stem = rows.loc[(rows["round"] == rounds[0]) & (rows["block"] == 0), "q"].mean()
    count = int(rows["block"].max())
    if np.isfinite(stem):
        wide = dense_q(stem, dense[0], dense[1], count, dense[2])[::2]
        axis.plot(range(count + 1), wide, color="black", lw=0.9, zorder=2)
    axis.set_xticks(range(count + 1))
    axis.set_xlabel("block (0: the stem)")
    plotting.frame(axis, shown["q"], *(shown[f"q_{name}"] for name in THEORY))
    plotting.plain_ticks(axis)


def _draw_ratios(axis: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw `quantity` against density, one line per block, deep blocks dark."""
    count, span = int(rows["block"].max()), rows["density"].max() / rows["density"].min()
    shades = plotting.shades("Purples", 0.35, 1.0)
    axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=1)
    for block, group in rows.groupby("block"):
        label = "stem" if block == 0 else f"block {block}"
        colour, shift = shades(block / max(1, count)), span ** (SHIFT * (block - count / 2))
        style = {"marker": "o", "ms": 2.5, "label": label}
        plotting.draw_against_density(axis, group, quantity, colour, shift, **style)
    means = rows.groupby(["block", "seed", "round"])[quantity].mean()
    plotting.frame(axis, means, [0])
    plotting.density_axis(axis, rows["density"])

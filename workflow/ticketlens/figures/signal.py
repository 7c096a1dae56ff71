"""Figures of signal propagation: Q-maps against theory, the ladder, chi, correlations.

Each is one function from a tidy table and panel titles to a figure, one column per study. Only
hidden layers appear; "deep" layers are the last half of them. `dense` maps studies to the
mean-field point (sigma_w, sigma_b, activation) of their dense initial networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ticketlens import meanfield as mf
from ticketlens.architecture import READOUT
from ticketlens.figures import style as plotting
from ticketlens.figures.density import (
    density_axis,
    density_scale,
    draw_against_density,
    draw_layers,
)
from ticketlens.verdicts import ladder_steps, selection

MeanField = tuple[float, float, str]

GREY = "0.35"
FLAT = 0.05  # a correlation that moves by less does not move on an axis to 1
LEVELS = (0, 0.1, 0.3, 1, 2, 4, 7, 11, 20)

# Colour and marker, name of the rung, what the step from the rung before adds.
RUNGS = {
    "naive": (plotting.ORANGE, "s", "R0 naive", ""),
    "second_moment": (plotting.BLUE, "^", "R1 second moment", "to R1: zeros count"),
    "degree": (plotting.GREEN, "v", "R2 degree", "to R2: unequal neurons"),
    "empirical_law": (plotting.PURPLE, "D", "R3a empirical law", "to R3a: finite in-degree"),
    "sign_redraw": (plotting.SKY, "P", "R3b random signs", "to R3b: the graph itself"),
    "measured": ("black", "o", "measured", ""),
}
# Several rungs nearly coincide: larger markers lie below smaller ones.
SIZES = dict(zip(RUNGS, (4.0, 8.0, 6.8, 5.2, 4.2, 4.0), strict=True))
SIGNS = (plotting.VERMILLION, "X", "to measured: the signs")
CHI = {
    "chi_frobenius": ("black", "o", r"measured $\chi$"),
    "slope": (plotting.GREEN, "v", "measured C-map slope"),
    "chi_naive": (plotting.ORANGE, "s", "theory R0 (naive)"),
    "chi_second_moment": (plotting.BLUE, "^", "theory R1 (zeros count)"),
}


def qmap(table: pd.DataFrame, titles: Mapping[str, str], state: str = "init") -> Figure:
    """Measured q per hidden layer, one line per density, mean over seeds with 95 % t-interval.

    `table` is qmap.csv; q is the mean of h² over neurons and images; `state` is init or trained.
    """
    rows, studies = plotting.selected(table, titles, state)
    figure, axes = plotting.study_panels(rows, studies, titles)
    scale = density_scale(rows)
    for axis, study in zip(axes[0], studies, strict=True):
        of_study = rows[rows["study"] == study]
        axis.set_yscale("log")
        draw_layers(axis, of_study, "q", scale)
        plotting.layer_axis(axis, of_study["layer"])
        plotting.frame(axis, of_study["q"])
        plotting.plain_ticks(axis)
    of = "tickets" if state == "init" else "trained networks"
    plotting.label_rows(axes, rf"$q^l = \langle (h^l)^2 \rangle$ of {of}")
    scale.bar(figure, axes.ravel())
    return figure


def qmap_theory(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """q per hidden layer, measured and as the theory of a dense network (R0) has it.

    `table` is ladder.csv. One row of panels per density, at most six of them. R0 takes sigma_w from
    the std of the kept weights.
    """
    rows, studies = plotting.selected(table, titles, "init")
    rows = rows[rows["mode"].isin(["free", "measured"])]
    shown = {study: plotting.spread(group["round"], 6) for study, group in rows.groupby("study")}
    lines = max(len(numbers) for numbers in shown.values())
    figure, axes = plotting.study_panels(rows, studies, titles, lines, height=1.4)
    for axis in axes.flat:
        axis.set_axis_off()
    for column, study in enumerate(studies):
        of_study = rows[(rows["study"] == study) & rows["rung"].isin(["naive", "measured"])]
        for axis, number in zip(axes[:, column], shown[study], strict=False):
            axis.set_axis_on()
            _draw_theory(axis, of_study[of_study["round"] == number])
            plotting.layer_axis(axis, of_study["layer"])
            axis.set_yscale("log")
            plotting.frame(axis, of_study["q"], [0.4 * of_study["q"].min()])
            plotting.plain_ticks(axis, (1, 3))
            axis.set_ylabel(r"$q^l$" if plotting.is_leftmost(axis) else "")
            if number != shown[study][-1]:
                plotting.hide_x(axis)
    plotting.legend(figure, *axes[0][0].get_legend_handles_labels())
    return figure


def _draw_theory(axis: Axes, rows: pd.DataFrame) -> None:
    """Draw R0 and the measured q of one density."""
    for rung, colour, style, label in (
        ("naive", plotting.VERMILLION, {"ls": "--", "marker": "s"}, "dense theory (R0)"),
        ("measured", "black", {"marker": "o"}, "measured"),
    ):
        intervals = plotting.seed_intervals(rows[rows["rung"] == rung], "layer", "q")
        plotting.draw_intervals(
            axis,
            intervals["layer"],
            intervals,
            colour,
            label=label,
            lw=1.1,
            **cast(dict[str, Any], style),
        )
    text = f"density {rows['density'].mean():.2g}"
    axis.text(0.03, 0.06, text, transform=axis.transAxes)


def qmap_ladder(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Which assumption fails: q of the deep layers by every rung, and the gap taken apart.

    `table` is ladder.csv, rungs free-running. Top: geometric mean of q over the deep layers.
    Bottom: the signed steps ln(R_k/R_{k−1}) up to ln(q/R_last), each less its value at round 0;
    they add up to ln(q/R0). Means over seeds with 95 % t-intervals.
    """
    rows, studies = plotting.selected(table, titles, "init")
    rows = rows[rows["mode"].isin(["free", "measured"])]
    figure, axes = plotting.study_panels(rows, studies, titles, 2)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        logs = ladder_steps.log_q(selection.deep(of_study))
        rungs = [rung for rung in RUNGS if rung in logs]
        lengths = logs.assign(**{rung: np.exp(logs[rung]) for rung in rungs})
        steps = ladder_steps.steps(logs, rungs)
        top, bottom = axes[:, column]
        top.set_yscale("log")
        for rung in rungs:
            colour, marker, label, _ = RUNGS[rung]
            style: dict[str, Any] = {"marker": marker, "ms": SIZES[rung], "label": label}
            draw_against_density(top, lengths, rung, colour, **style)
        bottom.axhline(0, color="0.5", lw=0.8, zorder=1)
        for name in rungs[1:]:
            colour, marker, label = SIGNS if name == "measured" else _step_style(name)
            style = {"marker": marker, "ms": SIZES[name], "label": label}
            draw_against_density(bottom, steps, name, colour, **style)
        draw_against_density(
            bottom,
            steps,
            "total",
            "black",
            marker="o",
            ls="--",
            label=r"total $\ln(q/\mathrm{R0})$",
        )
        plotting.frame(top, lengths[rungs].to_numpy().ravel())
        plotting.frame(bottom, steps[[*rungs[1:], "total"]].to_numpy().ravel())
        for axis in (top, bottom):
            density_axis(axis, logs["density"])
        plotting.plain_ticks(top)
        plotting.hide_x(top)
    since = " since round 0" if (rows["round"] == 0).any() else ""
    plotting.label_rows(axes, r"$q$ of the deep layers", r"steps in $\ln q$" + since)
    plotting.legend(figure, *plotting.entries(axes[0]))
    plotting.legend(figure, *plotting.entries(axes[1]), where="lower")
    return figure


def _step_style(rung: str) -> tuple[str, str, str]:
    colour, marker, _, step = RUNGS[rung]
    return colour, marker, step


def qmap_fixed_point(
    table: pd.DataFrame, titles: Mapping[str, str], dense: Mapping[str, MeanField]
) -> Figure:
    """q* over (sigma_w, sigma_b) with the edge of chaos, and the path that the tickets take.

    `table` is weight_statistics.csv. Per round, sigma_w of the deep layers as R0 reads it (std of
    the kept weights) and as R1 does (second moment of all weights, zeros counted), mean over layers
    and seeds; sigma_b is that of the initial biases, which are never pruned.
    """
    rows, studies = plotting.selected(table, titles, "init")
    rows = rows[rows["name"] != READOUT]
    fan_in = (rows["std_scaled"] / rows["std"]) ** 2
    rows = rows.assign(diluted=np.sqrt(rows["second_moment_all"] * fan_in))
    reach_w = 1.08 * max(2.0, rows["std_scaled"].max())
    reach_b = 1.5 * max(0.3, *(dense[study][1] for study in studies))
    figure, axes = plotting.study_panels(rows, studies, titles, height=2.9)
    scale = density_scale(rows)
    for axis, study in zip(axes[0], studies, strict=True):
        of_study = selection.deep(rows[rows["study"] == study])
        _, sigma_b, activation = dense[study]
        _draw_phase_diagram(axis, reach_w, reach_b, activation)
        for quantity, marker in (("std_scaled", "s"), ("diluted", "^")):
            path = plotting.seed_intervals(of_study, "round", quantity)
            for _, point in path.iterrows():
                colour = scale.colour(point["density"])
                axis.plot(
                    point["mean"], sigma_b, ls="", marker=marker, color=colour, ms=6, mec="white",
                    mew=0.6, zorder=4, clip_on=False,
                )  # fmt: skip
    plotting.label_rows(axes, r"bias scale $\sigma_b$")
    scale.bar(figure, axes.ravel())
    style: dict[str, Any] = {"ls": "", "ms": 6, "color": GREY}
    handles = [
        Line2D([], [], marker="s", **style),
        Line2D([], [], marker="^", **style),
        Line2D([], [], color=plotting.VERMILLION, lw=1.6),
        Line2D([], [], color="0.55", lw=0.7),
    ]
    labels = ["tickets, R0", "tickets, R1", r"edge of chaos, $\chi = 1$", "$q^*$ of the theory"]
    plotting.legend(figure, handles, labels)
    return figure


def _draw_phase_diagram(axis: Axes, reach_w: float, reach_b: float, activation: str) -> None:
    """Draw contours of q* and the line chi = 1 of `activation`.

    Lines of equal q* are explicit: sigma_w² = (q* − sigma_b²)/E phi² at q*.
    """
    sigma_b = np.linspace(0, reach_b, 41)[:, None]
    above = np.concatenate([[0], np.geomspace(1e-4, 2 * reach_w**2, 200)])
    q = sigma_b**2 + above
    moment = mf.second_moment(q, activation)
    sigma_w = np.sqrt(np.divide(above, moment, out=np.zeros_like(q), where=moment > 0))
    heights = np.broadcast_to(sigma_b, q.shape)
    shades = plotting.shades("Greys", 0.0, 0.4)
    axis.contourf(sigma_w, heights, q, LEVELS, cmap=shades, norm=PowerNorm(0.3))
    lines = axis.contour(sigma_w, heights, q, LEVELS[1:], colors="0.55", linewidths=0.7)
    places = []
    for level in LEVELS[1:]:
        height = min(0.15 * reach_b, np.sqrt(0.4 * level))
        width = np.sqrt((level - height**2) / mf.second_moment(level, activation))
        if width < 0.95 * reach_w:
            places.append((width, height))
    axis.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=7, colors="0.3", manual=places)
    critical = []
    for value in sigma_b[:, 0]:
        try:
            critical.append((mf.critical_sigma_w(value, activation), value))
        except mf.NoFixedPoint:
            continue
    axis.plot(*np.transpose(critical), color=plotting.VERMILLION, lw=1.6, zorder=3)
    if len(critical) > 1:
        box: dict[str, Any] = {"fc": "white", "ec": "none", "alpha": 0.6, "pad": 1}
        style: dict[str, Any] = {"transform": axis.transAxes, "color": "0.3", "bbox": box}
        axis.text(0.04, 0.9, "order", **style)
        axis.text(0.96, 0.9, "chaos", ha="right", **style)
    axis.set_xlim(0, reach_w)
    axis.set_ylim(-0.06 * reach_b, reach_b)
    axis.grid(False)
    axis.set_xlabel(r"weight scale $\sigma_w$")


def chi(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """chi against density, measured and in theory, and per layer: do perturbations grow?

    `table` is chi.csv. Top: means over the deep layers, then over seeds with 95 % t-intervals, of
    the mean squared singular value of dh^l/dh^{l−1}, of the C-map's measured slope at c = 1, and of
    the theory's chi under R0 and under R1. Bottom: the first of them per layer and density.
    """
    rows, studies = plotting.selected(table, titles, "init")
    figure, axes = plotting.study_panels(rows, studies, titles, 2)
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        top, bottom = axes[:, column]
        deep = selection.deep(of_study)
        for quantity, (colour, marker, label) in CHI.items():
            draw_against_density(top, deep, quantity, colour, marker=marker, label=label)
        density_axis(top, deep["density"])
        per_run = deep.groupby(["seed", "round"])[list(CHI)].mean()
        plotting.frame(top, per_run.to_numpy().ravel(), [1])
        draw_layers(bottom, of_study, "chi_frobenius", scale)
        plotting.layer_axis(bottom, of_study["layer"])
        plotting.frame(bottom, of_study["chi_frobenius"], [1])
        for axis in (top, bottom):
            axis.axhline(1, color="0.4", lw=0.9, ls="--", zorder=1)
    plotting.label_rows(axes, r"$\chi$ of the deep layers", r"measured $\chi_l$")
    scale.bar(figure, axes[1])
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def cmap(table: pd.DataFrame, titles: Mapping[str, str], dense: Mapping[str, MeanField]) -> Figure:
    """Correlation c of pairs of images per hidden layer, and c of a layer against the one below.

    `table` is cmap.csv; c is the mean over pairs. All panels show the whole range of c: where it
    stays at 0, lines lie on each other, and the bottom panel says so. Bottom: measured
    (c_{l−1}, c_l) at a few densities, l from left to right, with the dense network's C-map at its
    q* (dashed) and the diagonal, where c is kept.
    """
    rows, studies = plotting.selected(table, titles, "init")
    figure, axes = plotting.study_panels(rows, studies, titles, 2)
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        top, bottom = axes[:, column]
        draw_layers(top, of_study, "c", scale)
        plotting.layer_axis(top, of_study["layer"])
        means = of_study.groupby(["round", "layer"])["c"].mean()
        low, high = means.min(), means.max()
        plotting.frame(top, means, [0, 1])
        if high - low < FLAT:
            text = f"all $c$ between {low:.3f} and {high:.3f}"
            for axis, height in ((top, 0.5), (bottom, 0.12)):
                place = {"transform": axis.transAxes, "ha": "right", "color": GREY}
                axis.text(0.97, height, text.replace("-", "−"), **place)
        for number in plotting.spread(of_study["round"], 6):
            group = of_study[of_study["round"] == number]
            c = group.groupby("layer")["c"].mean().to_numpy()
            colour = scale.colour(group["density"].mean())
            bottom.plot(c[:-1], c[1:], color=colour, marker="o", ms=2.5, lw=0.9)
        low = min(0.0, low - 0.02)
        x = np.linspace(max(low, -1.0), 1, 60)
        sigma_w, sigma_b, activation = dense[study]
        with suppress(mf.NoFixedPoint):  # ReLU and linear at or beyond criticality have no q*
            q = mf.q_fixed_point(sigma_w, sigma_b, activation)
            c = mf.c_map(x, q, sigma_w, sigma_b, activation)
            bottom.plot(x, c, color="black", ls="--", lw=1)
        bottom.plot(x, x, color="0.5", ls=":", lw=1, zorder=1)
        bottom.set_xlim(low, 1)
        bottom.set_ylim(low, 1)
        bottom.set_xlabel(r"$c^{l-1}$")
    plotting.label_rows(axes, r"correlation $c^l$ of two images", r"$c^l$")
    scale.bar(figure, axes.ravel())
    lines = [
        Line2D([], [], color=GREY, marker="o", ms=2.5),
        Line2D([], [], color="black", ls="--"),
        Line2D([], [], color="0.5", ls=":"),
    ]
    plotting.legend(figure, lines, ["tickets", "dense theory at $q^*$", "$c^l = c^{l-1}$"])
    return figure

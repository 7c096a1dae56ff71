"""Figures of weights and masks: moments, histograms, in-degrees, spectra of W Wᵀ.

Each is one function from a tidy table and panel titles to a figure, one column per study unless it
says otherwise. Densities share one colour scale; the readout, pruned at its own rate, stands apart
at "out" in the colour of its own density.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ticketlens.architecture import READOUT
from ticketlens.figures import style as plotting
from ticketlens.figures.density import (
    DensityScale,
    by_density,
    density_labels,
    density_scale,
    draw_layers,
)
from ticketlens.theory import selection_null

SPECTRUM_POINTS = 30  # across the spectrum: a layer has only a few hundred eigenvalues
LOWEST = 1e-3  # probability density where logarithmic axes of histograms begin
PER_BIN, FEWEST_BINS = 60, 24  # weights in a bin of a histogram, and its bins
GREY = "0.35"
DASHED: dict[str, Any] = {"ls": "--", "lw": 0.9}


def weight_mean(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Mean of the kept initial weights per layer: within its sampling error?

    `table` is weight_statistics.csv. Top: mean·√fan_in with its standard error times ±2 around zero
    at the dense and the sparsest round. Bottom: the mean in units of its standard error, the band
    ±2. Both of the mean over seeds.
    """
    rows, studies = plotting.selected(table, titles, "init")
    pooled = _pooled_means(rows)
    figure, axes = plotting.study_panels(rows, studies, titles, 2, 2.3)
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        of_study = pooled[pooled["study"] == study]
        hidden = of_study[of_study["name"] != READOUT]
        top, bottom = axes[:, column]
        for number in plotting.spread(hidden["round"], 2)[::-1]:
            band = hidden[hidden["round"] == number]
            colour = scale.colour(band["density"].mean())
            for sign in (-2, 2):
                top.plot(band["layer"], sign * band["error"], color=colour, ls="--", lw=0.9)
        bottom.axhspan(-2, 2, color="0.9", zorder=0)
        for axis, quantity in ((top, "mean_scaled"), (bottom, "z")):
            axis.axhline(0, color="0.5", lw=0.8, zorder=1)
            draw_layers(axis, hidden, quantity, scale)
            plotting.layer_axis(axis, hidden["layer"])
        plotting.hide_x(top)
        plotting.frame(top, hidden["mean_scaled"], 2 * hidden["error"], -2 * hidden["error"])
        plotting.frame(bottom, hidden["z"], [-3, 3])
    plotting.label_rows(axes, f"mean of {plotting.WEIGHT}", "mean / standard error")
    scale.bar(figure, axes.ravel())
    lines = [Line2D([], [], color=GREY, marker="o", ms=2.2), Line2D([], [], color=GREY, ls="--")]
    labels = ["kept weights", "±2 standard errors, dense and sparsest"]
    plotting.legend(figure, lines, labels)
    return figure


def _pooled_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean·√fan_in over seeds, its standard error and their ratio z, per round and layer."""
    scale = rows["std_scaled"] / rows["std"]
    rows = rows.assign(
        mean_scaled=rows["mean"] * scale, variance=(rows["mean_standard_error"] * scale) ** 2
    )
    pooled = rows.groupby(["study", "round", "layer", "name"], as_index=False).agg(
        density=("density", "mean"),
        mean_scaled=("mean_scaled", "mean"),
        variance=("variance", "sum"),
        seeds=("seed", "nunique"),
    )
    error = np.sqrt(pooled["variance"]) / pooled["seeds"]
    return pooled.assign(seed=0, error=error, z=pooled["mean_scaled"] / error.where(error > 0))


def weight_std(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Standard deviation of the kept initial weights times √fan_in per layer, mean over seeds.

    `table` is weight_statistics.csv. Dashed: the selection null, what keeping the largest |theta_0|
    of a Gaussian layer alone gives at the same density.
    """
    rows, studies = plotting.selected(table, titles, "init")
    figure, axes = plotting.study_panels(rows, studies, titles)
    scale = density_scale(rows)
    for axis, study in zip(axes[0], studies, strict=True):
        of_study = rows[rows["study"] == study]
        _draw_layers(
            axis, of_study, "selection_std_scaled", scale, ls="--", marker="", lw=0.8, zorder=1
        )
        _draw_layers(axis, of_study, "std_scaled", scale)
        plotting.frame(axis, of_study["std_scaled"], of_study["selection_std_scaled"])
    plotting.label_rows(axes, f"std of {plotting.WEIGHT}, kept weights")
    scale.bar(figure, axes.ravel())
    lines = [Line2D([], [], color=GREY, marker="o", ms=2.2), Line2D([], [], color=GREY, ls="--")]
    plotting.legend(figure, lines, ["tickets", r"selection by $|\theta_0|$ alone"])
    return figure


def histograms(
    table: pd.DataFrame, study: str, title: str, state: str, sigma_w: float | None = None
) -> Figure:
    """Densities of the kept weights of one study and state, one panel per layer, mean over seeds.

    `table` is histograms.csv. With `sigma_w` (Gaussian initial weights) the y axis is logarithmic,
    and the selection null is dashed at a few densities: the Gaussian cut off at the |w| that leaves
    the same share. Its peaks are up to six times as high as those of the kept weights.
    """
    rows, _ = plotting.selected(table, {study: title}, state)
    layers = sorted(rows["layer"].unique())
    columns = min(3, len(layers))
    lines = -(-len(layers) // columns)
    figure, axes = plotting.panels([""] * columns, lines, height=1.75)
    scale = density_scale(rows)
    for axis in axes.ravel()[len(layers) :]:
        axis.set_axis_off()
    shown = plotting.spread(rows["round"], 3)
    for axis, layer in zip(axes.flat, layers, strict=False):
        of_layer = _in_wider_bins(rows[rows["layer"] == layer])
        peak = _draw_histograms(axis, of_layer, shown if sigma_w else [], sigma_w, scale)
        name = of_layer["name"].iloc[0]
        axis.set_title("readout" if name == READOUT else f"hidden layer {layer}", pad=3)
        means = of_layer.groupby(["round", "weight_scaled"])["density_weight"].mean()
        if sigma_w:
            axis.set_yscale("log")
            axis.set_ylim(LOWEST, 1.5 * max(peak, means.max()))
            plotting.plain_ticks(axis, (1,))
        else:
            axis.set_ylim(0, 1.05 * means.max())
        seen = means[means > 2e-3].index.get_level_values("weight_scaled")
        reach = 1.05 * np.abs(seen).max()
        axis.set_xlim(-reach, reach)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axis in axes.ravel()[: len(layers)][-columns:]:  # the lowest panel of each column
        axis.set_xlabel(f"weight {plotting.WEIGHT}")
    plotting.label_rows(axes, *["probability density"] * lines)
    kind = "initial weights" if state == "init" else "trained weights"
    figure.suptitle(f"{kind}, {plotting.title(rows, study, title)}", fontsize=10)
    scale.bar(figure, axes.ravel())
    if sigma_w:
        entries = [Line2D([], [], color=GREY), Line2D([], [], color=GREY, **DASHED)]
        labels = ["kept weights", r"selection by $|\theta_0|$ alone"]
        figure.legend(entries, labels, loc="outside lower center", ncols=2)
    return figure


def _in_wider_bins(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the histograms of one layer with bins merged until few weights fill them, too.

    As many for all rounds: the one with the fewest weights has `PER_BIN` in a bin then, on average
    over its range, but `FEWEST_BINS` of the range stay.
    """
    kept = rows.groupby("round")["count"].sum()
    sparsest = rows[rows["round"] == kept.idxmin()].groupby("weight_scaled")["count"].sum()
    filled = np.flatnonzero(sparsest)
    span = int(np.ptp(filled)) + 1 if filled.size else 1
    wide = max(1, int(min(PER_BIN * span / max(1, kept.min()), span / FEWEST_BINS)))
    wide += 1 - wide % 2  # odd: zero stays the middle of a bin
    places = np.sort(rows["weight_scaled"].unique())
    bins = (np.arange(len(places)) - len(places) // 2 + wide // 2) // wide
    merged = rows.assign(bin=rows["weight_scaled"].map(dict(zip(places, bins, strict=True))))
    keys = ["study", "seed", "round", "layer", "name", "density", "bin"]
    return merged.groupby(keys, as_index=False)[["weight_scaled", "density_weight"]].mean()


def _draw_histograms(
    axis: Axes,
    rows: pd.DataFrame,
    shown: list[int],
    sigma_w: float | None,
    scale: DensityScale,
) -> float:
    """Draw a line per round, the null at the rounds `shown`; return the null's highest value."""
    highest = 0.0
    for number, group in rows.groupby("round"):
        density = group["density"].mean()
        colour = scale.colour(density)
        mean = group.groupby("weight_scaled")["density_weight"].mean()
        axis.plot(mean.index, mean, color=colour, lw=0.9)
        if number in shown:
            x = np.linspace(mean.index.min(), mean.index.max(), 1601)
            null = cast(
                np.ndarray, selection_null.density(x, min(density, 1.0), cast(float, sigma_w))
            )
            highest = max(highest, float(null.max()))
            null[null == 0] = LOWEST / 10  # the cut is a vertical line
            axis.plot(x, null, color=colour, lw=1.0, ls="--", zorder=1)
    return highest


def in_degree(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """In-degrees per layer: spread relative to a random mask's, dead neurons.

    `table` is degrees.csv. Top: standard deviation over neurons of the connections into them, over
    that of a random mask with as many weights (none for full layers); their mean is density times
    fan-in, whatever the mask. Bottom: share of neurons without a live path from the input or to the
    output.
    """
    rows, studies = plotting.selected(table, titles)
    rows = rows[rows["direction"] == "in"]
    rows = rows.assign(
        relative_sd=np.sqrt(rows["variance_ratio"]), dead_share=100 * rows["dead"] / rows["units"]
    )
    figure, axes = plotting.study_panels(rows, studies, titles, 2, 2.1)
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        top, bottom = axes[:, column]
        top.axhline(1, color="0.5", lw=0.8, ls="--", zorder=1)
        _draw_layers(top, of_study, "relative_sd", scale)
        _draw_layers(bottom, of_study, "dead_share", scale)
        plotting.hide_x(top)
        plotting.frame(top, of_study["relative_sd"], [1])
        bottom.set_ylim(-0.5, max(5.0, 1.06 * of_study["dead_share"].max()))
    for row in axes:
        plotting.same_y(row)
    plotting.label_rows(axes, "sd of in-degrees /\nthat of a random mask", "dead neurons (%)")
    scale.bar(figure, axes.ravel())
    return figure


def weight_spectra(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Eigenvalue densities of W Wᵀ: first, middle and last hidden layer, a few densities.

    `table` is spectral_densities.csv. Eigenvalues are in units of the layer's second moment times
    its columns. Solid: initial weights of the tickets; dashed: Gaussian weights on the same mask;
    dotted: Marchenko–Pastur. Means over seeds.
    """
    rows, studies = plotting.selected(table, titles, "init")
    figure, axes = plotting.study_panels(rows, studies, titles, 3, 2.0)
    scale = density_scale(rows)
    named = density_labels(rows)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        for axis, layer in zip(
            axes[:, column], plotting.spread(of_study["layer"], 3), strict=False
        ):
            names = {number: name for (of, number), name in named.items() if of == study}
            _draw_spectra(axis, of_study[of_study["layer"] == layer], scale, names)
            axis.text(0.97, 0.9, f"layer {layer}", transform=axis.transAxes, ha="right")
        axes[-1][column].set_xlabel(r"eigenvalue of $WW^{T}$ / (columns · mean $w^2$)")
    plotting.label_rows(axes, *["probability density"] * len(axes))
    lines = [
        Line2D([], [], color=GREY),
        Line2D([], [], color=GREY, **DASHED),
        Line2D([], [], color="black", ls=":"),
    ]
    labels = ["tickets", "same mask, Gaussian", "Marchenko–Pastur"]
    colours, densities = by_density(*plotting.entries(axes.ravel()))
    plotting.legend(figure, [*colours, *lines], [*densities, *labels])
    return figure


def _draw_spectra(
    axis: Axes, rows: pd.DataFrame, scale: DensityScale, names: Mapping[int, str]
) -> None:
    """Draw the spectra of one layer at a few densities, with the null and Marchenko–Pastur.

    `names` are those of the rounds in the legend.
    """
    curves: dict[str, dict[str, Any]]
    curves = {"density_eigenvalue": {"lw": 1.1, "marker": ".", "ms": 3}, "density_null": DASHED}
    present = rows.loc[rows[list(curves)].gt(0).any(axis=1), "eigenvalue"]
    bins = rows["eigenvalue"].drop_duplicates().between(present.min(), present.max()).sum()
    wide = max(1, round(bins / SPECTRUM_POINTS))
    seen = []
    for number in plotting.spread(rows["round"], 3):
        of_round = rows[rows["round"] == number]
        mean = of_round.groupby("eigenvalue")[list(curves)].mean().reset_index()
        mean = mean.groupby(mean.index // wide).mean()
        density = of_round["density"].mean()
        for quantity, style in curves.items():
            positive = mean[quantity].where(mean[quantity] > 0)
            label = names[number] if quantity == "density_eigenvalue" else None
            axis.plot(
                mean["eigenvalue"], positive, color=scale.colour(density), label=label, **style
            )
            seen.append(positive)
    theory = rows.groupby("eigenvalue")["density_marchenko_pastur"].mean()
    theory = theory[theory > 0]
    axis.plot(theory.index, theory, color="black", ls=":", lw=1.1)
    axis.set_yscale("log")
    plotting.frame(axis, *seen)
    margin = 0.04 * (present.max() - present.min())
    axis.set_xlim(present.min() - margin, present.max() + margin)


def _draw_layers(
    axis: Axes, rows: pd.DataFrame, column: str, scale: DensityScale, **style: Any
) -> None:
    """Draw lines over the hidden layers, and points for the readout."""
    hidden, readout = rows[rows["name"] != READOUT], rows[rows["name"] == READOUT]
    draw_layers(axis, hidden, column, scale, **style)
    if not readout.empty:
        marker = style.get("marker", "o") or "_"
        draw_layers(axis, readout, column, scale, **{**style, "marker": marker, "ms": 3})
    number = None if readout.empty else int(readout["layer"].max())
    plotting.layer_axis(axis, hidden["layer"], number)

"""Figures of one network alone, from the tables of `lens.look`: no seeds, no rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ticketlens.figures.nulls import NETWORKS
from ticketlens.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, plain_ticks

MAX_PANELS = 6
PANELS_A_ROW = 3  # a phone is 360 pixels wide
WIDE_RANGE = 20.0  # largest over smallest value, from which on an axis is logarithmic
RUNG_COLOURS = (VERMILLION, ORANGE, GREEN, SKY, PURPLE)


def weights(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Scaled std of the kept weights, and how bimodal they are, by layer."""
    rows = tables["weight_statistics"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.4), layout="constrained")
    left.plot(rows["layer"], rows["std_scaled"], "o-", color=BLUE)
    left.set(xlabel="layer", ylabel="std · √fan_in")
    _from_zero(left, rows["std_scaled"])
    right.plot(rows["layer"], rows["density_at_zero_over_peak"], "o-", color=VERMILLION)
    right.set(xlabel="layer", ylabel="density at zero / peak", ylim=(-0.05, 1.05))
    for axis in (left, right):
        _whole_layers(axis)
    return figure


def degrees(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Spread of the degrees against a uniformly random mask of the same density, by layer."""
    rows = tables["degrees"]
    figure, axis = plt.subplots(figsize=(4.2, 2.6), layout="constrained")
    for direction, colour, marker in (("in", BLUE, "o"), ("out", ORANGE, "s")):
        of_direction = rows[rows["direction"] == direction]
        axis.plot(
            of_direction["layer"],
            of_direction["variance_ratio"],
            marker + "-",
            color=colour,
            label=direction,
        )
    axis.axhline(1, color="0.5", linestyle=":", label="random mask")
    axis.set(xlabel="layer", ylabel="variance of degrees / random")
    _long_range(axis, rows["variance_ratio"])
    _whole_layers(axis)
    axis.legend()
    return figure


def spectra(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Density of the eigenvalues of W Wᵀ, of the same mask's null, and of Marchenko–Pastur."""
    rows = tables["spectral_densities"]
    layers = sorted(rows["layer"].unique())
    chosen = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, MAX_PANELS).astype(int))]
    columns = min(len(chosen), PANELS_A_ROW)
    lines = -(-len(chosen) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(max(3.6, 1.9 * columns), 0.5 + 2.0 * lines), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis in axes.flat[len(chosen) :]:
        axis.remove()
    for axis, layer in zip(axes.flat, chosen, strict=False):
        of_layer = rows[rows["layer"] == layer]
        x = of_layer["eigenvalue"].to_numpy()
        edges, heights = _coarse(x, of_layer["density_eigenvalue"].to_numpy())
        axis.stairs(heights, edges, fill=True, color=BLUE, alpha=0.3, label="network")
        null_edges, null = _coarse(x, of_layer["density_null"].to_numpy())
        axis.stairs(
            null, null_edges, baseline=None, color=VERMILLION, lw=1, label="same mask, Gaussian"
        )
        axis.plot(
            x, of_layer["density_marchenko_pastur"], color="0.3", ls=":", label="Marchenko–Pastur"
        )
        # The first bins hold the zeros of layers that have more units out than in.
        top = max(null[1 if len(null) < len(x) else 3 :].max(initial=0), heights[1:].max(initial=0))
        axis.set(title=f"layer {layer}", ylim=(0, 1.1 * top or 1))
        axis.set_xlim(0, 1.05 * max(edges[_reach(heights)], null_edges[_reach(null)]))
    for axis in axes[:, 0]:
        axis.set_ylabel("density")
    for axis in axes.flat[max(0, len(chosen) - columns) : len(chosen)]:
        axis.set_xlabel("eigenvalue")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def outliers(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Largest eigenvalue of each layer against the edges of the null and of Marchenko–Pastur."""
    rows = tables["spectra"]
    figure, axis = plt.subplots(figsize=(4.2, 2.6), layout="constrained")
    axis.plot(rows["layer"], rows["largest"], "o", color=BLUE, label="largest eigenvalue")
    axis.plot(rows["layer"], rows["edge_null"], "_", color=VERMILLION, ms=12, label="null's edge")
    axis.plot(
        rows["layer"], rows["edge_marchenko_pastur"], "_", color="0.4", ms=12, label="M–P edge"
    )
    axis.set(xlabel="layer", ylabel=r"eigenvalue of $WW^\top$")
    _long_range(axis, rows[["largest", "edge_null", "edge_marchenko_pastur"]].stack())
    _whole_layers(axis)
    axis.legend()
    return figure


def q(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Measured q by layer, and as each rung of the ladder predicts it."""
    ladder = tables["ladder"]
    ladder = ladder[ladder["mode"].isin(["free", "measured"])]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    rungs = [rung for rung in ladder["rung"].unique() if rung != "measured"]
    for rung, colour in zip(rungs, RUNG_COLOURS, strict=False):
        of_rung = ladder[ladder["rung"] == rung]
        axis.plot(of_rung["layer"], of_rung["q"], ".--", color=colour, label=rung.replace("_", " "))
    of_rung = ladder[ladder["rung"] == "measured"]
    axis.plot(of_rung["layer"], of_rung["q"], "o-", color=BLUE, label="measured")
    axis.set(xlabel="hidden layer", ylabel="q")
    _from_zero(axis, ladder["q"])
    _long_range(axis, ladder["q"])
    _whole_layers(axis)
    axis.legend(ncols=2, fontsize="small")
    return figure


def chi(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """chi by layer: measured, in two readings of theory, and as the slope of the C-map."""
    rows = tables["chi"]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    for column, colour, style, label in (
        ("chi_frobenius", BLUE, "o-", "measured"),
        ("chi_naive", VERMILLION, "v--", "naive"),
        ("chi_second_moment", GREEN, "^--", "second moment"),
        ("slope", ORANGE, "s-", "slope of the C-map"),
    ):
        axis.plot(rows["layer"], rows[column], style, color=colour, label=label)
    axis.axhline(1, color="0.5", linestyle=":")
    axis.set(xlabel="hidden layer", ylabel=r"$\chi$")
    _whole_layers(axis)
    axis.legend()
    return figure


def gradients(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Gradients of the logits at every layer, of the network and of its nulls."""
    rows = tables["gradients"]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    for name, lines, colour, label in _against_nulls(rows):
        line = "o-" if name == "ticket" else "--"
        axis.plot(lines["layer"], lines["log_logits"], line, color=colour, label=label)
    axis.set(xlabel="layer (0: pixels)", ylabel=r"$\ln G_l$ of the logits")
    _whole_layers(axis)
    _name_nulls(figure, rows)
    return figure


def kernel(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Eigenvalues of the centred tangent kernel as shares of its trace, and those of the nulls."""
    rows = tables["ntk_spectra"]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    for name, shares, colour, label in _against_nulls(rows):
        kept = shares[shares["share"] > 1e-12]
        line = "o-" if name == "ticket" else "--"
        axis.plot(kept["rank"], kept["share"], line, color=colour, label=label, ms=3)
    axis.set(xlabel="rank", ylabel="share of the trace", xscale="log", yscale="log")
    _name_nulls(figure, rows)
    return figure


def _whole_layers(axis: Axes) -> None:
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _from_zero(axis: Axes, values: pd.Series[float]) -> None:
    """Begin y at 0 and leave room above the highest value, however near the others are to it."""
    top = float(values.max())
    axis.set_ylim(0, 1.1 * top if top > 0 else 1)


def _reach(heights: npt.NDArray[np.float64]) -> int:
    """Return the index of the edge behind the last bin that is not empty."""
    return int(np.flatnonzero(heights > 0).max(initial=0)) + 1


def _long_range(axis: Axes, values: pd.Series[float]) -> None:
    """Make y logarithmic if the values are positive and far apart."""
    if values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        axis.set(yscale="log", ylim=(values.min() / 1.5, values.max() * 1.5))
        plain_ticks(axis)


def _coarse(
    middles: npt.NDArray[np.float64], density: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return edges and heights of a histogram of bins as wide as the count of eigenvalues allows.

    The table's bins are narrow; with few eigenvalues they would be a comb. `middles` are evenly
    spaced.
    """
    width = middles[1] - middles[0]
    lowest = density[density > 0].min(initial=np.inf)
    # One eigenvalue is the lowest bin that is not empty; zeros of wide layers are in the first.
    count = density[1:].sum() / lowest
    joined = max(1, round(_reach(density) / (3 * np.sqrt(max(count, 1)))))
    padded = np.append(density, np.zeros(-len(density) % joined))
    heights = padded.reshape(-1, joined).mean(axis=1)
    return middles[0] - width / 2 + width * joined * np.arange(len(heights) + 1), heights


def _name_nulls(figure: Figure, rows: pd.DataFrame) -> None:
    """Explain the curves above the panel, if there are nulls beside the network's own."""
    if rows["network"].nunique() > 1:
        figure.legend(loc="outside upper center", fontsize="x-small", ncols=2)


def _against_nulls(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str, str]]:
    """Return (name, rows, colour, label) of the nulls that there are, the network itself last."""
    nulls = [
        (name, rows[rows["network"] == name], colour, label)
        for name, (colour, _, label) in NETWORKS.items()
        if name != "ticket" and (rows["network"] == name).any()
    ]
    return [*nulls, ("ticket", rows[rows["network"] == "ticket"], "black", "network")]


FIGURES: dict[str, tuple[str, Callable[[Mapping[str, pd.DataFrame]], Figure], str]] = {
    "weights": (
        "weight_statistics", weights,
        "Left: standard deviation of the kept weights in mean-field scale. Right: their density at "
        "zero over that at its peak; 0 is a gap around zero, 1 a single peak there.",
    ),
    "degrees": (
        "degrees", degrees,
        "Variance of the units' numbers of connections, over that of a random mask of the same "
        "density. Above 1 the units differ by more than chance.",
    ),
    "spectra": (
        "spectral_densities", spectra,
        "Eigenvalues of W Wᵀ, of Gaussian weights on the same mask, and the Marchenko–Pastur law "
        "of a dense matrix.",
    ),
    "outliers": (
        "spectra", outliers,
        "Largest eigenvalue of each layer. Where it lies above the null's edge, the values of the "
        "weights make it, not the mask.",
    ),
    "q": (
        "ladder", q,
        "Length q of the signal (mean square of the pre-activations), measured on the images and "
        "as each rung of the ladder predicts it.",
    ),
    "chi": (
        "chi", chi,
        "chi: how much a small perturbation grows from one layer to the next. At 1 it keeps its "
        "size.",
    ),
    "gradients": (
        "gradients", gradients,
        "ln G: how much the logits change with the pre-activations of a layer (mean of squared "
        "derivatives, natural logarithm); of initial weights also for redraws on the same mask.",
    ),
    "ntk": (
        "ntk_spectra", kernel,
        "Eigenvalues of the centred tangent kernel, as shares of its trace; of initial weights "
        "also those of redraws on the same mask.",
    ),
}  # fmt: skip
"""Per figure: the table that it needs, the function, a caption."""

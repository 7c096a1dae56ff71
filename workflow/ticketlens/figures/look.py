"""Figures of one network alone, from the tables of `lens.look`: no seeds, no rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures.nulls import NETWORKS
from ticketlens.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

MAX_PANELS = 6
RUNG_COLOURS = (VERMILLION, ORANGE, GREEN, SKY, PURPLE)


def weights(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Scaled std of the kept weights, and how bimodal they are, by layer."""
    rows = tables["weight_statistics"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    left.plot(rows["layer"], rows["std_scaled"], "o-", color=BLUE)
    left.set(xlabel="layer", ylabel=r"std $\cdot\sqrt{\mathrm{fan\ in}}$", ylim=(0, None))
    right.plot(rows["layer"], rows["density_at_zero_over_peak"], "o-", color=VERMILLION)
    right.set(xlabel="layer", ylabel="density at zero / peak", ylim=(0, 1.05))
    return figure


def degrees(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Spread of the degrees against a uniformly random mask of the same density, by layer."""
    rows = tables["degrees"]
    figure, axis = plt.subplots(figsize=(4.2, 2.6), layout="constrained")
    for direction, colour, marker in (("in", BLUE, "o"), ("out", ORANGE, "s")):
        own = rows[rows["direction"] == direction]
        axis.plot(own["layer"], own["variance_ratio"], marker + "-", color=colour, label=direction)
    axis.axhline(1, color="0.5", linestyle=":", label="random mask")
    axis.set(xlabel="layer", ylabel="variance of degrees / random")
    axis.legend()
    return figure


def spectra(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Density of the eigenvalues of W Wᵀ, of the same mask's null, and of Marchenko–Pastur."""
    rows = tables["spectral_densities"]
    layers = sorted(rows["layer"].unique())
    chosen = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, MAX_PANELS).astype(int))]
    figure, axes = plt.subplots(
        1, len(chosen), figsize=(max(3.2, 2.0 * len(chosen)), 2.5), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis, layer in zip(axes[0], chosen, strict=True):
        own = rows[rows["layer"] == layer]
        x = own["eigenvalue"]
        axis.fill_between(x, own["density_eigenvalue"], color=BLUE, alpha=0.3, label="network")
        axis.plot(x, own["density_null"], color=VERMILLION, label="same mask, Gaussian")
        axis.plot(x, own["density_marchenko_pastur"], color="0.3", ls=":", label="Marchenko–Pastur")
        top = own[["density_eigenvalue", "density_null"]].iloc[3:].to_numpy().max()
        axis.set(title=f"layer {layer}", xlabel="eigenvalue", ylim=(0, 1.1 * top or 1))
    axes[0][0].set_ylabel("density")
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
    axis.set(xlabel="layer", ylabel=r"eigenvalue of $WW^\top$", yscale="log")
    axis.legend()
    return figure


def q(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Measured q by layer, and as each rung of the ladder predicts it."""
    ladder = tables["ladder"]
    ladder = ladder[ladder["mode"].isin(["free", "measured"])]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    rungs = [rung for rung in ladder["rung"].unique() if rung != "measured"]
    for rung, colour in zip(rungs, RUNG_COLOURS, strict=False):
        own = ladder[ladder["rung"] == rung]
        axis.plot(own["layer"], own["q"], "--", color=colour, label=rung.replace("_", " "))
    own = ladder[ladder["rung"] == "measured"]
    axis.plot(own["layer"], own["q"], "o-", color=BLUE, label="measured")
    axis.set(xlabel="hidden layer", ylabel="q", ylim=(0, None))
    axis.legend(ncols=2)
    return figure


def chi(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """chi by layer: measured, in two readings of theory, and as the slope of the C-map."""
    rows = tables["chi"]
    figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
    for column, colour, style, label in (
        ("chi_frobenius", BLUE, "o-", "measured"),
        ("chi_naive", VERMILLION, "--", "naive"),
        ("chi_second_moment", GREEN, "--", "second moment"),
        ("slope", ORANGE, "s-", "slope of the C-map"),
    ):
        axis.plot(rows["layer"], rows[column], style, color=colour, label=label)
    axis.axhline(1, color="0.5", linestyle=":")
    axis.set(xlabel="hidden layer", ylabel=r"$\chi$")
    axis.legend()
    return figure


def gradients(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Gradients of the logits at every layer, of the network and of its nulls."""
    rows = tables["gradients"]
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    for name, own, colour, label in _against_nulls(rows):
        line = "o-" if name == "ticket" else "--"
        axis.plot(own["layer"], own["log_logits"], line, color=colour, label=label)
    axis.set(xlabel="layer (0: pixels)", ylabel=r"$\ln G_l$ of the logits")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure


def kernel(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Eigenvalues of the centred tangent kernel as shares of its trace, and those of the nulls."""
    rows = tables["ntk_spectra"]
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    for name, own, colour, label in _against_nulls(rows):
        kept = own[own["share"] > 1e-12]
        line = "o-" if name == "ticket" else "--"
        axis.plot(kept["rank"], kept["share"], line, color=colour, label=label, ms=3)
    axis.set(xlabel="rank", ylabel="share of the trace", xscale="log", yscale="log")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure


def _against_nulls(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str, str]]:
    """Return (name, rows, colour, label) of the nulls that there are, the network itself last."""
    found = [
        (name, rows[rows["network"] == name], colour, label)
        for name, (colour, _, label) in NETWORKS.items()
        if name != "ticket" and (rows["network"] == name).any()
    ]
    return [*found, ("ticket", rows[rows["network"] == "ticket"], "black", "network")]


FIGURES: dict[str, tuple[str, Callable[[Mapping[str, pd.DataFrame]], Figure], str]] = {
    "weights": ("weight_statistics", weights, "Scale of the kept weights; 1 at zero: one peak"),
    "degrees": ("degrees", degrees, "Degrees: above 1, units differ more than chance"),
    "spectra": ("spectral_densities", spectra, "Eigenvalues of W Wᵀ against the same mask's null"),
    "outliers": ("spectra", outliers, "What lies beyond the null's edge is not the mask's doing"),
    "q": ("ladder", q, "Length q of the signal, measured and predicted"),
    "chi": ("chi", chi, "chi: growth of perturbations from layer to layer"),
    "gradients": ("gradients", gradients, "Gradients of the logits, and those of the nulls"),
    "ntk": ("ntk_spectra", kernel, "Eigenvalues of the tangent kernel, and those of the nulls"),
}
"""Per figure: the table that it needs, the function, a caption."""

"""Figures of the Jacobian dh^L/dh^1: its spectrum, and isometry against the nulls.

Each is one function from a tidy table and panel titles to a figure, one column per study.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ticketlens.figures import style as plotting
from ticketlens.figures.density import DensityScale, density_scale
from ticketlens.figures.nulls import against_nulls, draw_nulls

BIN = 0.1  # of log10 s²
BINS_PER_POINT = 4  # a spectrum has about a thousand values
BINS_OF_FEW = 6  # that of the logits has ten an image
JACOBIANS = {
    "hidden": "density of $\\log_{10} s^2$\nhidden, $dh^L/dh^1$",
    "logits": "density of $\\log_{10} s^2$\ninput to output",
}
DECADES = 10.0  # of s² shown below the largest at most; the tail below is long and thin
DENSITIES = 6


def jacobian_spectrum(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Density of log10 s², the squared singular values of two Jacobians, at a few densities.

    `table` is jacobian_spectrum.csv. Top: dh^L/dh^1, hidden to hidden, with free probability for
    the dense network (dashed). Bottom: input to output, d logits/d pixels: one value a logit. Mean
    over seeds; the area under a line is the share of the values that the masks do not force to be
    zero.
    """
    rows, studies = plotting.selected(table, titles, "init")
    shown = [name for name in JACOBIANS if (rows["jacobian"] == name).any()]
    figure, axes = plotting.study_panels(rows, studies, titles, len(shown))
    scale = density_scale(rows)
    for column, study in enumerate(studies):
        for axis, name in zip(axes[:, column], shown, strict=True):
            of_study = rows[(rows["study"] == study) & (rows["jacobian"] == name)]
            _draw_spectra(axis, of_study, name, scale)
    plotting.label_rows(axes, *(JACOBIANS[name] for name in shown))
    scale.bar(figure, axes.ravel())
    lines = [Line2D([], [], color="0.35"), Line2D([], [], color="black", ls="--")]
    plotting.legend(figure, lines, ["tickets", "free probability, dense network"])
    return figure


def _draw_spectra(axis: Axes, own: pd.DataFrame, name: str, scale: DensityScale) -> None:
    """Draw the spectra of one study's Jacobian `name`, one line per density."""
    axis.set_xlabel(r"$\log_{10} s^2$")
    if own.empty:
        return
    points = BINS_PER_POINT if name == "hidden" else BINS_OF_FEW
    for number in plotting.spread(own["round"], DENSITIES):
        group = own[own["round"] == number]
        colour = scale.colour(group["density"].mean())
        mean = group.groupby("log10_s2")["density_log10"].mean().reset_index()
        mean = mean.groupby(mean.index // points)[["log10_s2", "density_log10"]].mean()
        axis.plot(mean["log10_s2"], mean["density_log10"], color=colour, lw=1.1)
    theory = own.groupby("log10_s2")["density_theory"].mean()
    axis.plot(theory.index, theory, color="black", ls="--", lw=1.1)
    seen = own.loc[own["density_log10"] > 5e-3, "log10_s2"]
    lowest = max(seen.max() - DECADES, seen.min() - 0.2)
    axis.set_xlim(lowest, seen.max() + max(0.4, points * BIN))
    axis.set_ylim(bottom=0)
    _say_what_is_below(axis, own, lowest)


def _say_what_is_below(axis: Axes, own: pd.DataFrame, lowest: float) -> None:
    """Write into a panel which share of the values lies left of its axis, in the worst round."""
    shares = own["density_log10"].where(own["log10_s2"] < lowest, 0.0) * BIN
    worst = shares.groupby([own["seed"], own["round"]]).sum().groupby("round").mean().max()
    if worst > 0.005:
        axis.set_ylim(top=1.12 * axis.get_ylim()[1])  # room above the curves
        text = f"up to {worst:.0%} of $s^2$ further left"
        axis.text(0.02, 0.97, text, transform=axis.transAxes, va="top", fontsize=7, color="0.35")


def isometry(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Growth of perturbations from the first to the last hidden layer, ticket minus null.

    `table` is isometry.csv; nulls N1 to N5. Top: ln(‖J‖_F²/N). Bottom: the same less Σ ln chi_l,
    which is zero where the layers act independently. Mean over seeds with 95 % t-interval; draws of
    a null are averaged.
    """
    rows, studies = plotting.selected(table, titles, "init")
    columns = ("log_frobenius", "excess")
    differences = against_nulls(rows, columns, ("study", "seed", "round"))
    figure, axes = plotting.study_panels(rows, studies, titles, 2)
    for column, study in enumerate(studies):
        of_study = differences[differences["study"] == study]
        for axis, quantity in zip(axes[:, column], columns, strict=True):
            draw_nulls(axis, of_study, quantity)
        plotting.hide_x(axes[0][column])
    for row in axes:
        plotting.same_y(row)
    plotting.label_rows(
        axes, r"$\Delta\,\ln\,(\|J\|_F^2/N)$",
        r"$\Delta\,[\ln\,(\|J\|_F^2/N) - \Sigma_l \ln\chi_l]$",
    )  # fmt: skip
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure

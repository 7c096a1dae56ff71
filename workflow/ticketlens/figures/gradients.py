"""Figures of what goes backward: gradients at every layer, and the neural tangent kernel.

Each is one function from a tidy table and panel titles to a figure, one column per study. Lines are
the ticket minus a null of the same seed and round, so that what all share is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.density import density_scale, draw_layers
from ticketlens.figures.nulls import against_nulls, draw_nulls

LINES = 5  # rounds whose layers are drawn


def gradients(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Gradients that reach each layer: ln G_l of the ticket minus that of its nulls.

    `table` is gradients.csv. Rows: logits at layer 1 against density, N1 to N5; the loss there;
    logits at every layer (0: pixels) against N4, the same mask and magnitudes with redrawn signs.
    Mean over seeds with 95 % t-interval.
    """
    rows, studies = plotting.selected(table, titles, "init")
    by = ["study", "seed", "round", "layer", "arm"]
    differences = against_nulls(rows, ["log_logits", "log_loss"], by)
    figure, axes = plotting.study_panels(differences, studies, titles, 3, 2.1)
    scale = density_scale(differences)
    for column, study in enumerate(studies):
        of_study = differences[differences["study"] == study]
        for axis, quantity in zip(axes[:2, column], ("log_logits", "log_loss"), strict=True):
            draw_nulls(
                axis, of_study[of_study["layer"] == 1], quantity, label=quantity == "log_logits"
            )
        plotting.hide_x(axes[0][column])
        axis = axes[2][column]
        axis.axhline(0, color="0.4", lw=0.9, ls="--", zorder=1)
        signs = of_study[of_study["network"] == "sign-redrawn"]
        signs = signs[signs["round"].isin(plotting.spread(signs["round"], LINES))]
        if len(signs):
            draw_layers(axis, signs, "log_logits", scale)
            plotting.frame(axis, signs["log_logits"], [0])
            plotting.layer_axis(axis, signs["layer"])
    for row in axes:
        plotting.same_y(row)
    plotting.label_rows(
        axes, r"$\Delta\,\ln G_1$, logits", r"$\Delta\,\ln G_1$, loss",
        r"$\Delta\,\ln G_l$, logits, to N4",
    )  # fmt: skip
    scale.bar(figure, axes[2])
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def ntk(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """The neural tangent kernel over the kept weights: ticket minus nulls N1 to N5.

    `table` is ntk.csv. Rows: ln(tr K/n), the effective rank, the alignment with the labels. Mean
    over seeds with 95 % t-interval.
    """
    rows, studies = plotting.selected(table, titles, "init")
    columns = ["log_trace", "effective_rank", "label_alignment"]
    differences = against_nulls(rows, columns, ["study", "seed", "round", "arm"])
    figure, axes = plotting.study_panels(differences, studies, titles, 3, 2.1)
    for column, study in enumerate(studies):
        of_study = differences[differences["study"] == study]
        for axis, quantity in zip(axes[:, column], columns, strict=True):
            draw_nulls(axis, of_study, quantity, label=quantity == columns[0])
        for axis in axes[:2, column]:
            plotting.hide_x(axis)
    for row in axes:
        plotting.same_y(row)
    plotting.label_rows(
        axes, r"$\Delta\,\ln(\mathrm{tr}\,K/n)$", r"$\Delta$ effective rank",
        r"$\Delta$ alignment with labels",
    )  # fmt: skip
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure

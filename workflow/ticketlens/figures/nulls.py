"""Tickets against their nulls: colours, and the difference ticket − null against density.

Lines are the ticket minus a null of the same seed and round, so that what all networks of a round
share is gone. N6, fresh weights of the study's own scheme, is of another scale than the ticket: it
would hide the others, and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from ticketlens.figures import style as plotting
from ticketlens.figures.density import density_axis, draw_against_density

# Colour and marker, and what the null keeps.
NETWORKS = {
    "ticket": ("black", "o", "ticket"),
    "random-mask": (plotting.ORANGE, "s", "N1 random mask"),
    "rewired": (plotting.GREEN, "v", "N2 same degrees"),
    "shuffled-values": (plotting.PURPLE, "D", "N3 values shuffled"),
    "sign-redrawn": (plotting.VERMILLION, "X", "N4 signs redrawn"),
    "fresh-matched": (plotting.BLUE, "^", "N5 Gaussian redraw"),
    "fresh": (plotting.SKY, "P", "N6 fresh weights"),
}
FAR = "fresh"
SHIFTS = [1.008**step for step in (0, -3, -2, -1, 1, 2, 3)]  # keep the bars of networks apart


def against_nulls(rows: pd.DataFrame, columns: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Return the ticket minus each null, paired by `by`: columns `by`, density, network, values.

    `network` is the null; nulls without a ticket beside them are left out. Draws of a null count
    as their mean.
    """
    rows = rows.groupby([*by, "network"], as_index=False)[["density", *columns]].mean()
    ticket = rows.loc[rows["network"] == "ticket", [*by, *columns]]
    nulls = rows[rows["network"] != "ticket"]
    both = nulls.merge(ticket, on=list(by), suffixes=("_null", ""))
    for column in columns:
        both[column] = both[column] - both[f"{column}_null"]
    return both[list(dict.fromkeys([*by, "density", "network", *columns]))]


def draw_nulls(axis: Axes, rows: pd.DataFrame, column: str, label: bool = True) -> None:
    """Draw ticket − null against density, a line per null but N6; rows of `against_nulls`."""
    names = [name for name in NETWORKS if name != FAR and (rows["network"] == name).any()]
    axis.axhline(0, color="0.4", lw=0.9, ls="--", zorder=1)
    for name in names:
        colour, marker, text = NETWORKS[name]
        draw_against_density(
            axis, rows[rows["network"] == name], column, colour, marker=marker,
            shift=SHIFTS[list(NETWORKS).index(name)], label=text if label else None, lw=1.0,
        )  # fmt: skip
    shown = rows[rows["network"].isin(names)]
    means = shown.groupby(["network", "seed", "round"])[column].mean()
    plotting.frame(axis, means, [0])
    density_axis(axis, rows["density"])

"""Figure of masks: with whom they agree, and how far random masks mix as fast as they do.

It joins tables of the bank's chains at three rates, as `figures.rates` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ticketlens.architecture import READOUT
from ticketlens.figures import style as plotting
from ticketlens.figures.density import density_axis
from ticketlens.figures.experiments import COLOURS, MARKERS

BY_SIZE = "largest theta_0"
EARLIER = 3
"""The earlier round of a chain within whose mask |theta_0| chooses."""
CHANCE = "chance"
NEXT_SEED = "two seeds at 0.01"
TITLES = (
    r"kept by $|\theta_0|$ alone as well",
    "kept by another chain as well",
    rf"kept by $|\theta_0|$ within round {EARLIER}",
    "Ramanujan ratio of the mask",
)


def pooled(overlap: pd.DataFrame) -> pd.DataFrame:
    """Return mask_overlap.csv over hidden weights: study, network, seed, round, density, overlap.

    Layers count by their kept weights; `chance` is pooled alike.
    """
    rows = overlap[overlap["name"] != READOUT]
    rows = rows.assign(all=rows["kept"] / rows["density"])
    for column in ("overlap", CHANCE):
        rows[column] *= rows["kept"]
    summed = rows.groupby(["study", "network", "seed", "round"])[
        ["kept", "all", "overlap", CHANCE]
    ].sum()
    summed["density"] = summed["kept"] / summed["all"]
    for column in ("overlap", CHANCE):
        summed[column] /= summed["kept"]
    return summed.reset_index()


def masks(overlap: pd.DataFrame, ramanujan: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """What else keeps the weights that a ticket keeps, against density, and the Ramanujan ratio.

    `overlap` is mask_overlap.csv, `ramanujan` ramanujan.csv, `titles` are studies, one a rate, the
    reference's among them. Share of the ticket's kept hidden weights that is kept as well: by
    |theta_0| alone, a colour a rate; by the ticket at 0.01 of the same seed, and by that of the
    next seed; by |theta_0| within the mask of an earlier round. Dashed: chance. Last: mean over
    hidden layers, of tickets and of random masks; above 1 a mask is no Ramanujan graph. Means over
    seeds with 95 % t-intervals.
    """
    rows = pooled(overlap)
    figure, axes = plotting.panels(TITLES)
    colours = {study: COLOURS[1 + n] for n, study in enumerate(titles)}
    for axis, wanted in zip(
        axes[0], (BY_SIZE, None, f"{BY_SIZE} of round {EARLIER}"), strict=False
    ):
        drawn = list(_lines(rows, wanted, titles))
        for number, (study, curve, label) in enumerate(drawn):
            colour = "0.3" if label == NEXT_SEED else colours[study]
            _draw(axis, curve, "overlap", colour, MARKERS[number], label)
        chance = pd.concat([curve for _, curve, _ in drawn]).groupby("round")[["density", CHANCE]]
        chance = chance.mean().sort_values("density")
        axis.plot(
            chance["density"], chance[CHANCE], "--", color="0.5", lw=0.9, label=CHANCE, zorder=4
        )
        axis.set_ylim(0, 1)
    curve = ramanujan.assign(density=ramanujan.groupby("round")["density"].transform("mean"))
    for number, (network, label) in enumerate(
        {"ticket": "ticket, rate 0.01", "random-mask": "random mask"}.items()
    ):
        colour = colours["fcnet-normal"] if network == "ticket" else "0.3"
        _draw(axes[0][3], curve[curve["network"] == network], "ramanujan_ratio", colour,
              "os"[number], label)  # fmt: skip
    axes[0][3].axhline(1, color="0.5", lw=0.8, ls=":", zorder=0)
    axes[0][3].set_ylabel("ratio")
    for axis in axes[0]:
        density_axis(axis, rows["density"])
    for axis in filter(plotting.is_leftmost, axes[0]):
        axis.set_ylabel("share of kept weights")
    axes[0][2].set_ylabel("share of kept weights")
    for axis in axes[0]:
        axis.legend(fontsize=7)
    return figure


def _lines(
    rows: pd.DataFrame, wanted: str | None, titles: Mapping[str, str]
) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield study, rows and label of what a panel shows; without `wanted`, other chains."""
    for study, title in titles.items():
        of_study = rows[rows["study"] == study]
        names = ["rate 0.01", "next seed"] if wanted is None else [wanted]
        for name in names:
            of_network = of_study[of_study["network"] == name]
            if len(of_network):
                label = {"rate 0.01": f"{title}, and at 0.01", "next seed": NEXT_SEED}
                yield study, of_network, label.get(name, title)


def _draw(
    axis: Axes, rows: pd.DataFrame, column: str, colour: str, marker: str, label: str
) -> None:
    intervals = plotting.seed_intervals(rows, "round", column)
    plotting.draw_intervals(
        axis, list(intervals["density"]), intervals, colour, marker=marker, label=label
    )

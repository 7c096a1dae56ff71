"""The figure of the comparison at each arm's own best rate, docs/results/comparison.

    python -m ticketlens.figures.own_rates docs/results

It joins the pilot, which chose the rates, and the main runs, which no single config makes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.experiments import COLOURS
from ticketlens.figures.saving import mark_cut_intervals
from ticketlens.files.csv_tables import read_table

TITLES = {
    "imp": "IMP ticket",
    "dense": "dense network",
    "shuffle-layer": "random mask, values shuffled",
    "magnitude-at-init": r"largest $|\theta_0|$",
    "imp-sign-redrawn": "IMP mask, signs redrawn",
    "uniform-matched": "random mask, measured std",
}
"""Arms in the order of the plan; the three after the ticket are primary."""
SHORT = ("dense", "values\nshuffled", "largest\n$|\\theta_0|$", "signs\nredrawn", "measured\nstd")
MARKERS = ("o", "s", "^", "D", "v", "p")
ROUND = 7
"""The round that decides."""


def own_rates(
    pilot: pd.DataFrame, accuracy: pd.DataFrame, contrasts: pd.DataFrame
) -> Figure:  # fmt: skip
    """The pilot's validation accuracies by rate, and the ticket minus each rival at own rates.

    `pilot` and `accuracy` have a row a training, `contrasts` one a rival and outcome (both as
    benchmarks/comparison.py reads and writes them). Left: mean over the pilot's seeds, one filled
    marker an arm, at the rate it chose. Right: mean over the main seeds with 95 % t-interval. Seeds
    are faint, and arms moved apart sideways.
    """
    weights = plotting.WEIGHTS
    figure, axes = plotting.panels(
        ["pilot: last epoch", *(f"main runs: {label}" for _, label, *_ in weights)], height=2.9
    )  # fmt: skip
    contrasts = contrasts[contrasts["round"] == ROUND]
    chosen = dict(zip(contrasts["imp minus"], contrasts["rate"], strict=True))
    chosen["imp"] = contrasts["imp_rate"].iloc[0]
    tried = _by_arm(pilot).assign(percent=lambda rows: 100 * rows["validation_accuracy"])
    for place, (arm, title) in enumerate(TITLES.items()):
        own, shift = tried[tried["arm"] == arm], 1.06 ** (place - 2.5)
        means = own.groupby("rate")["percent"].mean()
        style: dict[str, Any] = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place]}
        axes[0][0].plot(
            own["rate"] * shift, own["percent"], "_", color=style["color"], alpha=0.3, ms=5
        )
        axes[0][0].plot(means.index * shift, means, **style, mfc="white", ms=5, lw=0.9)
        axes[0][0].plot(chosen[arm] * shift, means[chosen[arm]], **style, ms=6, ls="", label=title)
    axes[0][0].set_xscale("log")
    ticks = sorted(set(tried["rate"]))
    axes[0][0].set_xticks(ticks, labels=[f"{rate:g}" for rate in ticks])
    axes[0][0].minorticks_off()
    axes[0][0].set_xlabel("learning rate; filled: chosen")
    axes[0][0].set_ylabel("validation accuracy (%)")
    tested = _by_arm(accuracy).set_index(["arm", "rate", "seed"]).sort_index()
    rivals = list(TITLES)[1:]
    for axis, (suffix, *_) in zip(axes[0][1:], weights, strict=True):
        column = f"test_accuracy{suffix}"
        rows = contrasts[contrasts["quantity"] == column].set_index("imp minus")
        rows = rows.rename(columns={"low": "lower", "high": "upper"})
        ticket = 100 * tested.loc[("imp", chosen["imp"]), column]
        for place, rival in enumerate(rivals):
            colour = COLOURS[1 + place]
            gaps = ticket - 100 * tested.loc[(rival, chosen[rival]), column]
            axis.plot([place] * len(gaps), gaps, "_", color=colour, alpha=0.45, ms=9)
            plotting.draw_intervals(
                axis, [place], rows.loc[[rival]], colour, marker=MARKERS[1 + place], ms=6
            )
        axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
        if not suffix:  # no verdict is asked of the best epoch
            axis.axvline(2.5, color="0.6", lw=1, zorder=0)
            axis.set_xlabel("primary: left of the grey line")
        axis.set_xticks(range(len(rivals)), labels=SHORT, fontsize="small")
        axis.tick_params(axis="x", length=0)
        axis.grid(False, axis="x")
        axis.set_xlim(-0.6, len(rivals) - 0.4)
        axis.set_ylabel("test accuracy, ticket\nminus rival (points)")
    plotting.same_y(axes[0][1:])
    plotting.legend(figure, *plotting.entries([axes[0][0]]))
    return figure


def _by_arm(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the round that decides with their rate; round 0 as the arm `dense`."""
    is_dense = (table["round"] == 0) & (table["arm"] == "imp")
    kept = table[is_dense | (table["round"] == ROUND)]
    arms = kept["arm"].where(kept["round"] == ROUND, "dense")
    return kept.assign(rate=kept["study"].map(rate), arm=arms)


def rate(study: str) -> float:
    """Return the learning rate that a study's name ends with: comparison-rate-0-03 has 0.03."""
    return float(study.rpartition("-rate-")[2].replace("-", "."))


def main(folder: str) -> None:
    """Draw the figure into the folder of its tables."""
    place = Path(folder, "comparison")
    pilot = read_table(Path(folder).parent / "comparison-pilot.csv")
    accuracy, contrasts = (
        read_table(place / "tables" / f"{name}.csv") for name in ("accuracy", "contrasts")
    )
    figure = own_rates(pilot, accuracy, contrasts)
    mark_cut_intervals(figure)
    (place / "figures").mkdir(exist_ok=True)
    figure.savefig(place / "figures" / "own_rates.png", dpi=140)


if __name__ == "__main__":
    main(sys.argv[1])

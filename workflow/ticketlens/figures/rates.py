"""Figures across learning rates, at equal fit and in training, of the published results.

    python -m ticketlens.figures.rates docs/results

They join tables of several runs, which no single config makes: the reference study at 0.01, and the
chains of the bank at other rates. Both were looked at after the fact.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

from ticketlens.figures import masks
from ticketlens.figures import style as plotting
from ticketlens.figures.accuracy import training_curves
from ticketlens.figures.experiments import COLOURS, MARKERS, Shown
from ticketlens.figures.saving import mark_cut_intervals
from ticketlens.files.csv_tables import read_table
from ticketlens.verdicts.predictors import PROPERTIES, Property, values

RATES = {
    "fcnet-normal-rate-0-003": "rate 0.003",
    "fcnet-normal": "rate 0.01",
    "fcnet-normal-rate-0-03": "rate 0.03",
}
SHOWN: dict[str, Property] = {
    **{name: PROPERTIES[name] for name in ("weight_std", "chi", "gradient", "ntk_trace")},
    "label_alignment": PROPERTIES["label_alignment"],
    "selection": Property(
        "mask_overlap", "overlap", r"kept by $|\theta_0|$ too", {"network": "largest theta_0"}
    ),
}
"""Properties that are drawn against the gain."""
RIVALS = ("dense", "shuffle-layer", "imp-matched", "uniform-matched", "imp-sign-redrawn")


def gains(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return study, seed, round, density and gain: last epoch, in points over the dense network."""
    chain = accuracy[accuracy["arm"] == "imp"]
    dense = chain[chain["round"] == 0].set_index(["study", "seed"])["test_accuracy"]
    key = pd.MultiIndex.from_frame(chain[["study", "seed"]])
    gain = 100 * (chain["test_accuracy"] - dense.reindex(key).to_numpy())
    return chain[["study", "seed", "round", "density"]].assign(gain=gain)


def gain_by_property(
    accuracy: pd.DataFrame, tables: Mapping[str, pd.DataFrame], titles: Mapping[str, str]
) -> Figure:
    """Gain of tickets over the dense network against properties of the tickets, over rates.

    `accuracy` and `tables` are tables of several studies, `titles` says what these are called. One
    panel per property of `SHOWN`; a point is a study at a round that all have, the mean over the
    seeds that were measured; rounds of a study are joined, round 7 is filled. Crosses are seeds.
    """
    gained = gains(accuracy)
    figure, axes = plotting.panels([""] * len(SHOWN), height=2.5)
    for axis, wanted in zip(axes[0], SHOWN.values(), strict=True):
        measured = values(tables[wanted.table], wanted)
        joined = gained.merge(measured[measured["arm"] == "imp"], on=["study", "seed", "round"])
        shared = joined[joined["round"] > 0].groupby("round")["study"].nunique()
        joined = joined[joined["round"].isin(shared[shared == len(titles)].index)]
        for number, (study, title) in enumerate(titles.items()):
            rows = joined[joined["study"] == study]
            means = rows.groupby("round")[["value", "gain"]].mean()
            colour, marker = COLOURS[1 + number], MARKERS[number]
            axis.plot(rows["value"], rows["gain"], "x", color=colour, ms=3, alpha=0.4)
            axis.plot(means["value"], means["gain"], "-", color=colour, lw=0.9)
            for at, mean in means.iterrows():
                axis.plot(
                    mean["value"], mean["gain"], marker, color=colour, ms=5.5,
                    mfc=colour if at == 7 else "white", zorder=3,
                )  # fmt: skip
            axis.plot([], [], marker, color=colour, label=title)
        axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
        axis.set_xlabel(wanted.label)
    plotting.same_y(axes[0])
    plotting.label_rows(axes, "gain over dense\n(points, last epoch)")
    axes[0][0].plot([], [], "o", color="0.4", label="round 7")
    axes[0][0].plot([], [], "o", color="0.4", mfc="white", label="rounds 3 and 10")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def equal_fit(table: pd.DataFrame, labels: Mapping[str, Shown], study: str) -> Figure:
    """Ticket minus rival in validation accuracy where both fit the training images alike.

    `table` is equal_fit.csv of one round. Rivals at one training accuracy, which both reach, stand
    side by side in a band that names it. Mean over seeds with 95 % t-interval.
    """
    rows = table[table["study"] == study]
    density = f"round {int(rows['round'].iloc[0])}"
    figure, axes = plotting.panels([f"IMP ticket minus rival, {density}"], height=2.7)
    axis = axes[0][0]
    levels = sorted(set(rows["level"].round(6)))
    for band in range(1, len(levels), 2):
        axis.axvspan(band - 0.5, band + 0.5, color="0.95", zorder=0)
    places = np.linspace(-0.32, 0.32, len(RIVALS))
    for number, rival in enumerate(RIVALS):
        leads = rows[rows["rival"] == rival].sort_values("level")
        title = labels[rival]["title"] if rival in labels else "dense network"
        x = np.array([levels.index(level) for level in leads["level"].round(6)], dtype=float)
        plotting.draw_intervals(
            axis, x + places[number], leads, COLOURS[number], ls="", marker=MARKERS[number],
            label=f"{title}, {plotting.seed_range(leads['n'])}",
        )  # fmt: skip
    axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
    axis.set_xticks(range(len(levels)), labels=[f"{100 * level:g}" for level in levels])
    axis.set_xlim(-0.5, len(levels) - 0.5)
    axis.grid(False, axis="x")
    axis.set_xlabel("training accuracy of both (%)")
    axis.set_ylabel("difference in validation\naccuracy (points)")
    plotting.legend(figure, *plotting.entries([axis]))
    return figure


def published(folder: Path) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return accuracy and the tables that `SHOWN` needs, of all runs in a folder of results."""
    names = {wanted.table for wanted in SHOWN.values()}
    return _joined(folder, "accuracy"), {name: _joined(folder, name) for name in names}


def _joined(folder: Path, name: str) -> pd.DataFrame:
    """Return a table's rows of the studies of `RATES`, from all runs in a folder of results."""
    places = [folder, *(folder / part for part in ("low-rate", "high-rate", "rates"))]
    files = [place / "tables" / f"{name}.csv" for place in places]
    tables = [read_table(path) for path in files if path.exists()]
    rows = pd.concat(tables, ignore_index=True)
    return rows[rows["study"].isin(list(RATES))]


def curves_of_rates(folder: Path) -> Figure:
    """Training curves at all rates, of the rounds that all have, see `training_curves`."""
    curves = _joined(folder, "training_curves")
    rounds = curves.groupby("study")["round"].max().min()
    return training_curves(curves[curves["round"] <= rounds], RATES)


def main(folder: str) -> None:
    """Draw the figures into the folder's `figures`."""
    place = Path(folder)
    config = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
    labels: dict[str, Shown] = {
        name: {"title": entry.get("title", name), "mask": entry["mask"], "law": entry["weights"]}
        for name, entry in config["arms"].items()
    }
    accuracy, tables = published(place)
    target = place / "figures"
    for name, figure in (
        ("gain_by_property", gain_by_property(accuracy, tables, RATES)),
        ("equal_fit", equal_fit(read_table(place / "tables" / "equal_fit.csv"),
                                labels, "fcnet-normal")),
        ("training_curves_rates", curves_of_rates(place)),
        ("masks", masks.masks(_joined(place, "mask_overlap"), _joined(place, "ramanujan"), RATES)),
    ):  # fmt: skip
        mark_cut_intervals(figure)
        figure.savefig(target / f"{name}.png", dpi=140)


if __name__ == "__main__":
    main(sys.argv[1])

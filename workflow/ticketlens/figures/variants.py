"""Figures of rewinding, on a GPU and a CPU, of stability to the data's order, of two networks.

    python -m ticketlens.figures.variants docs/results

They join studies, or tables of two runs, which no config makes a figure of.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.density import density_axis
from ticketlens.figures.experiments import COLOURS, MARKERS
from ticketlens.figures.saving import mark_cut_intervals
from ticketlens.files.csv_tables import read_table
from ticketlens.verdicts.selection import deep

REWINDING = {
    "fcnet-normal": "rewound to $\\theta_0$",
    "fcnet-rewind-1": "rewound to epoch 1",
    "fcnet-rewind-2": "rewound to epoch 2",
    "fcnet-rewind-none": "not rewound",
}
NETWORKS = {
    "convnet-20-epochs-normal": "ConvNet, 20 epochs",
    "fcnet-normal": "FCNet, 50 epochs",
}
DISTANCES = {
    "distance": "between the two orders",
    "distance_to_pruned": "to the network it was pruned from",
}
"""Columns of the table of stability: distances of trained tickets, relative to their weights."""


def rewinding(accuracy: pd.DataFrame, titles: Mapping[str, str] = REWINDING) -> Figure:
    """Test accuracy against density by what tickets are rewound to, of the seeds that all have.

    `accuracy` is accuracy.csv. A panel for the weights of the last epoch and one for those of the
    best validation epoch; mean over seeds with 95 % t-interval.
    """
    rows, studies = plotting.selected(accuracy, titles)
    seeds = set.intersection(*(set(rows.loc[rows["study"] == s, "seed"]) for s in studies))
    rows = rows[rows["seed"].isin(seeds)]
    number = plotting.seed_range([len(seeds)])
    figure, axes = plotting.panels([f"{label}, {number}" for _, label, *_ in plotting.WEIGHTS])
    for axis, (suffix, *_) in zip(axes[0], plotting.WEIGHTS, strict=True):
        for place, study in enumerate(studies):
            points = plotting.seed_intervals(
                rows[rows["study"] == study], "round", f"test_accuracy{suffix}"
            )
            percent = points[["mean", "lower", "upper"]] * 100
            plotting.draw_intervals(
                axis, points["density"], percent, COLOURS[place], 0.97 + 0.02 * place,
                marker=MARKERS[place], ms=4, label=titles[study],
            )  # fmt: skip
        density_axis(axis, rows["density"])
    plotting.same_y(axes[0])
    plotting.label_rows(axes, "test accuracy (%)")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def stability(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Error barrier between two orders of the data, and distances, against density.

    `tables` are tables of `tables.stability` by what their run is called. Panels: barrier on
    training and on test images, each on its own axis, and distances relative to the length of the
    trained ticket. Mean over seeds with 95 % t-interval, single seeds faint.
    """
    figure, axes = plotting.panels(["training images", "test images", "trained ticket"])
    density: list[float] = []
    for place, (run, table) in enumerate(tables.items()):
        density += list(table["density"])
        style: dict[str, Any] = {
            "marker": MARKERS[place],
            "ms": 4,
            "ls": "-" if place == 0 else ":",
        }
        for axis, part in zip(axes[0][:2], ("train", "test"), strict=True):
            rows = table[table["part"] == part]
            _draw(
                axis,
                rows.assign(barrier=100 * rows["barrier"]),
                "barrier",
                place,
                f"barrier, {run}",
                style,
            )
        for number, (column, label) in enumerate(DISTANCES.items()):
            rows = table[table["part"] == "test"].dropna(subset=[column])
            if not rows.empty:
                _draw(axes[0][2], rows, column, 2 + number, f"{label}, {run}", style)
    for axis in axes[0]:
        density_axis(axis, density)
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
    for axis in axes[0][:2]:
        axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
        axis.set_ylabel("error barrier (points)")
    axes[0][2].set_ylabel("relative distance")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def networks(
    accuracy: pd.DataFrame,
    qmap: pd.DataFrame,
    chi: pd.DataFrame,
    titles: Mapping[str, str] = NETWORKS,
) -> Figure:
    """What tickets of two networks gain over the dense one, and q and chi before training.

    The tables are accuracy.csv, qmap.csv and chi.csv of both.
    Panels against density: gain in test accuracy of the last and of the best validation epoch, and
    q and chi, means over the deep layers. Mean over seeds with 95 % t-interval.
    """
    rows, studies = plotting.selected(accuracy, titles)
    signals = {"q": qmap, "chi_frobenius": chi}
    signals = {c: plotting.selected(deep(t), titles, "init")[0] for c, t in signals.items()}
    figure, axes = plotting.panels(
        ["gain over the dense network", "$q$, untrained", "$\\chi$, untrained"]
    )
    gain, *others = axes[0]
    for place, study in enumerate(studies):
        own, colour, shift = rows[rows["study"] == study], COLOURS[place], 0.985 + 0.03 * place
        style: dict[str, Any] = {"marker": MARKERS[place], "ms": 4}
        for suffix, label, *_ in plotting.WEIGHTS:
            column = f"test_accuracy{suffix}"
            dense = own[own["round"] == 0].set_index("seed")[column]
            points = plotting.seed_intervals(
                own.assign(gain=100 * (own[column] - own["seed"].map(dense))), "round", "gain"
            )
            plotting.draw_intervals(
                gain, points["density"], points, colour, shift, ls=":" if suffix else "-",
                label=f"{titles[study]}, {label}", **style,
            )  # fmt: skip
        for axis, (column, table) in zip(others, signals.items(), strict=True):
            points = plotting.seed_intervals(table[table["study"] == study], "round", column)
            plotting.draw_intervals(axis, points["density"], points, colour, shift, **style)
    for axis in axes[0]:
        density_axis(axis, signals["q"]["density"])
    gain.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
    gain.set_ylabel("test accuracy, difference (points)")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def _draw(
    axis: Axes, rows: pd.DataFrame, column: str, place: int, label: str,
    style: Mapping[str, Any],
) -> None:  # fmt: skip
    """Draw mean and interval of a column against density, its seeds as faint points."""
    colour = COLOURS[place]
    axis.plot(rows["density"], rows[column], ".", color=colour, alpha=0.3, ms=4)
    points = plotting.seed_intervals(rows, "round", column)
    plotting.draw_intervals(axis, points["density"], points, colour, label=label, **style)


def beside_published(published: Path, runs: Path, name: str = "accuracy") -> pd.DataFrame:
    """Return a table of runs with the rows of the published chain to theta_0, up to their round."""
    rows = read_table(runs / "tables" / f"{name}.csv")
    chain = read_table(published / "tables" / f"{name}.csv")
    chain = chain[(chain["study"] == "fcnet-normal") & (chain["arm"] == "imp")]
    return pd.concat([chain[chain["round"] <= rows["round"].max()], rows])


def main(folder: str) -> None:
    """Draw the figures into the folders of their tables."""
    variants, orders = Path(folder, "gpu-variants"), Path(folder, "stability")
    rewound, convnet = Path(folder, "rewinding"), Path(folder, "convnet-20-epochs")
    beside = (beside_published(Path(folder), convnet, name) for name in ("accuracy", "qmap", "chi"))
    runs = {"GPU chains": "stability_gpu", "bank, CPU": "stability"}
    paths = {run: orders / "tables" / f"{name}.csv" for run, name in runs.items()}
    tables = {run: read_table(path) for run, path in paths.items() if path.exists()}
    for place, name, figure in (
        (variants, "rewinding", rewinding(read_table(variants / "tables" / "accuracy.csv"))),
        (rewound, "rewinding", rewinding(beside_published(Path(folder), rewound))),
        (orders, "stability", stability(tables)),
        (convnet, "networks", networks(*beside)),
    ):
        mark_cut_intervals(figure)
        (place / "figures").mkdir(exist_ok=True)
        figure.savefig(place / "figures" / f"{name}.png", dpi=140)


if __name__ == "__main__":
    main(sys.argv[1])

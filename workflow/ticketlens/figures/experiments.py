"""Figures of the slides' experiments: what retraining with other initial weights gives.

They read accuracy.csv, training_curves.csv and bimodal_law.csv; which arms they show, and in which
order, is the config's `experiments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.verdicts.inference import t_interval

COLOURS = (
    "black", plotting.BLUE, plotting.VERMILLION, plotting.GREEN, plotting.PURPLE, plotting.ORANGE,
    plotting.SKY,
)  # fmt: skip
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ACCURACIES = {f"test_accuracy{suffix}": label for suffix, label, *_ in plotting.WEIGHTS}


class Shown(TypedDict):
    """An arm in a figure: what it is called, its mask source and law of weights.

    `network` is "smaller" where the arm is a smaller network, not a mask of the study's.
    """

    title: str
    mask: str
    law: str
    network: NotRequired[str]


def std_experiment(
    curves: pd.DataFrame,
    accuracy: pd.DataFrame,
    arms: Mapping[str, Shown],
    study: str,
    title: str,
    round_: int,
) -> Figure:
    """Validation accuracy against epoch, and final test accuracy, of the arms at one round.

    Lines are means over seeds; points have 95 % t-intervals, single seeds faint. Colour is the law
    of the weights, the style of line the mask. Intervals that run off the axis end in arrowheads.
    """
    curves, accuracy = (
        _of_common_seeds(table[(table["study"] == study) & (table["round"] == round_)], arms)
        for table in (curves, accuracy)
    )
    styles = _styles(arms)
    density = accuracy.loc[accuracy["arm"] == "imp", "density"].mean()
    heading = f"{plotting.title(accuracy, study, title)}, round {round_} (density {density:.2g})"
    figure, (axes,) = plotting.panels([heading, "test accuracy"], height=3.2)
    for arm, (colour, line) in styles.items():
        mean = curves[curves["arm"] == arm].groupby("epoch")["validation_accuracy"].mean()
        label = arms[arm]["title"]
        axes[0].plot(mean.index, 100 * mean, color=colour, ls=line, lw=1.2, label=label)
    axes[0].set_xlabel("epoch")
    axes[0].set_ylabel("validation accuracy (%)")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    for place, (arm, (colour, _)) in enumerate(styles.items()):
        runs = accuracy[accuracy["arm"] == arm]
        for (column, label), shift, face in zip(
            ACCURACIES.items(), (-0.15, 0.15), (colour, "white"), strict=True
        ):
            _draw_runs(axes[1], 100 * runs[column].to_numpy(), place + shift, colour, face)
            if place == 0:
                axes[1].plot([], [], "o", color="0.3", mfc="0.3" if face != "white" else face,
                             label=label)  # fmt: skip
    axes[1].set_yticks(range(len(arms)), labels=[arm["title"] for arm in arms.values()])
    axes[1].set_ylim(len(arms) - 0.5, -0.5)
    axes[1].set_xlabel("test accuracy (%)")
    _frame_x(axes[1], 100 * accuracy[list(ACCURACIES)].to_numpy())
    plotting.legend(figure, *plotting.entries(axes))
    return figure


def _of_common_seeds(table: pd.DataFrame, arms: Mapping[str, Shown]) -> pd.DataFrame:
    """Return the rows of the given arms, IMP restricted to the seeds that all other arms have.

    So the means are comparable.
    """
    table = table[table["arm"].isin(list(arms))]
    others = set(table.loc[table["arm"] != "imp", "seed"])
    return table[table["seed"].isin(others)] if others else table


def accuracy_of_arms(
    table: pd.DataFrame, arms: Mapping[str, Shown], study: str, title: str
) -> Figure:
    """Test accuracy of the arms beside the IMP ticket of the same round: mean and 95 % t-interval.

    `table` is accuracy.csv; one panel for the last epoch's weights, one for those of the best
    validation epoch, on one y axis. Arms of a round stand side by side in a band that names the
    ticket's density; single seeds are faint. Intervals of few seeds end in arrowheads.
    """
    table = _of_common_seeds(table[table["study"] == study], arms)
    of_round = table[table["arm"] == "imp"].groupby("round")["density"].mean()
    rivals = table.loc[table["arm"] != "imp", "round"]
    rounds = sorted(set(rivals)) if len(rivals) else sorted(of_round.index)
    heading = plotting.title(table, study, title)
    last, best = ACCURACIES.values()
    figure, (axes,) = plotting.panels([f"{heading}: {last}", best], height=3.0)
    places = np.linspace(-0.32, 0.32, len(arms)) if len(arms) > 1 else np.zeros(1)
    for axis, column in zip(axes, ACCURACIES, strict=True):
        for band in range(1, len(rounds), 2):
            axis.axvspan(band - 0.5, band + 0.5, color="0.95", zorder=0)
        for number, (arm, about) in enumerate(arms.items()):
            runs = table[(table["arm"] == arm) & table["round"].isin(rounds)]
            points = plotting.seed_intervals(runs, "round", column)
            x = np.array([rounds.index(int(number)) for number in points["round"]], dtype=float)
            colour = COLOURS[number % len(COLOURS)]
            ticks = runs["round"].map(rounds.index) + places[number]
            axis.plot(ticks, 100 * runs[column], "_", color=colour, alpha=0.45, ms=6)
            plotting.draw_intervals(
                axis,
                x + places[number],
                points[["mean", "lower", "upper"]] * 100,
                colour,
                marker=MARKERS[number % len(MARKERS)],
                ls="",
                label=about["title"],
            )
        dense = table.loc[(table["arm"] == "imp") & (table["round"] == 0), column]
        axis.axhline(100 * dense.mean(), color="0.5", lw=0.8, ls=":", zorder=1, label="dense")
        shown = table[table["round"].isin(rounds)]
        plotting.frame(axis, 100 * shown[column], 100 * dense)
        labels = [f"{of_round.get(number, np.nan):.2g}" for number in rounds]
        axis.set_xticks(range(len(rounds)), labels=labels)
        axis.set_xlim(-0.5, len(rounds) - 0.5)
        axis.grid(False, axis="x")
        axis.set_xlabel("density of the ticket")
    plotting.same_y(axes)
    axes[0].set_ylabel("test accuracy (%)")
    plotting.legend(figure, *plotting.entries(axes))
    return figure


def bimodal_law(table: pd.DataFrame, title: str) -> Figure:
    """Histogram, CDF and inverse CDF of the survivors' weights, one line per hidden layer.

    `table` is bimodal_law.csv; dots are the histogram of the weights that an arm drew.
    """
    layers = sorted(set(table["layer"]))
    source = int(table["round"].iloc[0])
    states = {"init": "rewound", "trained": "trained"}
    state = states[str(table["state"].iloc[0])]
    titles = [f"{title}: {state} survivors of round {source}", "CDF", "inverse CDF"]
    figure, (axes,) = plotting.panels(titles)
    colours = plotting.shades("viridis", 0, 0.92).resampled(len(layers))
    for index, layer in enumerate(layers):
        rows = table[table["layer"] == layer].sort_values("right")
        centre = (rows["left"] + rows["right"]) / 2
        colour = colours(index)
        axes[0].plot(centre, rows["density_weight"], color=colour, lw=1)
        axes[0].plot(centre, rows["drawn_density_weight"], ".", color=colour, ms=1.5)
        edges = np.concatenate([rows["left"].iloc[:1], rows["right"]])
        cdf = np.concatenate([[0.0], rows["cdf"]])
        axes[1].plot(edges, cdf, color=colour, lw=1)
        axes[2].plot(cdf, edges, color=colour, lw=1)
    axes[0].plot([], [], color="0.3", lw=1, label="survivors")
    axes[0].plot([], [], ".", color="0.3", label="weights that an arm drew from it")
    scaled = plotting.WEIGHT
    for axis, (x, y) in zip(
        axes, ((scaled, "probability density"), (scaled, "CDF"), ("CDF", scaled)), strict=True
    ):
        axis.set_xlabel(x)
        axis.set_ylabel(y)
    norm = BoundaryNorm(np.arange(len(layers) + 1) - 0.5, len(layers))
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=list(axes), pad=0.02, aspect=30)
    bar.set_label(plotting.LAYER_LABEL)
    bar.set_ticks(range(len(layers)), labels=[str(layer) for layer in layers])
    plotting.legend(figure, *plotting.entries(axes[:1]))
    return figure


# --- what they share -----------------------------------------------------------------------------


def _styles(arms: Mapping[str, Shown]) -> dict[str, tuple[str, str]]:
    """Return (colour, line) of each arm: a colour for each law, a line for each mask."""
    laws = list(dict.fromkeys(arm["law"] for arm in arms.values()))
    masks = list(dict.fromkeys(arm["mask"] for arm in arms.values()))
    return {
        name: (COLOURS[laws.index(arm["law"]) % len(COLOURS)], LINES[masks.index(arm["mask"]) % 4])
        for name, arm in arms.items()
    }


def _draw_runs(axis: Axes, values: np.ndarray, place: float, colour: str, face: str) -> None:
    """Draw runs of one arm on a line: mean with 95 % t-interval, single seeds faint."""
    interval = t_interval(values)
    if values.size > 1:
        axis.plot(values, np.full(values.size, place), "|", color=colour, alpha=0.5, ms=5)
    half_width = interval.upper - interval.mean if values.size >= plotting.FEWEST_SEEDS else 0.0
    drawn = axis.errorbar(
        interval.mean, place, xerr=half_width, fmt="o", color=colour, mfc=face, elinewidth=0.9,
        zorder=3,
    )  # fmt: skip
    for bars in drawn.lines[2]:
        bars.set_alpha(0.5)


def _frame_x(axis: Axes, values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    gap = max(0.3, 0.1 * np.ptp(finite))
    axis.set_xlim(finite.min() - gap, finite.max() + gap)

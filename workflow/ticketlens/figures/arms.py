"""Figures of arms: rival tickets against the IMP ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.density import DensityScale, density_scale
from ticketlens.figures.experiments import ACCURACIES, MARKERS, Shown
from ticketlens.verdicts.contrasts import QUANTITIES
from ticketlens.verdicts.predictors import ARMS, CHAIN, PROPERTIES

ZERO_SHOT_CHARACTERS = 46  # of a title: its panels are wider than the others'


def zero_shot(
    table: pd.DataFrame, titles: Mapping[str, str], labels: Mapping[str, Shown]
) -> Figure:
    """Accuracy of each arm minus IMP's: mean and 95 % interval, per round.

    `table` is contrasts.csv, `labels` say what arms are called. Two panels per study, of the last
    and of the best validation epoch's weights; arms that are smaller networks, not masks, stand
    below, on an axis of their own. The best arm comes first: by its mean at the round of most arms,
    last epoch. The band is the margin of equality; filled markers have a verdict, open ones were
    not planned. The axes follow the means: intervals that run off them end in arrowheads.
    """
    table = table[table["n"] > 0]  # arms that are not applicable have rows, but no seed
    studies = [study for study in titles if study in set(table["study"])]
    groups = [_of_networks(table, labels, is_smaller) for is_smaller in (False, True)]
    blocks = [
        (study, group) for study in studies for group in groups if study in set(group["study"])
    ]
    rounds = sorted(set(table["round"]))
    scale = density_scale(table)
    pitch = max(0.3, 0.11 * len(rounds))  # inches: markers do not hide each other
    heights = [
        pitch * len(set(group.loc[group["study"] == s, "arm"])) + 0.75 for s, group in blocks
    ]
    figure, axes = plt.subplots(
        len(blocks), len(ACCURACIES), figsize=(8.6, sum(heights) + 0.6), squeeze=False,
        gridspec_kw={"height_ratios": heights}, layout="constrained",
    )  # fmt: skip
    for line, (study, group) in zip(axes, blocks, strict=True):
        rows = group[group["study"] == study]
        arms = _ranked(rows)
        margin = float(rows["margin"].iloc[0])
        span = [min(rows["mean"].min(), -margin), max(rows["mean"].max(), margin)]
        gap = 0.1 * (span[1] - span[0]) + margin
        for axis, (quantity, label) in zip(line, ACCURACIES.items(), strict=True):
            _contrasts(axis, rows[rows["quantity"] == quantity], arms, rounds, scale)
            axis.axvspan(-margin, margin, color="0.9", zorder=0, label=f"±{margin:g} points")
            axis.axvline(0, color="0.5", lw=0.8, zorder=1)
            axis.set_xlim(span[0] - gap, span[1] + gap)
            axis.set_ylim(len(arms) - 0.5, -0.5)
            names = [labels[arm]["title"] if arm in labels else arm for arm in arms]
            is_left = plotting.is_leftmost(axis)
            axis.set_yticks(range(len(arms)), labels=names if is_left else [""] * len(arms))
            heading = f"{titles[study]}, {plotting.seed_range(rows['n'])}, {label}"
            axis.set_title(plotting.wrapped(heading, ZERO_SHOT_CHARACTERS))
            axis.set_xlabel("test accuracy, arm − IMP (points)")
    if not table["planned"].all():
        axes[0][0].plot([], [], "o", color="0.4", mfc="white", label="not planned")
    plotting.legend(figure, *plotting.entries(axes.ravel()))
    return figure


def _of_networks(
    table: pd.DataFrame, labels: Mapping[str, Shown], is_smaller: bool
) -> pd.DataFrame:
    """Return the rows of arms that are smaller networks, or of those that are masks of the same."""
    small = {name for name, label in labels.items() if label.get("network") == "smaller"}
    return table[table["arm"].isin(small) == is_smaller]


def _ranked(rows: pd.DataFrame) -> list[str]:
    """Return the arms, best first: mean of the last epoch at the round that most arms have."""
    last = rows[rows["quantity"] == "test_accuracy"]
    usual = last.groupby("round")["arm"].nunique().idxmax()
    at_round = last[last["round"] == usual].set_index("arm")["mean"]
    means = at_round.combine_first(last.groupby("arm")["mean"].mean())
    return list(means.sort_values(ascending=False).index)


def _contrasts(
    axis: Axes,
    rows: pd.DataFrame,
    arms: Sequence[str],
    rounds: Sequence[int],
    scale: DensityScale,
) -> None:
    """Draw the differences of one study and epoch, an arm a line, its rounds side by side."""
    for index, (number, shift) in enumerate(zip(rounds, _shifts(len(rounds)), strict=True)):
        of_round = rows[rows["round"] == number]
        if of_round.empty:
            continue
        colour, marker = scale.colour(of_round["density"].mean()), MARKERS[index % len(MARKERS)]
        place = np.array([arms.index(arm) for arm in of_round["arm"]]) + shift
        sides = (of_round["mean"] - of_round["lower"], of_round["upper"] - of_round["mean"])
        drawn = axis.errorbar(
            of_round["mean"], place, xerr=np.nan_to_num(sides), ls="", color=colour, elinewidth=0.9
        )
        for bars in drawn.lines[2]:
            bars.set_alpha(0.5)
        for planned, face in ((True, colour), (False, "white")):
            is_shown = (of_round["planned"] == planned).to_numpy()
            axis.plot(
                of_round["mean"][is_shown],
                place[is_shown],
                marker,
                color=colour,
                mfc=face,
                ms=4,
                zorder=3,
            )
        label = f"round {number}, density {of_round['density'].mean():.2g}"
        axis.plot([], [], marker, color=colour, label=label)


def factorial(table: pd.DataFrame, titles: Mapping[str, str], order: Sequence[str]) -> Figure:
    """Heat map: test accuracy of every combination of sources minus IMP's, mean over seeds.

    `table` is factorial_contrasts.csv, of which the last epoch's weights are drawn; one panel per
    round. Below each mean the half-width of its 95 % t-interval (more than one seed), bold where
    the interval excludes 0. Combinations that make no sense are grey. Sources come in their
    `order`.
    """
    table = table[table["quantity"] == "test_accuracy"]
    rounds = sorted(set(table["round"]))
    masks, weights = (sorted(set(table[key]), key=order.index) for key in ("mask", "weights"))
    figure, axes = plt.subplots(
        len(rounds),
        1,
        figsize=(1.9 + 0.62 * len(weights), len(rounds) * (1.1 + 0.34 * len(masks))),
        squeeze=False,
        layout="constrained",
    )
    reach = max(0.5, table["mean"].abs().max()) if table["mean"].notna().any() else 0.5
    norm, colours = Normalize(-reach, reach), plt.get_cmap("PuOr")
    for axis, number in zip(axes[:, 0], rounds, strict=True):
        rows = table[table["round"] == number]
        grid = np.full((len(masks), len(weights)), np.nan)
        for row in rows.itertuples():
            grid[masks.index(row.mask), weights.index(row.weights)] = row.mean
        axis.set_facecolor("0.88")
        image = axis.imshow(grid, cmap=colours, norm=norm, aspect="auto")
        for row in rows[rows["n"] > 0].itertuples():
            place = (weights.index(row.weights), masks.index(row.mask))
            _write_cell(axis, place, row, "white" if abs(row.mean) > 0.65 * reach else "black")
        for row in rows[rows["n"] == 0].itertuples():
            text = "IMP" if row.arm == "imp" else "–"
            axis.text(weights.index(row.weights), masks.index(row.mask), text, ha="center",
                      va="center", fontsize=6.5)  # fmt: skip
        axis.set_xticks(range(len(weights)), labels=weights, rotation=35, ha="right")
        axis.set_yticks(range(len(masks)), labels=masks)
        axis.set_xlabel("weights")
        axis.set_ylabel("mask")
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.set_title(_factorial_title(rows, titles))
    bar = figure.colorbar(image, ax=list(axes[:, 0]), pad=0.02, aspect=30)
    bar.set_label("test accuracy, combination − IMP (points)")
    return figure


def _write_cell(axis: Axes, place: tuple[int, int], row: Any, colour: str) -> None:
    half_width = row.upper - row.mean
    text = f"{row.mean:+.1f}" + (f"\n±{half_width:.1f}" if np.isfinite(half_width) else "")
    text = text.replace("-", "\u2212")
    is_off_zero = row.lower > 0 or row.upper < 0
    axis.text(*place, text, ha="center", va="center", color=colour, fontsize=6.5,
              linespacing=0.95, weight="bold" if is_off_zero else "normal")  # fmt: skip


def _factorial_title(rows: pd.DataFrame, titles: Mapping[str, str]) -> str:
    study, number, density = rows.iloc[0][["study", "round", "density"]]
    seeds = sorted(set(rows.loc[rows["n"] > 0, "n"].astype(int)))
    count = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1]))) if seeds else "no"
    name = titles.get(study, study)
    plural = "" if seeds[-1:] == [1] else "s"
    return f"{name}, round {number}, density {density:.2g}, n = {count} seed{plural}"


def predictors(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Kendall's tau between a property of tickets and their accuracy: mean and 95 % t-interval.

    `table` is predictors.csv; one panel per study for its arms, rounds by colour, and one for its
    chain; a line per property. Filled markers are the last epoch's weights, open ones those of the
    best validation epoch. The bars hold |tau| of one ranking of arms, independent of accuracy, in
    95 % of the cases or more: a round of few arms has wide ones. A chain has none, as its rounds
    are not independent; what density does alone stands in its first line.
    """
    shown = [
        (study, along, rows)
        for along in (ARMS, CHAIN)
        for study in titles
        if len(rows := table[(table["study"] == study) & (table["along"] == along)])
    ]
    properties = [name for name in PROPERTIES if name in set(table["property"])]
    names = [
        f"{titles[study]}{', along the chain' if along == CHAIN else ''}, "
        + plotting.seed_range(rows["seeds"])
        for study, along, rows in shown
    ]
    height = 1.1 + 0.3 * max(4, len(properties))
    figure, axes = plotting.panels(names, height=height)
    arms = table[table["along"] == ARMS]
    scale = density_scale(arms) if len(arms) else DensityScale()
    for axis, (_, along, rows) in zip(axes[0], shown, strict=True):
        rounds = sorted(set(rows["round"].dropna()))
        for number, shift in zip(rounds, _shifts(len(rounds)), strict=True):
            of_round = rows[rows["round"] == number]
            density = of_round["density"].mean()
            label = f"round {int(number)}, density {density:.2g}"
            _draw_taus(axis, of_round, properties, shift, scale.colour(density), label)
            band = of_round["band"].max()
            if np.isfinite(band):
                places = sorted({properties.index(name) for name in of_round["property"]})
                axis.barh(
                    np.array(places) + shift, 2 * band, 0.44 / max(1, len(rounds) - 1), -band,
                    color="0.92", zorder=0,
                )  # fmt: skip
        if along == CHAIN:
            _draw_taus(axis, rows, properties, 0.0, plotting.BLUE, "IMP tickets of all rounds")
        elif rows["band"].notna().any():
            axis.bar(0, 0, 0, color="0.92", label="5 % level, independent rankings")
        axis.plot([], [], "o", color="0.4", mfc="white", label="best validation epoch")
        axis.axvline(0, color="0.5", lw=0.8, zorder=1)
        axis.set_xlim(-1.05, 1.05)
        axis.set_ylim(len(properties) - 0.5, -0.5)
        labels = [PROPERTIES[name].label for name in properties]
        axis.set_yticks(
            range(len(labels)), labels=labels if plotting.is_leftmost(axis) else [""] * len(labels)
        )
        ranked = "–".join(str(n) for n in sorted({rows["ranked"].min(), rows["ranked"].max()}))
        what = "arms" if along == ARMS else "rounds"
        axis.set_xlabel(rf"Kendall's $\tau$ with test accuracy, {ranked} {what}")
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def _draw_taus(
    axis: Axes,
    rows: pd.DataFrame,
    properties: Sequence[str],
    shift: float,
    colour: object,
    label: str,
) -> None:
    """Draw means and intervals of both epochs' accuracies, a property to a line."""
    for quantity, taus in rows.groupby("quantity"):
        is_last = quantity == QUANTITIES[0]
        place = np.array([properties.index(name) for name in taus["property"]]) + shift
        place += -0.05 if is_last else 0.05
        axis.plot([taus["lower"], taus["upper"]], [place, place], color=colour, alpha=0.5, lw=0.9)
        axis.plot(taus["mean"], place, "o", color=colour, mfc=colour if is_last else "white",
                  zorder=3 if is_last else 2.9)  # fmt: skip
    axis.plot([], [], "o", color=colour, label=label)


def _shifts(count: int) -> np.ndarray:
    """Return vertical places of `count` rounds around an arm's line."""
    return np.linspace(-0.22, 0.22, count) if count > 1 else np.zeros(count)

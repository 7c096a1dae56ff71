"""The look that all figures share: one style, panels per study, lines over seeds, axes, legends.

Lines are means over seeds with 95 % t-intervals as bars. Axes follow the means and the single
seeds: wide intervals (few seeds) run off them, and end in arrowheads. The interval of two seeds is
12.7 standard errors wide to each side and says nothing: they are drawn themselves, without bars.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ticketlens.figures.described import SHIFT
from ticketlens.verdicts.inference import t_interval

TITLE_CHARACTERS = 38
FORMULA = re.compile(r"(?<!\\)\$.*?(?<!\\)\$")
FORMULA_SPACE = "\ue000"  # for private use: no title holds it
MAX_COLUMNS = 3
PANEL = (3.4, 2.7)  # inches: two panels fill a page's width
FEWEST_SEEDS = 3  # that have an interval worth drawing
FEWEST_TICKS = 3  # of a logarithmic axis
FINER_STEPS = ((1, 2, 3, 5, 7), tuple(range(1, 10)))
LAYER_LABEL = r"hidden layer $l$"
WEIGHT = r"$w\,\sqrt{N_\mathrm{in}}$"  # N_in is the fan-in
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "savefig.bbox": "tight",
    "pdf.fonttype": 42,
}
# Over matplotlib's own defaults, whatever a user's matplotlibrc says.
mpl.rcdefaults()
mpl.rcParams.update(cast(Any, STYLE))
mpl.use("Agg")
# Okabe & Ito's colours, which the colour-blind tell apart.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY = "#56B4E9"
WEIGHTS = (
    ("", "last epoch", BLUE, "o", 0.985),
    ("_best_validation", "best validation epoch", VERMILLION, "s", 1.015),
)
"""Per set of weights that a run ends with: suffix of its columns in accuracy.csv, label, colour,
marker, and the factor that keeps its bars apart on an axis of densities."""


# --- What is drawn -------------------------------------------------------------------------------


def selected(
    table: pd.DataFrame, titles: Mapping[str, str], state: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the imp arm (in one state), and their studies in the order of `titles`.

    Raises ValueError if there are none.
    """
    if not table.empty:
        kept = (table["arm"] == "imp") & table["study"].isin(list(titles))
        if state is not None:
            kept &= table["state"] == state
        table = table[kept]
    if table.empty:
        of_state = "" if state is None else f" in state {state!r}"
        raise ValueError(f"the table has no rows of arm 'imp'{of_state} of studies {list(titles)}")
    present = set(table["study"])
    return table, [study for study in titles if study in present]


def seed_intervals(rows: pd.DataFrame, by: str, column: str) -> pd.DataFrame:
    """Return, per value of `by`, the mean over seeds of `column` with its 95 % t-interval.

    Columns `by`, mean, lower, upper (NaN below `FEWEST_SEEDS` seeds) and density, the mean of the
    rows'. Several rows of a seed count as their mean, and values that are not finite not at all.
    """
    finite = rows[np.isfinite(rows[column])]
    seeds = finite.groupby([by, "seed"], sort=True)[[column, "density"]].mean().reset_index()
    means = []
    for value, group in seeds.groupby(by):
        interval = t_interval(group[column].to_numpy())
        ends = (interval.lower, interval.upper) if len(group) >= FEWEST_SEEDS else (np.nan, np.nan)
        means.append((value, interval.mean, *ends, group["density"].mean()))
    return pd.DataFrame(means, columns=[by, "mean", "lower", "upper", "density"], dtype=float)


def spread(values: Iterable[int], count: int) -> list[int]:
    """Return at most `count` of the values, evenly spread, the first and the last among them."""
    ordered = sorted(set(values))
    positions = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[position] for position in positions]


# --- Lines ---------------------------------------------------------------------------------------


def draw_intervals(
    axis: Axes,
    x: Sequence[float],
    intervals: pd.DataFrame,
    colour: object,
    shift: float = 1.0,
    **style: Any,
) -> None:
    """Draw a line of means with bars for their intervals; no bars for single seeds.

    `shift` is a factor on x that keeps the bars of several lines apart; a page's pointer undoes it.
    """
    half_widths = (intervals["upper"] - intervals["mean"]).to_numpy()
    drawn = axis.errorbar(
        np.asarray(x, dtype=float) * shift,
        intervals["mean"],
        yerr=None if np.isnan(half_widths).all() else np.nan_to_num(half_widths),
        color=colour,
        **{"capsize": 1.5, "elinewidth": 0.8, **style},
    )
    drawn.lines[0].set_gid(f"{SHIFT}{shift}")
    for bars in drawn.lines[2]:
        bars.set_alpha(0.5)


def frame(axis: Axes, *values: Iterable[float], margin: float = 0.06) -> None:
    """Limit y to what the values span, and a margin; in logs on a logarithmic axis."""
    numbers = np.concatenate([np.asarray(list(part), dtype=float) for part in values])
    logarithmic = axis.get_yscale() == "log"
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (not logarithmic))]
    if not numbers.size:
        return
    if logarithmic:
        numbers = np.log(numbers)
    low, high = numbers.min(), numbers.max()
    gap = margin * (high - low) or 0.05 * (abs(high) or 1.0)
    limits = np.array([low - gap, high + gap])
    axis.set_ylim(*(np.exp(limits) if logarithmic else limits))


def same_y(axes: Iterable[Axes]) -> None:
    """Give panels that show one quantity one y axis, as long as the longest of them."""
    axes = list(axes)
    limits = np.array([axis.get_ylim() for axis in axes])
    for axis in axes:
        axis.set_ylim(limits[:, 0].min(), limits[:, 1].max())


# --- Axes, scales and legends --------------------------------------------------------------------


def shades(name: str, low: float, high: float) -> Colormap:
    """Return the part of a colour map between two positions in [0, 1]."""
    return ListedColormap(plt.get_cmap(name)(np.linspace(low, high, 256)))


def panels(
    titles: Iterable[str], rows: int = 1, height: float = PANEL[1], columns: int = MAX_COLUMNS
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, shape (rows, panels), one column of axes per title.

    More than `columns` titles go on below the first ones, all their rows together, in bands as
    equal as can be: four titles are two and two. `height` of a row is in inches.
    """
    titles = list(titles)
    bands = -(-len(titles) // columns)
    columns = -(-len(titles) // bands)
    figure, grid = plt.subplots(
        rows * bands,
        columns,
        figsize=(PANEL[0] * columns + 0.5, height * rows * bands + 0.4),
        squeeze=False,
        layout="constrained",
    )
    places = grid.reshape(bands, rows, columns).swapaxes(0, 1).reshape(rows, -1)
    for axis in places[:, len(titles) :].flat:
        axis.remove()
    axes = places[:, : len(titles)]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(wrapped(title))
    return figure, axes


def wrapped(title: str, characters: int = TITLE_CHARACTERS) -> str:
    """Return a title in lines of at most so many characters. No line ends within a formula.

    matplotlib sets each line on its own: half a formula would show its dollar sign and commands.
    """
    if "$" not in title:
        return "\n".join(textwrap.wrap(title, characters))
    kept = FORMULA.sub(lambda found: found[0].replace(" ", FORMULA_SPACE), title)
    lines = textwrap.wrap(kept, characters, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(FORMULA_SPACE, " ")


def is_leftmost(axis: Axes) -> bool:
    """Whether a panel has none to its left, so that its y axis carries the labels."""
    return cast(SubplotSpec, axis.get_subplotspec()).is_first_col()


def label_rows(axes: np.ndarray, *labels: str) -> None:
    """Name the y axes of each row of `panels`, at the left end of the figure."""
    for row, label in zip(axes, labels, strict=True):
        for axis in filter(is_leftmost, row):
            axis.set_ylabel(label)


def study_panels(
    rows: pd.DataFrame,
    studies: Sequence[str],
    titles: Mapping[str, str],
    lines: int = 1,
    height: float = PANEL[1],
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, (lines, studies), titled by study and its number of seeds."""
    return panels([title(rows, study, titles[study]) for study in studies], lines, height)


def title(rows: pd.DataFrame, study: str, name: str) -> str:
    """Return the name of a study with its number of seeds, "2–5 seeds" where arms differ in it."""
    per_arm = rows[rows["study"] == study].groupby("arm")["seed"].nunique()
    return f"{name}, {seed_range(per_arm)}"


def seed_range(counts: Iterable[int]) -> str:
    """Return numbers of seeds in words, which no line break separates."""
    fewest, most = min(counts), max(counts)
    number = str(most) if fewest == most else f"{fewest}–{most}"
    return f"{number}\u00a0seed{'' if most == 1 else 's'}"


def layer_axis(axis: Axes, layers: Iterable[int], readout: int | None = None) -> None:
    """Make x an axis of hidden layers, with a place for the readout if it has a number."""
    numbers = sorted(set(layers))
    labels = [str(number) for number in numbers]
    last = numbers[-1]
    if readout is not None:
        numbers, labels, last = [*numbers, readout], [*labels, "out"], readout
    axis.set_xticks(numbers, labels=labels)
    axis.set_xlim(numbers[0] - 0.4, last + 0.4)
    axis.set_xlabel(LAYER_LABEL)


def hide_x(axis: Axes) -> None:
    """Leave labels and name of x to the panel below."""
    axis.tick_params(labelbottom=False)
    axis.set_xlabel("")


def plain_ticks(axis: Axes, steps: Sequence[int] = (1, 2, 5)) -> None:
    """Label a logarithmic y axis, whose limits are set, with at most about eight values.

    Plain numbers at `steps` of each decade where few decades are shown, else powers of ten. Where
    that labels fewer than `FEWEST_TICKS` values, steps are finer: one label gives no scale.
    """
    low, high = np.log10(axis.get_ylim())
    decades = np.arange(np.floor(low), np.ceil(high) + 1)
    if len(steps) * (high - low) <= 8:
        for finer in (steps, *FINER_STEPS):
            ticks = [step * 10.0**decade for decade in decades for step in finer]
            if sum(low <= np.log10(tick) <= high for tick in ticks) >= FEWEST_TICKS:
                break
        form: Callable[[float], str] = "{:g}".format
    else:
        stride = int(np.ceil((high - low) / 6))
        ticks = [10.0**decade for decade in decades if decade % stride == 0]
        form = lambda value: f"$10^{{{round(np.log10(value))}}}$"  # noqa: E731
    axis.yaxis.set_major_locator(FixedLocator(ticks))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axis.yaxis.set_minor_locator(NullLocator())


def entries(axes: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """Return handles and labels of all panels, each label once, in the order of appearance."""
    handles: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return list(handles.values()), list(handles)


def legend(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[str], where: str = "upper"
) -> None:
    """Put a legend above ("upper") or below ("lower") all panels, as wide as the figure allows."""
    for columns in range(len(labels), 0, -1):
        legend = figure.legend(
            handles, labels, loc=cast(Any, f"outside {where} center"), ncols=columns
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()

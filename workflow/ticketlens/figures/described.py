"""What a drawn figure shows, as plain data: its panels and the points of its curves, in pixels.

`saving.save` keeps it in the PNG file as the text chunk `ticketlens`, so that a page can show one
panel at a time and the values under a pointer, whatever the figure is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox, BboxBase

Points = npt.NDArray[np.float64]
"""x and y of points, shape (points, 2)."""
Pixels = Callable[[Points], Points]
MAX_POINTS = 1500
"""Curves of a figure with more points are left out: the points would be too near."""
LETTERS = {
    **{r"\chi": "χ", r"\sigma": "σ", r"\lambda": "λ", r"\theta": "θ", r"\tau": "τ", r"\rho": "ρ"},
    **{r"\Delta": "Δ", r"\cdot": "·", r"\infty": "∞", r"\ln": "ln ", r"\log": "log ", r"\pm": "±"},
    **{r"\langle": "⟨", r"\rangle": "⟩", r"\partial": "∂", r"\Vert": "‖", r"\,": " "},
    **{r"\top": "ᵀ", r"\Sigma": "Σ", r"\sqrt": "√"},
    **{r"\ell": "l", r"\times": "×", r"\leq": "≤", r"\geq": "≥", r"\to": "→", r"\mu": "μ"},
}
SHIFT = "shift "
"""Group id of a line whose x are drawn times a factor, which follows."""
EDGE = 6
"""Pixels around a panel."""
# Names that matplotlib gives to what has none.
UNNAMED = re.compile(r"_(child|container|nolegend)")


def described(figure: Figure, page: BboxBase, dpi: float) -> dict[str, Any]:
    """Return the panels of a drawn figure, cut to `page` (inches), at `dpi` pixels per inch.

    A dict of size [width, height] and panels: title, x (name of the axis), y (names of y axes that
    only another panel bears), box [left, top, width, height], and curves, each [name, colour,
    points]; a point is [left, top, x, y] or [left, top, x, y, lower, upper] of its interval. Panels
    that share the x axis of the panel below them share its box. A legend outside the panels, and a
    colour bar, are panels without curves.
    """
    origin, height = np.asarray(page.min) * dpi, page.height * dpi

    def pixels(points: Points) -> Points:
        moved = (points - origin) * dpi / figure.dpi if figure.dpi != dpi else points - origin
        return np.column_stack([moved[:, 0], height - moved[:, 1]])

    def box(of: BboxBase) -> list[int]:
        (left, bottom), (right, top) = pixels(np.array([of.min, of.max]))
        width, height_ = page.width * dpi, height
        left, top = max(left - EDGE, 0), max(top - EDGE, 0)
        right, bottom = min(right + EDGE, width), min(bottom + EDGE, height_)
        return [round(number) for number in (left, top, right - left, bottom - top)]

    legends: list[dict[str, Any]] = [
        {
            "title": "legend",
            "box": box(legend.get_window_extent()),
            "legend": [
                [plain(text.get_text()), _colour(handle)]
                for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
            ],
            "curves": [],
        }
        for legend in figure.legends
    ]
    shown: list[dict[str, Any]] = legends + [
        {
            "title": plain(" ".join(group[0].get_title().split())),
            "x": plain(group[-1].get_xlabel()),
            "y": [plain(_y_label(axis, figure)) for axis in group],
            "box": box(Bbox.union([_extent(axis) for axis in group])),
            "curves": [curve for axis in group for curve in _curves(axis, pixels)],
        }
        for group in _groups(figure)
    ]
    if sum(len(curve[2]) for panel in shown for curve in panel["curves"]) > MAX_POINTS:
        for panel in shown:
            panel["curves"] = []
    return {"size": [round(page.width * dpi), round(height)], "panels": shown}


def _groups(figure: Figure) -> list[list[Axes]]:
    """Return panels from the top left; those above another whose x axis they use go with it."""
    groups: list[list[Axes]] = []
    waiting: dict[int, list[Axes]] = {}
    for axis in figure.axes:
        column = round(axis.get_position().x0 * 100)
        group = [*waiting.pop(column, []), axis]
        labelled = axis.xaxis.get_tick_params().get("labelbottom", True)
        if labelled or axis.get_label() == "<colorbar>":
            groups.append(group)
        else:
            waiting[column] = group
    return groups + list(waiting.values())


def _extent(axis: Axes) -> BboxBase:
    """Return where a panel and its labels are drawn."""
    return axis.get_tightbbox() or axis.bbox


def _y_label(axis: Axes, figure: Figure) -> str:
    """Return the name of y where another panel bears it, the leftmost one in the row; else ''."""
    if axis.get_ylabel() or axis.get_label() == "<colorbar>":
        return ""
    bottom = axis.get_position().y0
    row = [other for other in figure.axes if abs(other.get_position().y0 - bottom) < 0.01]
    return min(row, key=lambda other: other.get_position().x0).get_ylabel()


def _curves(axis: Axes, pixels: Pixels) -> Iterator[list[Any]]:
    """Yield [name, colour, points] of the lines of a panel that have markers, bars or a name."""
    bars = {
        container.lines[0]: container
        for container in axis.containers
        if isinstance(container, ErrorbarContainer) and container.lines[0] is not None
    }
    for line in axis.lines:
        name = str(bars[line].get_label() if line in bars else line.get_label())
        if (line not in bars and UNNAMED.match(name)) or np.size(line.get_xdata()) < 2:
            continue
        if line.get_transform() != axis.transData:  # axhline and the like: no curve
            continue
        name = "" if UNNAMED.match(name) else plain(name.removeprefix("_"))
        yield [name, _colour(line), _points(axis, line, bars.get(line), pixels)]


def _points(
    axis: Axes, line: Line2D, container: ErrorbarContainer | None, pixels: Pixels
) -> list[list[float]]:
    """Return the points that lie in the panel."""
    values = np.column_stack([np.asarray(a, float) for a in line.get_data()])
    with np.errstate(invalid="ignore"):
        places = pixels(axis.transData.transform(values))
    ends: dict[float, tuple[float, float]] = {}
    if container is not None:
        for part in container.lines[2]:
            ends |= {s[0][0]: (s[0][1], s[1][1]) for s in part.get_segments() if len(s) == 2}
    low, high = sorted(axis.get_ylim())
    gid = str(line.get_gid() or "")
    shift = float(gid.removeprefix(SHIFT)) if gid.startswith(SHIFT) else 1.0
    points = []
    for (left, top), (x, y) in zip(places, values, strict=True):
        if np.isfinite([left, top]).all() and low <= y <= high:
            numbers = [x / shift, y, *(ends.get(x, ()))]
            points.append([round(left), round(top), *(_short(number) for number in numbers)])
    return points


def plain(text: str) -> str:
    """Return a label without TeX: what stands between dollars as letters, as far as they go.

    >>> plain(r"measured $\\chi_l$ (nats)")
    'measured χ_l (nats)'
    """
    for tex, letter in LETTERS.items():
        text = re.sub(re.escape(tex) + r"(?![A-Za-z])", letter, text)
    text = re.sub(r"\\(mathrm|mathbf|bar|hat|text)", "", text)
    return re.sub(r"[${}\\]", "", text)


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _colour(artist: Artist | None) -> str:
    """Return the colour of a line, a marker or a patch."""
    for name in ("get_color", "get_facecolor", "get_edgecolor"):
        if hasattr(artist, name):
            colours = getattr(artist, name)()
            colour = colours[0] if np.ndim(colours) > 1 else colours
            return to_hex(colour)
    return "#000000"

"""Finish a figure and write it: arrowheads at intervals that the frame cuts, PNG and PDF.

The PNG is narrow enough for a page, and holds what it shows as text.
"""

from __future__ import annotations

import json
import os

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from ticketlens.figures.described import described
from ticketlens.files.atomic import replacing

MAX_PIXELS = 1500


def mark_cut_intervals(figure: Figure) -> None:
    """Put an arrowhead where an interval runs off its panel, up or sideways.

    Axes follow the means, so that a wide interval of few seeds may be cut; cut bars without a mark
    would look like short ones.
    """
    for axis in figure.axes:
        limits = np.sort([axis.get_xlim(), axis.get_ylim()], axis=1)
        marks = (("<", ">"), ("v", "^"))
        if axis.xaxis_inverted():
            marks = ((">", "<"), marks[1])
        for container in axis.containers:
            if not isinstance(container, ErrorbarContainer):
                continue
            for bars in container.lines[2]:
                colour = bars.get_color()[0]
                for segment in bars.get_segments():
                    along = 0 if segment[0, 1] == segment[-1, 1] else 1
                    ends = np.sort(segment[[0, -1], along])
                    low, high = limits[along]
                    for is_off, end, marker in (
                        (ends[1] > high, high, marks[along][1]),
                        (ends[0] < low, low, marks[along][0]),
                    ):
                        if is_off:
                            place = [end, segment[0, 1]] if along == 0 else [segment[0, 0], end]
                            axis.plot(
                                *place, marker, color=colour, ms=3.5, clip_on=False,
                                scalex=False, scaley=False, zorder=5,
                            )  # fmt: skip


def save(figure: Figure, png: str | os.PathLike[str], pdf: str | os.PathLike[str]) -> None:
    """Write a figure as PNG (at most 1,500 px wide) and PDF, and close it.

    The PNG has a text chunk `ticketlens`: what the figure shows, see `described`.
    """
    mark_cut_intervals(figure)
    width = figure.get_size_inches()[0] * 1.05
    dpi = min(200, MAX_PIXELS / width)
    figure.set_dpi(dpi)
    figure.draw_without_rendering()
    # Laid out once, for both files: otherwise each would lay it out twice.
    figure.set_layout_engine("none")
    page = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
    shown = json.dumps(described(figure, page, dpi), separators=(",", ":"))
    with replacing(png) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches=page, metadata={"ticketlens": shown})
    with replacing(pdf) as temporary:
        # No time stamp: the same table gives the same file.
        figure.savefig(temporary, bbox_inches=page, metadata={"CreationDate": None})
    plt.close(figure)

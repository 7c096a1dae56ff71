"""The law that `inverse-cdf` draws from, as a table: histogram and CDF, and what an arm drew."""

from __future__ import annotations

import numpy as np

from ticketlens.checkpoint import Checkpoint, read
from ticketlens.tables.columns import Row, hidden, keys
from ticketlens.tickets.weight_sources import law_histogram


def of_files(survivors: str, arm: str) -> list[Row]:
    """Return the table of the law of the checkpoint `survivors` and of the ticket `arm` (paths)."""
    return bimodal_law(read(survivors), read(arm, kind="ticket"))


def bimodal_law(survivors: Checkpoint, arm: Checkpoint) -> list[Row]:
    """Return one row per hidden layer and bin of the survivors' w·√fan_in.

    `density_weight` and `cdf` (at the bin's right edge) are the survivors', `drawn_density_weight`
    the arm's in the same bins.
    """
    rows = []
    for (number, layer), (_, drawn) in zip(hidden(survivors), hidden(arm), strict=True):
        counts, edges = law_histogram(layer)
        values = drawn.weight[drawn.mask] * np.sqrt(drawn.fan_in)
        counted = np.histogram(values, edges)[0]
        widths, total = np.diff(edges), max(1, counts.sum())
        for left, right, width, count, cumulative, own in zip(
            edges[:-1], edges[1:], widths, counts, np.cumsum(counts), counted, strict=True
        ):
            rows.append(
                {
                    **keys(survivors, number),
                    "arm": arm.arm,
                    "left": left,
                    "right": right,
                    "density_weight": count / (total * width),
                    "cdf": cumulative / total,
                    "drawn_density_weight": own / (max(1, values.size) * width),
                }
            )
    return rows

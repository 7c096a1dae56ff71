"""Weight histograms as files: counts per layer in HDF5, and as one tidy table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.checkpoint import Checkpoint
from ticketlens.files import csv_tables, hdf5
from ticketlens.files.damaged import damage, remake
from ticketlens.measure.weights import Histogram
from ticketlens.tables.columns import keys

if TYPE_CHECKING:
    import pandas as pd


def write_histograms(
    path: str | os.PathLike[str],
    checkpoint: Checkpoint,
    edges: np.ndarray,
    histograms: Mapping[str, Histogram],
) -> None:
    """Write `edges` (bins + 1,) and, per layer, `counts` (bins,) int64, with the key columns.

    Weights are in units of 1/√fan_in; attributes `below` and `above` count what lies outside.
    """
    with hdf5.writing(path) as file:
        file.create_dataset("edges", data=edges, chunks=True, fletcher32=True)
        for number, (name, found) in enumerate(histograms.items(), start=1):
            group = hdf5.new_group(file, f"layers/{number:02d}-{name}")
            group.attrs.update(
                keys(checkpoint, number), name=name, below=found.below, above=found.above
            )
            group.create_dataset("counts", data=found.counts, chunks=True, fletcher32=True)


def histogram_table(histograms: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Return one row per checkpoint, layer and bin: its centre, count, and density.

    `density_weight` integrates to 1 over all kept weights, those outside the bins counted.
    """
    import pandas as pd

    frames = []
    for path in histograms:
        with hdf5.reading(path, ValueError, remake(path)) as file, damage():
            edges = file["edges"][()]
            for group in file["layers"].values():
                attributes = dict(group.attrs)
                counts = group["counts"][()]
                total = counts.sum() + attributes.pop("below") + attributes.pop("above")
                frames.append(
                    pd.DataFrame(
                        {
                            **attributes,
                            "weight_scaled": (edges[1:] + edges[:-1]) / 2,
                            "count": counts,
                            "density_weight": counts / (max(1, total) * np.diff(edges)),
                        }
                    )
                )
        csv_tables.check_place(path, frames[-1].head(1))
    return pd.concat(frames, ignore_index=True)

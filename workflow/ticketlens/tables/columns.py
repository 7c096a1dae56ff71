"""Tidy rows of one checkpoint: the key columns that every table begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Checkpoint, Layer

Row = dict[str, Any]
Rows = Sequence[Row] | Callable[[str], None]
"""What a measurement has for a table: rows, or a function that writes them to a path."""


def keys(checkpoint: Checkpoint, layer: int | None = None) -> Row:
    """Return the key columns of a row: of the whole network, or of layer number `layer`."""
    density = checkpoint.density if layer is None else checkpoint.layers[layer - 1].density
    row: Row = {
        "study": checkpoint.study,
        "seed": checkpoint.seed,
        "round": checkpoint.round,
        "density": density,
        "arm": checkpoint.arm,
        "state": "init" if checkpoint.kind == "ticket" else "trained",
    }
    return row if layer is None else {**row, "layer": layer}


def hidden(checkpoint: Checkpoint) -> list[tuple[int, Layer]]:
    """Return (number from 1, layer) of the hidden layers."""
    return [
        (number, layer)
        for number, layer in enumerate(checkpoint.layers, start=1)
        if layer.name != READOUT
    ]


def per_layer(
    checkpoint: Checkpoint, labels: Row, **columns: Sequence[float] | npt.NDArray[Any]
) -> list[Row]:
    """Return one row per hidden layer; shorter columns belong to the last layers."""
    rows = []
    layers = hidden(checkpoint)
    for index, (number, _) in enumerate(layers):
        row = {**keys(checkpoint, number), **labels}
        for name, values in columns.items():
            offset = index - (len(layers) - len(values))
            row[name] = float(values[offset]) if offset >= 0 else float("nan")
        rows.append(row)
    return rows


def fewer_images(asked: Mapping[str, int | None], given: Mapping[str, Any]) -> dict[str, int]:
    """Return how many images there were of each kind that are fewer than the config asks for.

    They become columns of the tables, where these have none of the name: all that a row says is
    about these images.

    >>> fewer_images({"images": 500}, {"images": [0] * 15})
    {'images': 15}
    """
    counts = {name: len(given[name]) for name in asked}
    return {name: n for name, n in counts.items() if n < (asked[name] or 0)}

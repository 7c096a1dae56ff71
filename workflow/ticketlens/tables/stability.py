"""Stability to the order of the data, as a table: the error along the line, the barrier, distances.

    python -m ticketlens.tables.stability DATASET ONE OTHER [BEFORE]

ONE and OTHER are trained.h5 of one ticket by two orders of the data (`arms.*.data_order`), BEFORE
the trained.h5 of the round before, which the ticket's mask was made of. Each may also be a network
of the bank, `resources/tickets/STUDY/trained/seedN.h5/roundNN/ARM`, whose weights are rounded.
Prints CSV.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import numpy as np

from ticketlens import checkpoint
from ticketlens.checkpoint import Checkpoint
from ticketlens.files.dataset import PreparedDataset, open_prepared, read_part
from ticketlens.measure import change, connectivity
from ticketlens.tables.columns import Row
from ticketlens.tickets import trained_bank

PARTS = ("train", "test")


def rows(
    data: PreparedDataset, one: Checkpoint, other: Checkpoint, before: Checkpoint | None = None
) -> list[Row]:
    """Return a row per part of the data and point of the line: error, barrier, distances.

    `along` is the place on the line, 0 at `one` and 1 at `other`, `error` the share of images
    classified wrong there, `barrier` the same in every row of a part; `distance` is
    ‖one − other‖/‖one‖, `distance_to_pruned` that of `one` to `before` on its mask (NaN without
    it). Fully connected networks only. Raises ValueError for files that are not two trainings of
    one ticket by two orders.
    """
    chain = [(c.study, c.seed, c.round) for c in (one, other)]
    orders = [c.spec.training.data_order for c in (one, other)]
    if chain[0] != chain[1] or orders[0] == orders[1]:
        raise ValueError(
            f"{one.study} seed {one.seed} round {one.round}, data_order {orders[0]}, beside "
            f"{other.study} seed {other.seed} round {other.round}, data_order {orders[1]}; "
            "allowed: two trainings of one ticket by two orders of the data"
        )
    masks = [layer.mask for layer in one.layers]
    pruned = connectivity.pruned_to(before.layers, masks) if before else None
    to_pruned = connectivity.distance(one.layers, pruned) if pruned else np.nan
    apart = connectivity.distance(one.layers, other.layers)
    points: list[Row] = []
    for part in PARTS:
        error = partial(_error, activation=one.spec.network.activation, data=read_part(data, part))
        errors = connectivity.errors(one.layers, other.layers, error)
        places = np.linspace(0, 1, len(errors)).round(6)
        points += [
            {
                "study": one.study, "seed": one.seed, "round": one.round, "density": one.density,
                "part": part, "order": orders[0], "other_order": orders[1], "along": float(along),
                "error": float(wrong), "barrier": connectivity.barrier(errors),
                "distance": apart, "distance_to_pruned": to_pruned,
            }
            for along, wrong in zip(places, errors, strict=True)
        ]  # fmt: skip
    return points


def _error(
    layers: Sequence[checkpoint.Layer], activation: str, data: tuple[np.ndarray, np.ndarray]
) -> float:
    return 1 - change.accuracy(layers, activation, *data)


def _network(path: str) -> Checkpoint:
    """Return a trained network of a file, or of the bank; says on stderr that it is rounded."""
    network = trained_bank.at(path) or checkpoint.read(path, kind="trained")
    if trained_bank.is_rounded(network):
        error = network.extra[trained_bank.ERROR]
        print(
            f"{path}: weights are rounded to {network.extra[trained_bank.ROUNDED]}, by at most "
            f"{error:.3g}",
            file=sys.stderr,
        )
    return network


def main(arguments: Sequence[str]) -> None:
    """Print the table of the files that the command line names."""
    import pandas as pd

    data, *files = arguments
    networks = [_network(file) for file in files]
    pd.DataFrame(rows(open_prepared(data), *networks)).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main(sys.argv[1:])

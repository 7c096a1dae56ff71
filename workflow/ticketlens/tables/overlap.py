"""Table of how much masks of the bank's chains agree: with |theta_0|, rates, seeds and rounds.

    python -m ticketlens.tables.overlap resources/tickets > mask_overlap.csv

`overlap` is the share of a mask's kept places that the other mask keeps, too; `chance` is the other
mask's density. Later rounds of a chain keep nothing that an earlier one has removed: overlap 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.graph import largest
from ticketlens.tables.columns import Row, keys
from ticketlens.tickets import bank

Mask = npt.NDArray[np.bool_]
Key = tuple[str, int, int]
"""Study, seed and round of a ticket."""

ROUNDS = (3, 7, 10, 15)
REFERENCE = "fcnet-normal"
RATES = {REFERENCE: 0.01, "fcnet-normal-rate-0-003": 0.003, "fcnet-normal-rate-0-03": 0.03}


def rows(
    tickets: Mapping[Key, Checkpoint], dense: Mapping[tuple[str, int], Checkpoint]
) -> list[Row]:
    """Return the rows of mask_overlap.csv: one per ticket, layer and other mask (`network`).

    `dense` are the chains' theta_0, by study and seed. Others are: as many of the largest |theta_0|
    of the layer; the ticket of the same seed at rate 0.01; that of the next seed; and of the same
    chain at an earlier round, and the largest |theta_0| among what that round kept.
    """
    return [
        {
            **keys(ticket, number),
            "name": layer.name,
            "network": name,
            "kept": int(layer.mask.sum()),
            "overlap": float((layer.mask & other).sum() / layer.mask.sum()),
            "chance": chance,
        }
        for key, ticket in tickets.items()
        for number, layer in enumerate(ticket.layers, start=1)
        for name, other, chance in _others(tickets, dense[key[:2]], key, number - 1)
    ]


def _others(
    tickets: Mapping[Key, Checkpoint], theta_0: Checkpoint, key: Key, layer: int
) -> Iterator[tuple[str, Mask, float]]:
    """Yield name, mask and density of what a layer's mask is compared with."""
    study, seed, number = key
    mask_of_ticket = tickets[key].layers[layer].mask
    size = np.abs(theta_0.layers[layer].weight)
    by_size = largest(size, int(mask_of_ticket.sum()))
    yield "largest theta_0", by_size, float(mask_of_ticket.mean())
    seeds = 1 + max(one for name, one, _ in tickets if name == study)
    compared = {"next seed": (study, (seed + 1) % seeds, number)}
    if study != REFERENCE:
        compared = {f"rate {RATES[REFERENCE]}": (REFERENCE, seed, number)}
    earlier = [one for name, other, one in tickets if (name, other) == (study, seed)]
    compared |= {f"round {one}": (study, seed, one) for one in earlier if one < number}
    for name, other in compared.items():
        if other in tickets:
            mask = tickets[other].layers[layer].mask
            yield name, mask, float(mask.mean())
            if name.startswith("round"):
                among = largest(np.where(mask, size, -1.0), int(mask_of_ticket.sum()))
                yield f"largest theta_0 of {name}", among, float(mask_of_ticket.sum() / mask.sum())


def main(arguments: Sequence[str]) -> None:
    """Print the table of the chains in a folder of the bank."""
    import pandas as pd

    (folder,) = arguments
    tickets, dense = {}, {}
    for study in RATES:
        for path in sorted((Path(folder) / study).glob("seed*.h5")):
            chain = bank.read_bank(path)
            dense[study, chain.seed] = bank.ticket(chain, 0)
            for number in ROUNDS:
                if number <= chain.rounds:
                    tickets[study, chain.seed, number] = bank.ticket(chain, number)
    table = pd.DataFrame(rows(tickets, dense)).drop(columns="state")
    table.to_csv(sys.stdout, index=False, float_format="%.6g")


if __name__ == "__main__":
    main(sys.argv[1:])

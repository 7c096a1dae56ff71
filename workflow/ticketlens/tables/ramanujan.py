"""Table of the Ramanujan ratio of masks of the bank's chains, and of random masks beside them.

    python -m ticketlens.tables.ramanujan resources/tickets > ramanujan.csv

A negative result: see `measure.graph.ramanujan_ratio` for the number, and the results for what it
does not say. The random mask is the first draw of N1 of the ticket.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.graph import ramanujan_ratio
from ticketlens.measure.nulls import null_networks
from ticketlens.tables.columns import Row, keys
from ticketlens.tables.overlap import REFERENCE, ROUNDS
from ticketlens.tickets import bank

RANDOM = "random-mask"


def rows(ticket: Checkpoint) -> list[Row]:
    """Return the rows of ramanujan.csv of one ticket: per hidden layer its mask's, a random one's.

    Raises ValueError for a ticket without hidden layers, as `null_networks`.
    """
    nulls = null_networks(ticket.layers, ticket.spec, ticket.seed, ticket.round, names=(RANDOM,))
    pairs = zip(ticket.layers, nulls[RANDOM], strict=True)
    return [
        {
            **keys(ticket, number),
            "name": of_ticket.name,
            "network": name,
            "ramanujan_ratio": ramanujan_ratio(layer.mask),
        }
        for number, (of_ticket, other) in enumerate(pairs, start=1)
        if of_ticket.name != "readout"
        for name, layer in (("ticket", of_ticket), (RANDOM, other))
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the table of the reference study's chains in a folder of the bank."""
    import pandas as pd

    (folder,) = arguments
    ratios: list[Row] = []
    for path in sorted((Path(folder) / REFERENCE).glob("seed*.h5")):
        chain = bank.read_bank(path)
        for number in (one for one in ROUNDS if one <= chain.rounds):
            ratios += rows(bank.ticket(chain, number))
    table = pd.DataFrame(ratios).drop(columns="state")
    table.to_csv(sys.stdout, index=False, float_format="%.6g")


if __name__ == "__main__":
    main(sys.argv[1:])

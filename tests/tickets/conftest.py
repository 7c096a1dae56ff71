"""A finished chain and its bank, for the tests of the ticket bank."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bank_tools import ROUNDS
from ticketlens.checkpoint import write
from ticketlens.tickets.bank import export
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import rewind


@pytest.fixture(scope="module", params=["fcnet", "convnet orthogonal"])
def chain(request, make_ticket, make_trained, tmp_path_factory):
    """Return the files of a finished chain as the rules make them: tickets, masks, trained."""
    conv = {"network": {"family": "convolutional", "width": 4}, "init": {"scheme": "orthogonal"}}
    ticket = theta = make_ticket(seed=5, **({} if request.param == "fcnet" else conv))
    folder = tmp_path_factory.mktemp("chain")
    tickets, masks, trained = [], [], []

    def put(files, checkpoint):
        files.append(folder / f"round{checkpoint.round:02d}-{checkpoint.kind}.h5")
        write(files[-1], checkpoint)

    put(tickets, ticket)
    for round_ in range(1, ROUNDS + 1):
        network = make_trained(ticket, seed=round_)
        put(trained, network)
        found = prune(network.layers, ticket.layers, ticket.spec.pruning, ticket.seed, round_)
        layers = tuple(
            replace(layer, weight=None, bias=None, mask=mask)
            for layer, mask in zip(ticket.layers, found, strict=True)
        )
        mask = replace(ticket, kind="mask", round=round_, layers=layers)
        put(masks, mask)
        ticket = replace(mask, kind="ticket", layers=rewind(found, theta.layers))
        put(tickets, ticket)
    put(trained, make_trained(ticket, seed=0))
    return tickets, masks, trained


@pytest.fixture(scope="module")
def packed(chain, tmp_path_factory):
    """Return the bank file of the chain. Read only."""
    tickets, masks, trained = chain
    path = tmp_path_factory.mktemp("bank") / "seed5.h5"
    export(path, tickets[0], masks, trained)
    return path

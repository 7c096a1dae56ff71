"""A theta_0 for tickets of other systems that came without one: off the mask, draws of the init.

Arms need a value for every position. Where no file has the weights off the mask, they are drawn
from the study's law of initial weights. Only arms that do not take these values are allowed then:
see `study.foreign_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_weights import rewind


def completed(ticket: Checkpoint) -> Checkpoint:
    """Return a dense round 0 whose weights on the mask are the ticket's, and the biases.

    The others are those that seed and init draw. Raises InvariantError if that did not keep the
    ticket.
    """
    drawn = initial_layers(ticket.spec, ticket.seed)
    layers = tuple(
        replace(
            layer,
            weight=np.where(layer.mask, layer.weight, other.weight),
            mask=np.ones(layer.mask.shape, bool),
        )
        for layer, other in zip(ticket.layers, drawn, strict=True)
    )
    check_rewinds_to(ticket, layers)
    return replace(ticket, round=0, layers=layers, extra={**ticket.extra, "completed": True})


def check_rewinds_to(ticket: Checkpoint, theta: Sequence[Layer]) -> None:
    """Assert that a ticket is its mask × theta, bit for bit: that its chain was rewound to theta.

    Raises InvariantError naming the first layer that is not.
    """
    again = rewind([layer.mask for layer in ticket.layers], theta)
    for layer, other in zip(ticket.layers, again, strict=True):
        wrong = np.count_nonzero(layer.weight != other.weight)
        wrong += np.count_nonzero(layer.bias != other.bias)
        if wrong:
            raise InvariantError(
                f"round {ticket.round} of {ticket.study} seed {ticket.seed}: layer {layer.name}: "
                f"{wrong} values differ from its mask × the weights of round 0; expected 0, as in "
                "a rewound ticket. Arms that take values of round 0 would take wrong ones: list "
                "other rounds in interventions, or no arms"
            )

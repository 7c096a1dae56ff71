"""Tickets that start from trained weights: learning-rate rewinding and fine-tuning.

Renda, Frankle, Carbin 2020 (arXiv:2003.02389) compare three ways to go on after pruning. Weight
rewinding is `random_weights.rewind`; here are the two that keep the trained weights. Their tickets
are no initial networks: the bank, which redraws theta_0, cannot hold them.
"""

from __future__ import annotations

from dataclasses import replace

from ticketlens.checkpoint import Checkpoint
from ticketlens.spec import Spec
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_weights import rewind

KEEPING = ("schedule", "none")
"""Values of `pruning.rewind` with which a round starts from the trained weights."""


def inherited(mask: Checkpoint, trained: Checkpoint) -> Checkpoint:
    """Return the ticket mask × trained weights, with trained biases: the round after `trained`.

    Raises InvariantError unless `trained` is the network that `mask` was pruned from, and if a
    weight or bias is not the trained one bit for bit.
    """
    wanted = (mask.study, mask.seed, mask.round - 1, "imp", "trained")
    found = (trained.study, trained.seed, trained.round, trained.arm, trained.kind)
    if found != wanted or mask.spec.pruning.rewind not in KEEPING:
        raise InvariantError(
            f"round {mask.round} of {mask.study} seed {mask.seed}, rewind "
            f"{mask.spec.pruning.rewind!r}, starts from {trained.study} seed {trained.seed} round "
            f"{trained.round} arm {trained.arm}, {trained.kind}; expected the trained network of "
            f"the same chain, arm imp, round {mask.round - 1}, and rewind {' or '.join(KEEPING)}"
        )
    layers = rewind([layer.mask for layer in mask.layers], trained.layers)
    return replace(mask, kind="ticket", spec=retraining(mask.spec), layers=layers)


def retraining(spec: Spec) -> Spec:
    """Return the spec by which the ticket trains: with rewind "none" at the schedule's last rate.

    That is without warm-up, and constant. Raises ValueError for a schedule that ends at 0.
    """
    if spec.pruning.rewind != "none":
        return spec
    if spec.training.schedule != "constant":
        raise ValueError(
            f"pruning.rewind is 'none' with training.schedule {spec.training.schedule!r}, which "
            "ends at rate 0; allowed: constant"
        )
    return spec.replace(training=replace(spec.training, warmup_epochs=0))

"""Making the ticket of an arm: mask, weights, biases, and the checks that every arm must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.seeds import stream
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.mask_sources import (
    MASKS,
    SMALL,
    MaskSource,
    check_masks,
    shuffled,
    small_theta,
)
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.random_weights import check_theta
from ticketlens.tickets.recipe import SALIENCIES, Arm, Material, properties
from ticketlens.tickets.weight_sources import WEIGHTS


def construct(name: str, material: Material, mask_source: MaskSource | None = None) -> Checkpoint:
    """Return the ticket of arm `name`; `mask_source` defaults to the arm's entry in `MASKS`.

    Random numbers depend on seed, source and round, not on the arm: arms with the same mask source
    share their masks, so that they differ in the weights alone.
    Raises ValueError for an unknown source, NotApplicable if the arm does not exist for this
    ticket, InvariantError if it breaks a claim.
    """
    arm, ticket = material.arm, material.ticket
    known = MASKS if mask_source is None else {arm.mask: mask_source}
    for key, source, registry in (("mask", arm.mask, known), ("weights", arm.weights, WEIGHTS)):
        if source not in registry:
            raise ValueError(f"arms.{name}.{key} is {source!r}; allowed: {sorted(registry)}")
    if (ticket.kind, ticket.arm) != ("ticket", "imp"):
        raise InvariantError(
            f"arm {name} starts from a {ticket.kind} of arm {ticket.arm}; expected a ticket of imp"
        )
    check_theta(ticket, material.theta)
    if arm.mask == SMALL:
        material = replace(material, theta=small_theta(ticket))

    def random(purpose: str, *of: str) -> np.random.Generator:
        return stream(ticket.seed, "arm", purpose, *of, ticket.round)

    masks = known[arm.mask](material, random("mask", arm.mask))
    check_masks(arm.mask, masks, ticket)
    if arm.shuffle:
        masks = shuffled(masks, ticket, random("shuffle", arm.mask))
        check_masks(arm.mask, masks, ticket)
    layers = WEIGHTS[arm.weights](masks, material, random("weights", arm.weights))
    layers = _with_biases(layers, material, random("biases"))
    check_arm(name, layers, masks, material)
    # A negative weight times a mask's 0, or a rotation of zeros, is −0.0, which files do not hold.
    zero = np.float32(0)
    layers = tuple(replace(one, weight=np.where(one.mask, one.weight, zero)) for one in layers)
    # theta's spec has another width for dense-small, and says nothing of how its round was pruned.
    spec = arm.trains_as(material.theta.spec.replace(pruning=ticket.spec.pruning))
    return replace(ticket, arm=name, spec=spec, layers=layers, extra=arm.attributes())


def check_arm(
    name: str, layers: Sequence[Layer], masks: Sequence[np.ndarray], material: Material
) -> None:
    """Assert what holds for every arm.

    The weights sit on the masks, biases are theta's or are not, as the arm says, and the arm is not
    the IMP ticket by another name. Raises InvariantError naming the layer.
    """
    for layer, mask, theta in zip(layers, masks, material.theta.layers, strict=True):
        is_same = np.array_equal(layer.mask, mask)
        if not is_same or layer.weight[~mask].any():
            raise InvariantError(
                f"arm {name}: layer {layer.name}: {np.count_nonzero(layer.weight[~mask])} weights "
                f"off the arm's mask; expected 0 (its mask {'is' if is_same else 'is not'} the "
                "ticket's)"
            )
        kept = layer.bias.tobytes() == theta.bias.tobytes()
        if kept != (material.arm.biases == "kept"):
            raise InvariantError(
                f"arm {name}: layer {layer.name}: biases {'equal' if kept else 'differ from'} "
                f"theta's; expected {'others' if kept else 'the same bits'}, by the arm's biases: "
                f"{material.arm.biases}"
            )
    pairs = zip(layers, material.ticket.layers, strict=True)
    if all(one.weight.tobytes() == other.weight.tobytes() for one, other in pairs) and (
        material.arm.biases == "kept" and material.arm.data_order is None
    ):
        raise InvariantError(
            f"arm {name} is the IMP ticket itself; expected another mask or weights"
        )


def _with_biases(
    layers: Sequence[Layer], material: Material, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Give the layers theta's biases, or those of another seed."""
    biases = [layer.bias for layer in material.theta.layers]
    if material.arm.biases == "drawn":
        spec = material.theta.spec
        if spec.init.sigma_b == 0:
            raise NotApplicable("biases: drawn does not apply: sigma_b is 0, all biases are 0")
        biases = [layer.bias for layer in initial_layers(spec, int(rng.integers(2**32, 2**63)))]
    return tuple(replace(layer, bias=bias) for layer, bias in zip(layers, biases, strict=True))


def needs(arm: Arm) -> tuple[str, ...]:
    """Return the names of the files that an arm is made from."""
    if arm.mask in SALIENCIES:
        of_mask = SALIENCIES[arm.mask]
    else:
        of_mask = properties(MASKS[arm.mask]).needs if arm.mask in MASKS else ()
    of_weights = properties(WEIGHTS[arm.weights]).needs if arm.weights in WEIGHTS else ()
    return ("ticket", "theta", *of_mask, *of_weights)

"""Masks of arms: where the weights of a rival ticket sit.

A mask source is one function (material, rng) -> masks with an entry in `MASKS`. Every mask has the
number of weights of the IMP ticket: per layer if the entry says `keeps="layer"`, else over all
hidden layers, the readout apart, as it is pruned at its own rate. `check_masks` asserts that, and
that the mask is not the IMP ticket's own. `dense-small` alone is of another shape: full masks of a
narrower network, `small_theta`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from ticketlens.architecture import READOUT, layer_shapes, of_weight_count
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import Spec
from ticketlens.tickets import random_masks
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import InvariantError, remove_lowest
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Material, Source, properties
from ticketlens.tickets.spectral_weights import exact_orthogonal_masks

Masks = tuple[np.ndarray, ...]
SMALL = "dense-small"
MaskSource = Callable[[Material, np.random.Generator], Masks]


def imp(material: Material, rng: np.random.Generator) -> Masks:
    """The IMP ticket's own mask."""
    return tuple(layer.mask for layer in material.ticket.layers)


def imp_other_seed(material: Material, rng: np.random.Generator) -> Masks:
    """The mask of a donor: the IMP ticket of the same round of a seed outside the study.

    Raises InvariantError if the donor is of another study, spec or round, or of the same seed.
    """
    ticket, donor = material.ticket, material.donor
    same = (donor.study, donor.spec.of_round(donor.round), donor.round, donor.arm, donor.kind)
    spec = ticket.spec.of_round(ticket.round)
    if same != (ticket.study, spec, ticket.round, "imp", "ticket"):
        raise InvariantError(
            f"the donor is {donor.study} seed {donor.seed} round {donor.round} arm {donor.arm}, "
            f"{donor.kind}; expected another seed's IMP ticket of {ticket.study} round "
            f"{ticket.round}, made by the same spec"
        )
    if donor.seed == ticket.seed:
        raise InvariantError(
            f"the donor has the ticket's own seed, {ticket.seed}; expected another"
        )
    return tuple(layer.mask for layer in donor.layers)


def shuffle_layer(material: Material, rng: np.random.Generator) -> Masks:
    """Random, with the IMP ticket's density per layer."""
    return random_masks.shuffle_layer(material.ticket.layers, rng)


def shuffle_in_degree(material: Material, rng: np.random.Generator) -> Masks:
    """Random, with the IMP ticket's in-degree per neuron."""
    return random_masks.shuffle_in_degree(material.ticket.layers, rng)


def rewire(material: Material, rng: np.random.Generator) -> Masks:
    """Random, with the IMP ticket's in- and out-degrees."""
    return random_masks.rewire(material.ticket.layers, rng)


def uniform(material: Material, rng: np.random.Generator) -> Masks:
    """Random, one density for all hidden layers."""
    return random_masks.uniform(material.ticket.layers, rng)


def erk(material: Material, rng: np.random.Generator) -> Masks:
    """Random, with Erdős–Rényi-kernel densities (Evci et al. 2019, arXiv:1911.11134).

    The density of a hidden layer is in proportion to the sum of its sides over their product.
    """
    layers = material.ticket.layers
    counts = dict(zip(_names(layers), erk_counts(layers), strict=True))
    counts |= {layer.name: _kept(layer.mask) for layer in layers if layer.name == READOUT}
    return tuple(
        rng.permutation(np.arange(layer.mask.size) < counts[layer.name]).reshape(layer.mask.shape)
        for layer in layers
    )


def one_shot(material: Material, rng: np.random.Generator) -> Masks:
    """The largest magnitudes of the trained dense network: pruned at once, not round by round.

    Per layer as many as in the IMP ticket. Raises InvariantError if the dense network is of another
    chain than the ticket.
    """
    dense, ticket = material.dense, material.ticket
    same = (dense.kind, dense.study, dense.seed, dense.round, dense.spec.of_round(0))
    if same != ("trained", ticket.study, ticket.seed, 0, ticket.spec.of_round(0)):
        raise InvariantError(
            f"one-shot pruning starts from {dense.study} seed {dense.seed} round {dense.round}, "
            f"kind {dense.kind}; expected {ticket.study} seed {ticket.seed} round 0, trained, made "
            "by the same spec"
        )
    return highest_per_layer([np.abs(layer.weight) for layer in dense.layers], ticket.layers)


def magnitude_at_init(material: Material, rng: np.random.Generator) -> Masks:
    """The largest magnitudes of theta, per layer as many as in the IMP ticket."""
    scores = [np.abs(layer.weight) for layer in material.theta.layers]
    return highest_per_layer(scores, material.ticket.layers)


def dense_small(material: Material, rng: np.random.Generator) -> Masks:
    """All weights of a dense network that is as much narrower: see `small_theta`."""
    shapes = layer_shapes(_small_spec(material.ticket))
    return tuple(np.ones(layer.shape, bool) for layer in shapes)


def small_theta(ticket: Checkpoint) -> Checkpoint:
    """Return theta_0 of the dense network whose number of weights is nearest to the ticket's.

    It differs from the ticket's own network in width alone, and has its study's scheme and seed.
    Raises NotApplicable for a ticket that rewinds to theta_k: the small network has none.
    """
    if ticket.spec.pruning.rewind_epoch:
        raise NotApplicable("dense-small: the small network has no theta_k to rewind to")
    spec = _small_spec(ticket)
    return replace(ticket, round=0, spec=spec, layers=initial_layers(spec, ticket.seed), extra={})


def _small_spec(ticket: Checkpoint) -> Spec:
    return of_weight_count(ticket.spec, sum(_kept(layer.mask) for layer in ticket.layers))


MASKS: dict[str, MaskSource] = {
    "imp": Source(imp, keeps="layer"),
    "imp-other-seed": Source(imp_other_seed, needs=("donor",), keeps="scope"),
    "shuffle-layer": Source(shuffle_layer, keeps="layer"),
    "shuffle-in-degree": Source(shuffle_in_degree, keeps="layer"),
    "rewire": Source(rewire, keeps="layer"),
    "uniform": Source(uniform),
    "erk": Source(erk, options=("shuffle",)),
    "one-shot": Source(one_shot, needs=("dense",), options=("shuffle",), keeps="layer"),
    "magnitude-at-init": Source(magnitude_at_init, options=("shuffle",), keeps="layer"),
    "exact-orthogonal": Source(exact_orthogonal_masks, keeps="layer"),
    "dense-small": Source(dense_small),
}


def keeps_layers(source: str, scope: str) -> bool:
    """Whether a mask source keeps the number of weights of every layer under a pruning scope."""
    keeps = properties(MASKS[source]).keeps if source in MASKS else "total"
    return keeps == "layer" or (keeps == "scope" and scope == "layer")


def check_masks(source: str, masks: Sequence[np.ndarray], ticket: Checkpoint) -> None:
    """Assert that masks have the IMP ticket's counts, and that all but `imp` differ from its own.

    Raises InvariantError naming the layer, and NotApplicable where the source cannot but give the
    IMP ticket's mask.
    """
    if source == SMALL:
        _check_small(masks, ticket)
        return
    own = [layer.mask for layer in ticket.layers]
    for mask, layer in zip(masks, ticket.layers, strict=True):
        if mask.shape != layer.mask.shape or mask.dtype != bool:
            raise InvariantError(
                f"{source}: layer {layer.name}: mask of {mask.dtype} {mask.shape}; expected bool "
                f"{layer.mask.shape}"
            )
    if keeps_layers(source, ticket.spec.pruning.scope):
        groups = [[name] for name in _names(ticket.layers)]
    else:
        hidden = [name for name in _names(ticket.layers) if name != READOUT]
        groups = [hidden, [READOUT]]
    found = dict(zip(_names(ticket.layers), map(_kept, masks), strict=True))
    wanted = dict(zip(_names(ticket.layers), map(_kept, own), strict=True))
    for group in groups:
        counts = [sum(table.get(name, 0) for name in group) for table in (found, wanted)]
        if counts[0] != counts[1]:
            raise InvariantError(
                f"{source}: layer {', '.join(group)}: {counts[0]} weights; expected the IMP "
                f"ticket's {counts[1]}"
            )
    same = all(map(np.array_equal, masks, own))
    if source == "imp" and not same:
        raise InvariantError("imp: the mask is not the IMP ticket's; expected the same")
    if source != "imp" and same:
        raise NotApplicable(f"{source} gives the IMP ticket's own mask at round {ticket.round}")


def _check_small(masks: Sequence[np.ndarray], ticket: Checkpoint) -> None:
    """Assert that masks are full and of the width that comes nearest to the ticket's count."""
    shapes = [layer.shape for layer in layer_shapes(_small_spec(ticket))]
    if [mask.shape for mask in masks] != shapes or not all(mask.all() for mask in masks):
        count = sum(_kept(layer.mask) for layer in ticket.layers)
        raise InvariantError(
            f"{SMALL}: masks of {[mask.shape for mask in masks]} keep {sum(map(_kept, masks))} "
            f"weights; expected full ones of {shapes}, the dense network nearest to {count} weights"
        )


def shuffled(masks: Sequence[np.ndarray], ticket: Checkpoint, rng: np.random.Generator) -> Masks:
    """A mask source's own masks, in random order within each layer: its layer counts alone.

    Raises InvariantError unless the counts stay and the masks change, NotApplicable if no layer can
    change.
    """
    layers = [replace(layer, mask=m) for layer, m in zip(ticket.layers, masks, strict=True)]
    return random_masks.shuffle_layer(layers, rng)


# --- ranking and allocation ----------------------------------------------------------------------


def highest_per_layer(scores: Sequence[np.ndarray], layers: Sequence[Layer]) -> Masks:
    """Keep each layer's highest scores, as many as `layers` keep; ties go by flat index."""
    return tuple(
        remove_lowest(score, np.ones(score.shape, bool), score.size - _kept(layer.mask))
        for score, layer in zip(scores, layers, strict=True)
    )


def highest_pooled(
    scores: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    names: Sequence[str],
    kept: tuple[int, int],
) -> Masks:
    """Keep the highest scores within `masks`: kept[0] of all hidden layers, kept[1] of the readout.

    Ties go by layer and flat index.
    """
    result = list(masks)
    hidden = [i for i, name in enumerate(names) if name != READOUT]
    readout = [i for i, name in enumerate(names) if name == READOUT]
    for group, count in ((hidden, kept[0]), (readout, kept[1])):
        if not group:
            continue
        pooled = np.concatenate([masks[i].ravel() for i in group])
        ranks = np.concatenate([scores[i].ravel() for i in group])
        left = remove_lowest(ranks, pooled, int(np.count_nonzero(pooled)) - count)
        for i, part in zip(
            group, np.split(left, np.cumsum([masks[i].size for i in group])[:-1]), strict=True
        ):
            result[i] = part.reshape(masks[i].shape)
    return tuple(result)


def pooled_counts(layers: Sequence[Layer]) -> tuple[int, int]:
    """Return the number of kept weights of all hidden layers, and of the readout."""
    readout = sum(_kept(layer.mask) for layer in layers if layer.name == READOUT)
    return sum(_kept(layer.mask) for layer in layers) - readout, readout


def erk_counts(layers: Sequence[Layer]) -> list[int]:
    """Return the number of weights per layer, 0 for the readout, by the Erdős–Rényi-kernel rule.

    A layer whose density would exceed 1 is full, and the others share the rest. What rounding
    leaves goes to the layers that lack most.
    """
    hidden = np.array([layer.name != READOUT for layer in layers])
    sizes = np.array(
        [layer.mask.size if own else 0 for layer, own in zip(layers, hidden, strict=True)]
    )
    sides = np.array([sum(layer.mask.shape) for layer in layers])
    total = pooled_counts(layers)[0]
    full = np.zeros(len(layers), bool)
    ideal = np.zeros(len(layers))
    for _ in layers:
        free = hidden & ~full
        if free.any():
            ideal[free] = sides[free] * ((total - sizes[full].sum()) / sides[free].sum())
        ideal[full] = sizes[full]
        beyond = free & (ideal > sizes)
        if not beyond.any():
            break
        full |= beyond
    counts = np.floor(ideal).astype(int)
    most_missing = np.argsort(np.where(hidden & ~full, counts - ideal, 1.0), kind="stable")
    counts[most_missing[: total - counts.sum()]] += 1
    return cast(list[int], counts.tolist())


def _names(layers: Sequence[Layer]) -> list[str]:
    return [layer.name for layer in layers]


def _kept(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))

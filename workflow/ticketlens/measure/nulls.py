"""Nulls: networks that keep a stated part of a ticket, and draw the rest anew.

They tell which property of the ticket its Jacobian needs. All keep the biases; `NULLS` says what
each one keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from ticketlens.checkpoint import Layer
from ticketlens.measure.jacobian import PROBES, Isometry, isometry
from ticketlens.seeds import stream
from ticketlens.spec import Spec
from ticketlens.tickets import random_masks, random_weights
from ticketlens.tickets.random_masks import NotApplicable

Redraw = Callable[
    [Sequence[np.ndarray], Sequence[Layer], Spec, np.random.Generator], tuple[Layer, ...]
]
Null = Callable[[Sequence[Layer], Spec, np.random.Generator], tuple[Layer, ...]]


def random_mask(layers: Sequence[Layer], spec: Spec, rng: np.random.Generator) -> tuple[Layer, ...]:
    """N1: a random mask of the same density per layer, with the layer's own values on it."""
    return random_weights.shuffled_values(
        random_masks.shuffle_layer(layers, rng), layers, spec, rng
    )


def rewired(layers: Sequence[Layer], spec: Spec, rng: np.random.Generator) -> tuple[Layer, ...]:
    """N2: a random mask of the same in- and out-degrees, with the layer's own values on it."""
    return random_weights.shuffled_values(random_masks.rewire(layers, rng), layers, spec, rng)


def _on_own_mask(source: Redraw) -> Null:
    def null(layers: Sequence[Layer], spec: Spec, rng: np.random.Generator) -> tuple[Layer, ...]:
        return source([layer.mask for layer in layers], layers, spec, rng)

    return null


NULLS: dict[str, Null] = {
    "random-mask": random_mask,
    "rewired": rewired,
    "shuffled-values": _on_own_mask(random_weights.shuffled_values),
    "sign-redrawn": _on_own_mask(random_weights.signs_redrawn),
    "fresh-matched": _on_own_mask(random_weights.gaussian_matched),
    "fresh": _on_own_mask(random_weights.fresh),
}
"""N1 to N6. N1 to N3 keep each layer's values, on masks that share ever more with the ticket's: its
density, its degrees, all. N4 keeps mask and magnitudes, N5 mask and E w², N6 the mask alone, with
new weights of the study's own scheme. All keep the biases."""


def null_networks(
    layers: Sequence[Layer],
    spec: Spec,
    seed: int,
    round_: int,
    draw: int = 0,
    names: Iterable[str] = tuple(NULLS),
) -> dict[str, tuple[Layer, ...]]:
    """Return one network of each null, of the stream (seed, "null", round, name, draw).

    No entry for a null that is not applicable. Raises ValueError for an unknown name.
    """
    networks = {}
    for name in names:
        if name not in NULLS:
            raise ValueError(f"null is {name!r}; allowed: {list(NULLS)}")
        with suppress(NotApplicable):
            networks[name] = NULLS[name](layers, spec, stream(seed, "null", round_, name, draw))
    return networks


def isometry_of_nulls(
    layers: Sequence[Layer],
    spec: Spec,
    images: np.ndarray,
    seed: int,
    round_: int,
    draws: int = 1,
    names: Iterable[str] = tuple(NULLS),
    probes: int | None = PROBES,
    first: Mapping[str, Sequence[Layer]] | None = None,
) -> dict[str, tuple[Isometry, ...]]:
    """Measure the isometry of `draws` networks of each null (see `null_networks`).

    `first` has the networks of draw 0, where they are drawn already.
    The random vectors of the estimate use the stream (seed, "null-probes", round), the same for
    all: give it to `isometry` of the ticket too, and comparisons are paired. Raises ValueError for
    an unknown name.
    """
    found: dict[str, tuple[Isometry, ...]] = {}
    for draw in range(draws):
        networks = (
            null_networks(layers, spec, seed, round_, draw, names)
            if draw or first is None
            else first
        )
        for name, null in networks.items():
            rng = stream(seed, "null-probes", round_)
            measured = isometry(null, spec.network.activation, images, rng, probes)
            found[name] = (*found.get(name, ()), measured)
    return found

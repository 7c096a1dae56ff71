"""Materials that arms are made from: chains on chance's masks, and the tickets made from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets.construction import construct
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.random_weights import rewind
from ticketlens.tickets.recipe import Arm, Material

DENSE = Spec(
    network=NetworkSpec(hidden_layers=3, width=16), dataset=DatasetSpec(shape=(4, 4, 2), classes=5)
)
CONV = DENSE.replace(network=NetworkSpec(family="convolutional", hidden_layers=2, width=6))
DELTA = CONV.replace(init=InitSpec(scheme="orthogonal"))
SPECS = {"fully-connected": DENSE, "convolutional": CONV}
ROUND = 3


def chain(spec: Spec, seed: int, round_: int = ROUND, density: float = 0.5) -> Checkpoint:
    """A ticket at a round, on a mask that chance made."""
    theta = initial_layers(spec, seed)
    rng = np.random.default_rng(seed + 100 * round_)
    masks = [rng.random(layer.mask.shape) < density for layer in theta]
    for mask in masks:  # the same counts in every chain, as pruning by layer leaves them
        order = rng.permutation(mask.size)
        mask.ravel()[:] = False
        mask.ravel()[order[: int(density * mask.size)]] = True
    return Checkpoint("ticket", "tiny", seed, round_, "imp", spec, rewind(masks, theta))


def trained(ticket: Checkpoint) -> Checkpoint:
    """A network of another, wider law on the same masks, biases moved."""
    rng = np.random.default_rng(7)
    layers = tuple(
        replace(
            layer,
            weight=np.where(
                layer.mask, layer.weight + rng.normal(0, 0.5, layer.weight.shape), 0
            ).astype(np.float32),
            bias=layer.bias + np.float32(1),
        )
        for layer in ticket.layers
    )
    return replace(ticket, kind="trained", layers=layers)


def material(spec: Spec = DENSE, seed: int = 0, **options) -> Material:
    """All that any source draws on, for the arm of these options."""
    arm = Arm(**{"mask": "imp", "weights": "fresh", **options})
    round_ = ROUND if arm.source_round is None else arm.source_round
    source = chain(spec, seed, round_)
    return Material(
        arm=arm,
        ticket=chain(spec, seed),
        theta=dense(spec, seed),
        donor=chain(spec, seed + 1000),
        dense=trained(dense(spec, seed)),
        survivors=source if arm.source_state == "init" else trained(source),
    )


def dense(spec: Spec, seed: int) -> Checkpoint:
    return Checkpoint("ticket", "tiny", seed, 0, "imp", spec, initial_layers(spec, seed))


def made(spec: Spec = DENSE, seed: int = 0, **options) -> Checkpoint:
    return construct("arm", material(spec, seed, **options))


def counts(ticket: Checkpoint) -> list[int]:
    return [int(np.count_nonzero(layer.mask)) for layer in ticket.layers]


def kept(layer: Layer) -> np.ndarray:
    return layer.weight[layer.mask]


def recipe(mask: str, weights: str) -> dict:
    return {"mask": mask, "weights": weights} | ({"sigma_w": 2.24} if weights == "scaled" else {})


def in_degrees(layer: Layer) -> np.ndarray:
    degrees = np.count_nonzero(layer.mask.reshape(len(layer.mask), -1), axis=1)
    return degrees.reshape(-1, *[1] * (layer.mask.ndim - 1))

"""Masks from saliency at initialisation: SNIP, GraSP, SynFlow.

Each score is one function (theta, masks, images, labels) -> scores with an entry in `SCORES`; the
higher, the more a weight matters. Hidden layers are ranked together, as in the papers; the readout
apart, as it is pruned at its own rate. Scores are in float64, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import Network, build
from ticketlens.tickets.mask_sources import MaskSource, highest_pooled, pooled_counts
from ticketlens.tickets.recipe import Material

Score = Callable[..., list[np.ndarray]]
"""(theta, masks, images, labels) -> scores by layer; images and labels are None without data."""

CHUNK = 16
"""Images whose graph is in memory at a time."""

TEMPERATURE = 200.0
"""Logits are divided by it before GraSP's loss, as in the authors' code."""


@dataclass(frozen=True)
class Saliency:
    """A score and its rounds of scoring; density falls as a geometric sequence.

    (Tanaka et al. 2020, algorithm 1.)
    """

    score: Score
    steps: int = 1

    def __call__(self, *arguments: Any) -> list[np.ndarray]:
        """Return the scores of (theta, masks, images, labels)."""
        return self.score(*arguments)


def snip(
    theta: Checkpoint, masks: Sequence[np.ndarray], images: np.ndarray, labels: np.ndarray
) -> list[np.ndarray]:
    """|w ∂L/∂w|: the change of the loss if the weight goes (Lee et al. 2019, arXiv:1810.02340)."""
    model, weights = _network(theta, masks)
    gradient = [torch.zeros_like(weight) for weight in weights]
    for loss in _losses(model, images, labels):
        for total, part in zip(gradient, torch.autograd.grad(loss, weights), strict=True):
            total += part
    return [_array((w * g).abs()) for w, g in zip(weights, gradient, strict=True)]


def grasp(
    theta: Checkpoint, masks: Sequence[np.ndarray], images: np.ndarray, labels: np.ndarray
) -> list[np.ndarray]:
    """w (H g): what keeps ‖g‖² up (Wang et al. 2020, arXiv:2002.07376).

    To first order the removal of w changes ‖g‖² by −2 w (H g); the weights whose removal raises it
    most, those of lowest score, go first. H g takes the gradients of all weights.
    """
    model, weights = _network(theta, masks)
    gradient = [torch.zeros_like(weight) for weight in weights]
    for loss in _losses(model, images, labels, TEMPERATURE):
        for total, part in zip(gradient, torch.autograd.grad(loss, weights), strict=True):
            total += part
    product = [torch.zeros_like(weight) for weight in weights]
    for loss in _losses(model, images, labels, TEMPERATURE):
        own = torch.autograd.grad(loss, weights, create_graph=True)
        inner = sum((one * other).sum() for one, other in zip(own, gradient, strict=True))
        for total, part in zip(
            product, torch.autograd.grad(cast(Tensor, inner), weights), strict=True
        ):
            total += part
    return [_array(w * p) for w, p in zip(weights, product, strict=True)]


def synflow(
    theta: Checkpoint, masks: Sequence[np.ndarray], images: object = None, labels: object = None
) -> list[np.ndarray]:
    """|w| ∂R/∂|w| with R = 1ᵀ Π|W_l| 1 (Tanaka et al. 2020, arXiv:2006.05467): no data.

    The network is linear, its weights their magnitudes, its biases 0, its input all ones; paths
    over the skips of a residual network count.
    """
    linear = theta.spec.replace(network=replace(theta.spec.network, activation="linear"))
    layers = tuple(
        replace(layer, weight=np.abs(layer.weight), bias=np.zeros_like(layer.bias))
        for layer in theta.layers
    )
    model, weights = _network(replace(theta, spec=linear, layers=layers), masks)
    height, width, channels = theta.spec.dataset.shape
    flow = model(torch.ones(1, channels, height, width, dtype=torch.float64)).sum()
    return [_array(w * g) for w, g in zip(weights, torch.autograd.grad(flow, weights), strict=True)]


SCORES: dict[str, Saliency] = {
    "snip": Saliency(snip),
    "grasp": Saliency(grasp),
    "synflow": Saliency(synflow, steps=100),
}


def mask_source(
    name: str, images: np.ndarray | None = None, labels: np.ndarray | None = None
) -> MaskSource:
    """Return the saliency `name` as a mask source.

    `images` are (n, channels, height, width), `labels` (n,). Raises ValueError if it is unknown.
    """
    if name not in SCORES:
        raise ValueError(f"saliency is {name!r}; allowed: {sorted(SCORES)}")

    def source(material: Material, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        torch.set_num_threads(material.theta.spec.training.threads)
        kept = pooled_counts(material.ticket.layers)
        own = SCORES[name]
        return select(material.theta, kept, own, own.steps, images, labels)

    return source


def select(
    theta: Checkpoint,
    kept: tuple[int, int],
    score: Score,
    steps: int,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> tuple[np.ndarray, ...]:
    """Keep the weights of highest score, (hidden, readout) of them as in `kept`, in `steps` steps.

    After step s of n each part has density (its last density)^(s/n).
    """
    names = [layer.name for layer in theta.layers]
    masks = tuple(layer.mask for layer in theta.layers)
    full = pooled_counts(theta.layers)
    for step in range(1, steps + 1):
        counts = tuple(
            round(size * (count / size) ** (step / steps)) if size else 0
            for size, count in zip(full, kept, strict=True)
        )
        masks = highest_pooled(
            score(theta, masks, images, labels), masks, names, cast(tuple[int, int], counts)
        )
    return masks


def _network(theta: Checkpoint, masks: Sequence[np.ndarray]) -> tuple[Network, list[Tensor]]:
    """Return the masked network in float64, and its weights."""
    layers = tuple(
        replace(layer, weight=np.where(mask, layer.weight, np.float32(0)), mask=mask)
        for layer, mask in zip(theta.layers, masks, strict=True)
    )
    model = build(replace(theta, layers=layers), masked=False).double()
    return model, [cast(Tensor, layer.weight) for layer in model.layers]


def _losses(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> Iterator[Tensor]:
    """Yield the shares of chunks of images in the mean cross-entropy."""
    pixels = torch.from_numpy(images).double()
    targets = torch.from_numpy(labels)
    for x, y in zip(pixels.split(CHUNK), targets.split(CHUNK), strict=True):
        logits = model(x) / temperature
        yield nn.functional.cross_entropy(logits, y, reduction="sum") / len(targets)


def _array(scores: Tensor) -> np.ndarray:
    return scores.detach().numpy()

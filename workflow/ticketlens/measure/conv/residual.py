"""Measured signal propagation of residual convolutional networks, with torch.

The quantities of `residual`; as in `signal_conv`, neurons are channels at all pixels together. A
block's Jacobian is too large to form: its Frobenius norm is estimated from random vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import residual, signal
from ticketlens.networks import ResidualConvolutional, build
from ticketlens.spec import Spec
from ticketlens.theory.activations import get

BATCH = 8  # images or vectors in memory at once
JACOBIAN_IMAGES = 4
PROBES = 16


def network(layers: Sequence[Layer], spec: Spec) -> ResidualConvolutional:
    """Return the network in float64. Raises ValueError for another family."""
    signal.hidden(layers)
    model = build(Checkpoint("ticket", "", 0, 0, "", spec, tuple(layers)), masked=False)
    if not isinstance(model, ResidualConvolutional):
        raise ValueError(
            f"network family is {spec.network.family!r}; allowed here: 'resnet-conv' "
            "(ticketlens.measure.residual measures 'resnet-fc', ticketlens.measure.signal and "
            "ticketlens.measure.conv.signal chains)"
        )
    return model.double().requires_grad_(False)


def measure(
    layers: Sequence[Layer],
    spec: Spec,
    images: np.ndarray,
    rng: np.random.Generator,
    probe_rng: np.random.Generator,
    jacobian_images: int = JACOBIAN_IMAGES,
    probes: int = PROBES,
    eps: float = signal.EPS,
) -> residual.ResidualSignal:
    """Measure q, c and chi on `images` (n, channels, height, width), n >= 2, in float64.

    `rng` draws the perturbations, `probe_rng` the vectors: chi is estimated on the first
    `jacobian_images` with `probes` of them each. Raises ValueError for another family and for
    fewer than two images.
    """
    model = network(layers, spec)
    moved = signal.perturbed(images, eps, rng)
    parts = []
    signal.disjoint_pairs(len(images))
    for i in range(0, len(images), BATCH):  # an even number, so that pairs stay together
        h, others = (_flat(_preactivations(model, x[i : i + BATCH])) for x in (images, moved))
        parts.append(residual.assembled(h, others, np.empty(0), eps))
    names = ("q", "branch", "pair_distance", "perturbation_distance")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    chi = block_chi(model, spec, images[:jacobian_images], probe_rng, probes)
    return residual.ResidualSignal(**joined, chi=chi, eps=eps)


def block_chi(
    model: ResidualConvolutional,
    spec: Spec,
    images: np.ndarray,
    rng: np.random.Generator,
    probes: int = PROBES,
) -> np.ndarray:
    """Estimate ‖dh'/dh‖_F²/N of each block per image, N = channels × pixels: (images, blocks).

    The mean of ‖J v‖² over `probes` vectors v of random signs is unbiased (Hutchinson 1990).
    """
    slope, columns = get(spec.network.activation).derivative, []
    for image in images:
        h = [x.numpy() for x in _preactivations(model, image[None])]
        d0, d1 = ([torch.from_numpy(slope(x)) for x in part] for part in (h[:-1:2], h[1::2]))
        row = []
        for (inner, outer), before, inside in zip(
            residual.blocks(cast(Sequence[torch.nn.Conv2d], model.layers[:-1])), d0, d1, strict=True
        ):
            total = 0.0
            for i in range(0, probes, BATCH):
                shape = (min(BATCH, probes - i), *before.shape[1:])
                v = torch.from_numpy(2.0 * rng.integers(0, 2, shape, dtype=np.int8) - 1.0)
                pushed = v + _linear(outer, inside * _linear(inner, before * v))
                total += float((pushed**2).sum())
            row.append(total / (probes * before.numel()))
        columns.append(row)
    return np.array(columns)


def _preactivations(model: ResidualConvolutional, images: np.ndarray) -> list[Tensor]:
    return model.preactivations(torch.from_numpy(np.ascontiguousarray(images, dtype=np.float64)))


def _linear(layer: torch.nn.Conv2d, x: Tensor) -> Tensor:
    """Apply the layer without its bias."""
    return cast(Tensor, layer(x) - cast(Tensor, layer.bias)[:, None, None])


def _flat(h: Sequence[Tensor]) -> list[np.ndarray]:
    return [x.flatten(1).numpy() for x in h]

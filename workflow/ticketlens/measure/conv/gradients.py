"""Gradients of the logits and of the loss at every layer, by torch's autograd: any family.

The quantities are those of `measure.gradients`; a layer's neurons are its channels at all pixels.
There are few logits, so that one product per logit gives dlogits/dh^l exactly: no random vectors,
and dlogits/dx is small enough for its whole spectrum. At a residual network's trunk the gradient is
that of the trunk, skips included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.gradients import Floats, Gradients, check_labels, one_readout
from ticketlens.networks import Network, build
from ticketlens.spec import Spec

BATCH = 8  # images in memory at once


def backward(
    layers: Sequence[Layer],
    spec: Spec,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
) -> Gradients:
    """Measure the gradients at `images` (n, channels, height, width), labels (n,), in float64.

    Raises ValueError as `measure.gradients.backward`.
    """
    check_labels(labels, len(images), len(one_readout(layers).mask))
    model = _network(layers, spec)
    logits, loss = [], []
    for i in range(0, len(images), BATCH):
        points, outputs = _forward(model, images[i : i + BATCH])
        squares = [_squares(torch.autograd.grad(outputs[:, c].sum(), points, retain_graph=True))
                   for c in range(outputs.shape[1])]  # fmt: skip
        logits.append(np.mean(squares, axis=0))
        target = torch.from_numpy(np.asarray(labels[i : i + BATCH]))
        cross_entropy = nn.functional.cross_entropy(outputs, target, reduction="sum")
        loss.append(_squares(torch.autograd.grad(cross_entropy, points)))
    return Gradients(np.concatenate(logits), np.concatenate(loss))


def logit_singular_values(
    layers: Sequence[Layer], spec: Spec, images: npt.NDArray[np.floating]
) -> Floats:
    """Return the singular values of dlogits/dx per image, descending: (samples, classes)."""
    points, outputs = _forward(_network(layers, spec), images)
    rows = [
        torch.autograd.grad(outputs[:, c].sum(), points[0], retain_graph=True)[0].flatten(1)
        for c in range(outputs.shape[1])
    ]
    found: Floats = np.linalg.svd(torch.stack(rows, dim=1).numpy(), compute_uv=False)
    return found


def _network(layers: Sequence[Layer], spec: Spec) -> Network:
    one_readout(layers)
    model = build(Checkpoint("ticket", "", 0, 0, "", spec, tuple(layers)))
    return model.to(torch.float64).requires_grad_(False)


def _forward(model: Network, images: npt.NDArray[np.floating]) -> tuple[list[Tensor], Tensor]:
    """Return the pixels and h of every hidden layer, in one graph with the logits."""
    x = torch.from_numpy(np.asarray(images, dtype=np.float64)).requires_grad_(True)
    h = model.preactivations(x)
    last = model.activation(h[-1])
    return [x, *h], model.layers[-1](last.mean(dim=(2, 3)) if last.ndim == 4 else last)


def _squares(gradients: Sequence[Tensor]) -> Floats:
    """Return the squared norms per image and layer: (samples, layers)."""
    return torch.stack([(g**2).flatten(1).sum(1) for g in gradients], dim=1).numpy()

"""Backward signal: gradients of the logits and of the loss at every layer of a real ticket.

Gradients of training enter through the readout, so the hypothesis "tickets back-propagate" is about
dlogits/dh^l and dloss/dh^l. The hidden Jacobian dh^L/dh^1 (`jacobian`) weighs all output directions
alike, and says something else. Everything runs in float64 on fully connected layers;
`measure.conv.gradients` has convolutions and skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer
from ticketlens.measure import signal
from ticketlens.theory.activations import get

Floats = npt.NDArray[np.float64]
CHUNK = 128  # images whose Jacobians are in memory at once


@dataclass(frozen=True, eq=False)
class Gradients:
    """Squared gradients per image at layers 0 (the pixels), 1 … L.

    logits: (n, L + 1) ‖dlogits/dh^l‖_F²/(number of logits).
    loss: (n, L + 1) ‖dloss/dh^l‖², cross-entropy at the true labels.
    """

    logits: Floats
    loss: Floats

    @property
    def log_logits(self) -> Floats:
        """Return ln G_l of the logits, G_l the mean over images: (L + 1,)."""
        return log_mean(self.logits)

    @property
    def log_loss(self) -> Floats:
        """Return ln G_l of the loss: (L + 1,)."""
        return log_mean(self.loss)


def log_mean(values: Floats) -> Floats:
    """Return ln of the mean over images, per layer; −inf where no gradient arrives."""
    with np.errstate(divide="ignore"):
        found: Floats = np.log(values.mean(axis=0))
    return found


def backward(
    layers: Sequence[Layer],
    activation: str,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
) -> Gradients:
    """Measure the gradients at `images` (n, …) with true `labels` (n,).

    Pulled back from the logits, because there are fewer of them. Raises ValueError for
    convolutions, images of another size than the first layer's, a network without readout, and
    labels that do not fit the images or the logits.
    """
    readout = one_readout(layers)
    check_labels(labels, len(images), len(readout.mask))
    weights = [layer.weight.astype(np.float64) for layer in signal.dense(layers)]
    gram = _gram(weights[0])
    chunks = [slice(i, i + CHUNK) for i in range(0, len(images), CHUNK)]
    found = [
        _backward(
            signal.preactivations(layers, activation, images[chunk]),
            weights, gram, readout, activation, labels[chunk],
        )
        for chunk in chunks
    ]  # fmt: skip
    return Gradients(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _gram(weight: Floats) -> Floats | None:
    """Return W Wᵀ of the first layer (out, in) where it has more inputs than outputs.

    ‖v W‖² = v W Wᵀ vᵀ: the pixels' gradients are asked for their lengths alone.
    """
    return weight @ weight.T if weight.shape[1] > weight.shape[0] else None


def _backward(
    h: Sequence[Floats],
    weights: Sequence[Floats],
    gram: Floats | None,
    readout: Layer,
    activation: str,
    labels: npt.NDArray[np.integer],
) -> tuple[Floats, Floats]:
    slope, last = get(activation).derivative, readout.weight.astype(np.float64)
    error = loss_gradient(get(activation).phi(h[-1]) @ last.T + readout.bias, labels)
    logits: list[Floats]
    loss: list[Floats]
    logits, loss = [], []
    pulled = np.broadcast_to(last, (len(error), *last.shape))
    for number in reversed(range(len(weights))):
        pulled = pulled * slope(h[number])[:, None, :]
        _append(logits, loss, pulled, pulled, error)
        if number:
            pulled = times(pulled, weights[number])
    onward = times(pulled, weights[0] if gram is None else gram)
    _append(logits, loss, onward, onward if gram is None else pulled, error)
    return np.stack(logits[::-1], axis=1), np.stack(loss[::-1], axis=1)


def times(vectors: Floats, matrix: Floats) -> Floats:
    """Return `vectors` (samples, classes, out) @ `matrix` (out, in), by one product.

    NumPy makes one small product per sample of a stack, which takes twice as long.
    """
    samples, classes, _ = vectors.shape
    return (vectors.reshape(samples * classes, -1) @ matrix).reshape(samples, classes, -1)


def _append(
    logits: list[Floats], loss: list[Floats], one: Floats, other: Floats, error: Floats
) -> None:
    """Note the squares of dlogits/dh and dloss/dh, `one` · `other` (samples, classes, neurons).

    Both are dlogits/dh, or v and v W Wᵀ: then a product of rounding may lie below 0 and is 0.
    """
    logits.append(np.maximum(np.mean(np.einsum("nck,nck->nc", one, other), axis=1), 0.0))
    own = (error[:, None, :] @ one)[:, 0]
    across = own if other is one else (error[:, None, :] @ other)[:, 0]
    loss.append(np.maximum(np.einsum("nk,nk->n", own, across), 0.0))


def loss_gradient(logits: Floats, labels: npt.NDArray[np.integer]) -> Floats:
    """Return dloss/dlogits = softmax − one-hot per image: (samples, classes)."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    return cast(Floats, shares)


def one_readout(layers: Sequence[Layer]) -> Layer:
    """Return the readout. Raises ValueError unless there is exactly one."""
    found = [layer for layer in layers if layer.name == READOUT]
    if len(found) != 1:
        raise ValueError(f"the network has {len(found)} layers named {READOUT!r}; allowed: 1")
    return found[0]


def check_labels(labels: npt.NDArray[np.integer], images: int, classes: int) -> None:
    """Raise ValueError unless there is one label per image, each that of a logit."""
    if np.shape(labels) != (images,):
        raise ValueError(
            f"labels have shape {np.shape(labels)}; allowed for the images: {(images,)}"
        )
    if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < classes):
        raise ValueError(
            f"labels reach from {np.min(labels)} to {np.max(labels)}; allowed: 0 to {classes - 1}"
        )

"""The spectrum of the change: what training adds to theta_0, split at the edge of its own null.

D = W_trained − theta_0 on the mask, per layer. A random matrix with D's mask and second moment has
a largest singular value; the singular directions of D beyond it are its *spikes*, the rest its
*bulk*. The edge comes from Gaussian draws on the same mask, never from Marchenko–Pastur, which
knows no mask. D = S + B; the same split applies to W itself, as a control.

Convolutions are their (out, in·k²) matrices. All in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.measure.gradients import Floats
from ticketlens.theory.activations import get


def changes(trained: Sequence[Layer], initial: Sequence[Layer]) -> tuple[Floats, ...]:
    """Return D per layer, float64, of the layers' shapes. Raises ValueError for other masks."""
    found = []
    for after, before in zip(trained, initial, strict=True):
        if not np.array_equal(after.mask, before.mask):
            raise ValueError(f"layer {after.name}: the trained network's mask is not the ticket's")
        found.append(after.weight.astype(np.float64) - before.weight.astype(np.float64))
    return tuple(found)


def with_change(
    initial: Sequence[Layer], trained: Sequence[Layer], parts: Sequence[Floats]
) -> tuple[Layer, ...]:
    """Return theta_0 + part per layer, masked again, with the trained biases.

    `parts` are (out, in) matrices; off-mask weights come out as exactly 0.
    """
    return tuple(
        replace(
            after,
            weight=np.where(after.mask, before.weight + part.reshape(after.mask.shape), 0.0).astype(
                np.float32
            ),
        )
        for before, after, part in zip(initial, trained, parts, strict=True)
    )


def overlap(one: Floats, other: Floats) -> float:
    """Return the mean squared cosine of the columns of `one` with the span of `other`'s.

    Both have orthonormal columns, (n, k) and (n, m); random directions have m/n. NaN for k = 0.
    """
    if not one.shape[1]:
        return np.nan
    return float(np.sum((one.T @ other) ** 2) / one.shape[1])


def span(rows: npt.NDArray[np.floating], tolerance: float = 1e-10) -> Floats:
    """Return an orthonormal basis of the space that `rows` (m, n) span: (n, rank)."""
    _, values, right = np.linalg.svd(np.asarray(rows, dtype=np.float64), full_matrices=False)
    kept = values > tolerance * max(float(values.max(initial=0.0)), np.finfo(float).tiny)
    basis: Floats = right[kept].T
    return basis


def class_means(images: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> Floats:
    """Return each class's mean image minus the mean of all classes': (classes, pixels)."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    means = np.stack([flat[labels == label].mean(axis=0) for label in np.unique(labels)])
    centred: Floats = means - means.mean(axis=0)
    return centred


def accuracy(
    layers: Sequence[Layer],
    activation: str,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
) -> float:
    """Return the share of `images` that a fully connected network classifies right, in float32."""
    x: np.ndarray = images.reshape(len(images), -1).astype(np.float32, copy=False)
    for layer in layers[:-1]:
        x = get(activation).phi(x @ layer.weight.T + layer.bias)
    logits = x @ layers[-1].weight.T + layers[-1].bias
    return float(np.mean(logits.argmax(axis=1) == labels))


Accuracy = Callable[[Sequence[Layer]], float]

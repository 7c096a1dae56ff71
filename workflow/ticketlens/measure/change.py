"""The spectrum of the change: what training adds to theta_0, split at the edge of its own null.

D = W_trained − theta_0 on the mask, per layer. A random matrix with D's mask and second moment has
a largest singular value; the singular directions of D beyond it are its *spikes*, the rest its
*bulk*. The edge comes from Gaussian draws on the same mask, never from Marchenko–Pastur, which
knows no mask. D = S + B; the same split applies to W itself, as a control.

Convolutions are their (out, in·k²) matrices. All in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.measure.gradients import Floats
from ticketlens.theory.activations import get

Masks = npt.NDArray[np.bool_]
DRAWS = 20  # a layer of the null itself has a spike with probability 1/(draws + 1), about 5 %


@dataclass(frozen=True, eq=False)
class Split:
    """A matrix (out, in) as U diag(s) Vᵀ, and the number of its singular values beyond `edge`.

    left (out, k), values (k,) descending, right (k, in), k = min(out, in).
    """

    left: Floats
    values: Floats
    right: Floats
    edge: float

    @property
    def spikes(self) -> int:
        """Return the number of singular values beyond the edge."""
        return int(np.count_nonzero(self.values > self.edge))

    @property
    def spike_share(self) -> float:
        """Return the spikes' share of ‖matrix‖_F²; NaN for a matrix of zeros."""
        total = float(np.sum(self.values**2))
        return float(np.sum(self.values[: self.spikes] ** 2)) / total if total else np.nan

    def leading(self, rank: int) -> Floats:
        """Return the best approximation of rank `rank`: (out, in)."""
        found: Floats = (self.left[:, :rank] * self.values[:rank]) @ self.right[:rank]
        return found


def matrix_of(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """View a layer's weights or mask as (out, fan_in)."""
    return array.reshape(len(array), -1)


def null_edge(mask: Masks, rng: np.random.Generator, draws: int = DRAWS) -> float:
    """Return the largest singular value of `draws` Gaussian matrices on `mask`, of ‖·‖_F = 1.

    Each draw is scaled to the norm exactly, so that an edge for a matrix D is this times ‖D‖_F.
    0 for an empty mask. Raises ValueError for fewer than one draw.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; allowed: integers >= 1")
    mask = matrix_of(mask).astype(bool)
    if not mask.any():
        return 0.0
    short = mask if mask.shape[0] <= mask.shape[1] else mask.T
    largest = 0.0
    for _ in range(draws):
        drawn = np.zeros(short.shape)
        drawn[short] = rng.standard_normal(np.count_nonzero(short))
        gram = drawn @ drawn.T
        top = np.linalg.eigvalsh(gram)[-1] / np.trace(gram)
        largest = max(largest, float(top))
    return float(np.sqrt(largest))


def split(weights: npt.NDArray[np.floating], relative_edge: float) -> Split:
    """Return the singular value decomposition of a layer's weights, and its edge.

    `relative_edge` is that of `null_edge` for the layer's mask.
    """
    matrix = matrix_of(weights).astype(np.float64)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return Split(left, values, right, relative_edge * float(np.linalg.norm(matrix)))


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
    x: np.ndarray = images.reshape(len(images), -1).astype(np.float32)
    for layer in layers[:-1]:
        x = get(activation).phi(x @ layer.weight.T + layer.bias)
    logits = x @ layers[-1].weight.T + layers[-1].bias
    return float(np.mean(logits.argmax(axis=1) == labels))


Accuracy = Callable[[Sequence[Layer]], float]

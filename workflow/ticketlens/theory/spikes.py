"""Spikes and bulk of a masked matrix, split at the edge of its own null.

A random matrix with a matrix's mask and second moment has a largest singular value; the singular
directions beyond it are the *spikes*, the rest the *bulk*. The edge comes from Gaussian draws on
the same mask: Marchenko–Pastur's knows no mask. Convolutions are their (out, in·k²) matrices. All
in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
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

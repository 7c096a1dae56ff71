"""The rows of `tables.spectra` for large layers: the same nulls, their edges by Lanczos' method.

A full eigendecomposition of every draw of the null takes 20 minutes at 4096 × 4096. The edge needs
the largest eigenvalue of each draw alone; the draws are those of `tables.spectra`, so verdicts
(outliers, edges) agree to Lanczos' tolerance. Densities come from the layer's own spectrum and from
one draw, and are left out above `MAX_FULL`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

from ticketlens import random_matrix
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, keys
from ticketlens.tables.spectra import EIGENVALUES, NULL_DRAWS

Floats = npt.NDArray[np.float64]
MAX_FULL = 6144  # the smaller side of a layer whose whole spectrum is computed
TOP = 16  # eigenvalues by Lanczos where the whole spectrum is not
TOLERANCE = 1e-7  # relative, of an eigenvalue
DENSE_ABOVE = 0.25  # density from which a dense product is faster than a sparse one
BLOCK = 1024  # rows at once in the count of four-cycles


def large_spectra_rows(checkpoint: Checkpoint, number: int) -> tuple[list[Row], list[Row]]:
    """Return (statistics, densities) of layer `number` (from 1), in units as `spectra_rows`."""
    layer = checkpoint.layers[number - 1]
    weight = layer.weight.reshape(len(layer.weight), -1)
    mask = layer.mask.reshape(weight.shape)
    ratio = weight.shape[0] / weight.shape[1]
    values, participation = _own_spectrum(weight)
    rng = stream(checkpoint.seed, "spectrum-null", checkpoint.round, layer.name)
    largest, density = [], None
    for draw in range(NULL_DRAWS):
        null = np.where(mask, rng.standard_normal(mask.shape), 0.0)
        largest.append(float(_top(null, 1)[0][0]))
        if draw == 0 and min(mask.shape) <= MAX_FULL:
            density = _spectrum(null)
        del null
    edge, mp_edge = max(largest), random_matrix.marchenko_pastur_edges(ratio)[1]
    cycles, expected = _four_cycles(mask)
    is_whole = len(values) == len(weight)
    beyond = int(np.count_nonzero(values > mp_edge))
    row = {
        **keys(checkpoint, number),
        "ratio": ratio,
        "largest": float(values[-1]),
        "edge_marchenko_pastur": mp_edge,
        "largest_null": float(np.mean(largest)),
        "edge_null": edge,
        "outliers_null": len(random_matrix.outliers(values, edge)),
        # Where only the top is known, all of it beyond the edge says no number.
        "outliers_marchenko_pastur": beyond if is_whole or beyond < TOP else float("nan"),
        "participation_ratio_top": participation,
        "four_cycles": cycles,
        "four_cycles_random": expected,
        "rank_share": float(np.count_nonzero(values > 1e-10) / min(weight.shape))
        if is_whole
        else float("nan"),
    }
    return [row], _densities(checkpoint, number, values, density, ratio) if is_whole else []


def is_large(layer: Layer, limit: int = 1024) -> bool:
    """Whether the smaller side of the layer's matrix is above `limit`."""
    rows = layer.mask.shape[0]
    return min(rows, layer.mask.size // rows) > limit


def _own_spectrum(weight: npt.NDArray[np.float32]) -> tuple[Floats, float]:
    """Return eigenvalues, ascending (all rows', or the top), and the top one's participation."""
    top, vectors = _top(weight, min(TOP, min(weight.shape) - 1))
    participation = float(random_matrix.participation_ratio(vectors[:, -1:])[0])
    return (_spectrum(weight) if min(weight.shape) <= MAX_FULL else top), participation


def _spectrum(weight: npt.NDArray[np.floating]) -> Floats:
    """Return all eigenvalues of W Wᵀ: of the smaller Gram matrix, and zeros."""
    matrix = weight.astype(np.float64)
    matrix /= np.sqrt(matrix.shape[1] * np.mean(matrix**2))
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    del matrix
    values = np.linalg.eigvalsh(gram)
    return np.concatenate([np.zeros(rows - len(values)), values])


def _top(weight: npt.NDArray[np.floating], count: int) -> tuple[Floats, Floats]:
    """Return the `count` largest eigenvalues of W Wᵀ, ascending, and their eigenvectors."""
    mean_square = np.mean(np.square(weight), dtype=float)
    scale = weight.shape[1] * mean_square
    is_dense = np.count_nonzero(weight) > DENSE_ABOVE * weight.size
    matrix = weight.astype(np.float64) if is_dense else csr_array(weight, dtype=np.float64)
    rows = weight.shape[0]
    operator = LinearOperator(
        (rows, rows), matvec=lambda v: matrix @ (matrix.T @ v) / scale, dtype=np.float64
    )
    start = np.random.default_rng(0).standard_normal(rows)  # the same result every time
    values, vectors = eigsh(operator, count, which="LA", v0=start, tol=TOLERANCE)
    order = np.argsort(values)
    return values[order], vectors[:, order]


def _four_cycles(mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """As `spectra`: 4-cycles of the bipartite graph, and their number at its density.

    float32 counts up to 2²⁴ exactly, more than a layer has columns.
    """
    small = mask.astype(np.float32)
    rows, columns = mask.shape
    total = 0.0
    for first in range(0, rows, BLOCK):
        shared = (small[first : first + BLOCK] @ small.T).astype(np.float64)
        total += float(np.sum(shared * (shared - 1)))
    degrees = mask.sum(axis=1, dtype=np.float64)
    total -= float(np.sum(degrees * (degrees - 1)))  # rows with themselves
    expected = rows * (rows - 1) / 2 * columns * (columns - 1) / 2 * mask.mean() ** 4
    return total / 4, float(expected)


def _densities(
    checkpoint: Checkpoint, number: int, values: Floats, null: Floats | None, ratio: float
) -> list[Row]:
    centres = (EIGENVALUES[1:] + EIGENVALUES[:-1]) / 2
    width = EIGENVALUES[1] - EIGENVALUES[0]
    own, other = (
        np.histogram(found, EIGENVALUES)[0] / (len(found) * width)
        for found in (values, values if null is None else null)
    )
    theory = random_matrix.marchenko_pastur_density(centres, ratio)
    return [
        {
            **keys(checkpoint, number),
            "eigenvalue": float(x),
            "density_eigenvalue": float(y),
            "density_null": float(z),
            "density_marchenko_pastur": float(t),
        }
        for x, y, z, t in zip(centres, own, other, theory, strict=True)
    ]

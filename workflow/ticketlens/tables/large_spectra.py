"""The rows of `tables.spectra` for large layers: the same null, its edge by Lanczos' method.

A full eigendecomposition of every draw of the null takes half a minute for eight layers of 1024
neurons, and 20 minutes at 4096 × 4096. The edge needs the largest eigenvalue of each draw alone:
some 40 products with a vector, in single precision (relative error below 1e-5). Draws follow the
law of `tables.spectra`; only kept weights are drawn, in single precision, so their numbers are
others. On the same draws verdicts (outliers, edges) agree. Densities come from the layer's own
spectrum and from one draw, and are left out above `MAX_FULL`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, eigh_tridiagonal, eigvalsh
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

from ticketlens import random_matrix
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, keys

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
NULL_DRAWS = 19  # a layer of the null itself has an outlier with probability 1/(draws + 1) = 5 %
EIGENVALUES = np.linspace(0, 8, 161)
LARGE = 512  # the smaller side of a layer above which the draws' whole spectra cost too much
MAX_FULL = 6144  # the smaller side of a layer whose whole spectrum is computed
TOP = 16  # eigenvalues by Lanczos where the whole spectrum is not
TOLERANCE = 1e-7  # relative, of an eigenvalue
EDGE_TOLERANCE, EDGE_STEPS = 1e-4, 2000
"""Of a draw's relative residual, whose square over the gap is the eigenvalue's error; its steps."""
MAX_GRAM = 2048  # the smaller side up to which a draw's Gram matrix is made
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
    largest: list[float] = []
    density: Floats | None = None
    for draw in range(NULL_DRAWS):
        null = _draw(rng, mask)
        if min(mask.shape) <= MAX_GRAM:
            gram, scale = _small_gram(null)
            largest.append(_edge(len(gram), partial(blas.ssymv, 1.0, gram)) / scale)
            if draw == 0:
                density = _all_values(gram, len(mask)) / scale
        else:
            largest.append(_edge_of_draw(null))
            if draw == 0 and min(mask.shape) <= MAX_FULL:
                density = _spectrum(null)
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


def is_large(layer: Layer, limit: int = LARGE) -> bool:
    """Whether the smaller side of the layer's matrix is above `limit`."""
    rows = layer.mask.shape[0]
    return cast(bool, min(rows, layer.mask.size // rows) > limit)


def _own_spectrum(weight: Singles) -> tuple[Floats, float]:
    """Return eigenvalues, ascending (all rows', or the top), and the top one's participation."""
    if min(weight.shape) > MAX_FULL:
        top, vectors = _top(weight, min(TOP, min(weight.shape) - 1))
        return top, float(cast(Floats, random_matrix.participation_ratio(vectors[:, -1:]))[0])
    matrix = weight.astype(np.float64)
    matrix /= np.sqrt(matrix.shape[1] * np.mean(matrix**2))
    gram = _gram(matrix)
    # As a product with the triangle that there is: faster than two with the matrix.
    _, vectors = _lanczos(len(gram), lambda v: blas.dsymv(1.0, gram, v), 1)
    if len(gram) < len(weight):
        vectors = matrix @ vectors
    participation = float(cast(Floats, random_matrix.participation_ratio(vectors[:, -1:]))[0])
    return _all_values(gram, len(weight)), participation


def _draw(rng: np.random.Generator, mask: npt.NDArray[np.bool_]) -> Singles:
    """Return standard normal weights on the mask, 0 off it."""
    if mask.all():
        return rng.standard_normal(mask.shape, np.float32)
    null = np.zeros(mask.shape, np.float32)
    np.place(null, mask, rng.standard_normal(np.count_nonzero(mask), np.float32))
    return null


def _spectrum(null: Singles) -> Floats:
    """Return all eigenvalues of W Wᵀ: of the smaller Gram matrix, and zeros."""
    weight = null.astype(np.float64)
    weight /= np.sqrt(weight.shape[1] * np.mean(weight**2))
    return _all_values(_gram(weight), len(weight))


def _gram(matrix: Floats) -> Floats:
    """Return the upper triangle of the smaller Gram matrix. Columns of BLAS are rows here."""
    return cast(Floats, blas.dsyrk(1.0, matrix.T, trans=len(matrix) <= matrix.shape[1]))


def _all_values(gram: npt.NDArray[np.floating], rows: int) -> Floats:
    """Return the eigenvalues of a Gram matrix (upper triangle), behind zeros up to `rows`."""
    values = eigvalsh(gram, lower=False, overwrite_a=True, check_finite=False)
    return np.concatenate([np.zeros(rows - len(values)), values])


def _top(weight: npt.NDArray[np.floating], count: int) -> tuple[Floats, Floats]:
    """Return the `count` largest eigenvalues of W Wᵀ, ascending, and their eigenvectors."""
    mean_square = np.mean(np.square(weight), dtype=float)
    scale = weight.shape[1] * mean_square
    is_dense = np.count_nonzero(weight) > DENSE_ABOVE * weight.size
    matrix = weight.astype(np.float64) if is_dense else csr_array(weight, dtype=np.float64)
    rows = weight.shape[0]
    return _lanczos(rows, lambda v: matrix @ (matrix.T @ v) / scale, count)


def _lanczos(rows: int, product: Callable[[Floats], Floats], count: int) -> tuple[Floats, Floats]:
    operator = LinearOperator((rows, rows), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(rows)  # the same result every time
    values, vectors = eigsh(operator, count, which="LA", v0=start, tol=TOLERANCE)
    order = np.argsort(values)
    return values[order], vectors[:, order]


def _small_gram(null: Singles) -> tuple[Singles, float]:
    """Return the upper triangle of the smaller Gram matrix, unscaled, and what to divide it by."""
    # Columns of BLAS are rows here.
    gram = blas.ssyrk(1.0, null.T, trans=len(null) <= null.shape[1])
    squares = float(np.trace(gram, dtype=np.float64))
    return gram, squares / len(null)


def _edge(size: int, product: Callable[[Singles], Singles]) -> float:
    """Return the largest eigenvalue of a positive matrix, to a relative error of 1e-5.

    Lanczos' method as it stands: vectors that lose their orthogonality repeat the largest one, and
    do not move it (Paige 1976). Raises ArithmeticError where `EDGE_STEPS` do not suffice.
    """
    vector = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    vector /= np.linalg.norm(vector)
    before, beside = np.zeros_like(vector), 0.0
    diagonal, off = [], []
    for step in range(1, EDGE_STEPS + 1):
        found = product(vector)
        diagonal.append(float(vector @ found))
        found -= diagonal[-1] * vector
        found -= beside * before
        beside = float(np.linalg.norm(found))
        off.append(beside)
        if step % 8 == 0 or beside == 0 or step == size:
            top = (step - 1, step - 1)
            value, along = eigh_tridiagonal(diagonal, off[:-1], select="i", select_range=top)
            if beside * abs(along[-1, 0]) <= EDGE_TOLERANCE * value[0]:
                return float(value[0])
        before, vector = (
            vector,
            found / np.float32(max(beside, cast(float, np.finfo(np.float32).tiny))),
        )
    raise ArithmeticError(f"Lanczos' method has not converged in {EDGE_STEPS} steps")


def _edge_of_draw(null: Singles) -> float:
    """Return the largest eigenvalue of W Wᵀ of a draw too large for its Gram matrix."""
    scale = null.shape[1] * np.mean(np.square(null), dtype=np.float64)
    if np.count_nonzero(null) > DENSE_ABOVE * null.size:
        return cast(float, _edge(len(null), lambda v: null @ (null.T @ v)) / scale)
    sparse = csr_array(null)
    across = sparse.T.tocsr()
    return cast(float, _edge(len(null), lambda v: sparse @ (across @ v)) / scale)


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
    theory = cast(Floats, random_matrix.marchenko_pastur_density(centres, ratio))
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

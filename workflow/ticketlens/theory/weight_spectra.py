"""What stands out of a spectrum of weights: eigenvalues beyond an edge, vectors on few entries."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from ticketlens.theory.arguments import Array, finite
from ticketlens.theory.marchenko_pastur import Result


def participation_ratio(vectors: ArrayLike) -> Result:
    """(Σ v²)² / Σ v⁴ of each column: how many entries carry a vector, from 1 to its length.

    vectors: `(n,)` -> scalar or `(n, k)` -> `(k,)`, eigenvectors in columns as numpy returns them.
    Raises ValueError for NaN and for a zero vector.

    Shapes: vectors (n,) or (n, k) -> () or (k,).

    >>> rmt.participation_ratio(np.eye(3))
    array([1., 1., 1.])
    >>> float(rmt.participation_ratio(np.ones(4)))
    4.0
    """
    vectors = finite("vectors", vectors, "finite", np.isfinite)
    if vectors.ndim not in (1, 2):
        raise ValueError(f"vectors has shape {vectors.shape}: must be (n,) or (n, k)")
    largest = np.max(np.abs(vectors), axis=0, initial=0)
    if np.any(largest == 0):
        raise ValueError("vectors holds a zero vector: its participation ratio is undefined")
    squares = (vectors / largest) ** 2  # scaled, so that fourth powers cannot underflow
    return cast(Result, (squares.sum(axis=0) ** 2 / (squares**2).sum(axis=0))[()])


def outliers(eigenvalues: ArrayLike, edge: float) -> Array:
    """The eigenvalues above `edge`, largest first.

    eigenvalues: any shape; edge: the upper edge of a null (`marchenko_pastur_edges(...)[1]`, or the
    largest eigenvalue of a same-mask null, which sparse matrices need). Raises ValueError for NaN.

    Shapes: eigenvalues (...) -> (outliers,).

    >>> rmt.outliers([0.5, 4.2, 5.0], edge=4.0)
    array([5. , 4.2])
    """
    values = finite("eigenvalues", eigenvalues, "finite", np.isfinite).ravel()
    edge = float(finite("edge", edge, "finite", np.isfinite))
    return np.sort(values[values > edge])[::-1]

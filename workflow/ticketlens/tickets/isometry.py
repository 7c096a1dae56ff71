"""Sparse matrices that keep lengths: exactly, with a mask of their own, or nearly, on a given mask.

W is isometric at scale sigma_w if W Wᵀ = sigma_w² I, or if Wᵀ W = sigma_w² (rows/columns) I where
it has more rows than columns: ‖W‖_F²/rows = sigma_w² in both cases, as in the orthogonal scheme.
All pure functions on float64 matrices (out, in).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ticketlens.tickets.initialization import orthogonal_matrix

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TRIES = 200
"""Pairs of columns that are looked at for one that does not overshoot the count."""
STEPS = 400
"""Gradient steps towards isometry at most."""
STEP = 0.25
"""Length of the first step, in units in which the gradient at singular value s is s (s² − 1)."""
GROWTH = 1.1
"""A step that was too long is halved, one that was not is lengthened by this factor."""
CLOSE = 1e-4
"""Departure below which the descent ends."""


def departure(weight: npt.NDArray[np.floating], sigma_w: float) -> float:
    """Return the root mean square of s²/target − 1 over the singular values s: 0 if isometric.

    A Gaussian square matrix has 1, an empty one too.
    """
    square = _gram(_short(weight.astype(np.float64)), _target(weight.shape, sigma_w))
    return float(np.linalg.norm(square - np.eye(len(square))) / np.sqrt(len(square)))


def sparse_orthogonal(
    rows: int, columns: int, count: int, rng: np.random.Generator
) -> tuple[Floats, Mask]:
    """Return an isometric matrix of scale 1 with `count` places, and its mask: (rows, columns).

    Random Givens rotations of pairs of columns fill a permutation matrix until no further one fits
    the count (Nowak et al. 2024, Exact Orthogonal Initialization); the few places that are left are
    put at random with weight 0, so that the matrix stays isometric. Rotations of rows too would
    leave many more columns empty. A full matrix is Haar's.
    Raises ValueError for fewer places than the shorter side, which no isometric matrix has.
    """
    if rows > columns:
        matrix, mask = sparse_orthogonal(columns, rows, count, rng)
        return matrix.T * np.sqrt(rows / columns), mask.T
    if not rows <= count <= rows * columns:
        raise ValueError(
            f"{count} weights in a layer of {rows} × {columns}: an isometric matrix has at least "
            f"{rows} and at most {rows * columns}"
        )
    if count == rows * columns:
        return orthogonal_matrix(rows, columns, rng), np.ones((rows, columns), bool)
    matrix, mask = np.zeros((rows, columns)), np.zeros((rows, columns), bool)
    first = (np.arange(rows), rng.permutation(columns)[:rows])
    matrix[first] = np.where(rng.random(rows) < 0.5, -1.0, 1.0)
    mask[first] = True
    lines, places = matrix.T, mask.T  # views: rows of these are columns
    left = count - rows
    while left:
        for _ in range(TRIES):
            one, other = rng.choice(columns, 2, replace=False)
            added = int(np.count_nonzero(places[one] ^ places[other]))
            if 0 < added <= left:
                break
        else:
            break
        angle = rng.uniform(0, 2 * np.pi)
        cosine, sine = np.cos(angle), np.sin(angle)
        before = lines[one].copy()
        lines[one] = cosine * before - sine * lines[other]
        lines[other] = sine * before + cosine * lines[other]
        places[one] |= places[other]
        places[other] = places[one]
        left -= added
    mask.ravel()[rng.permutation(np.flatnonzero(~mask))[:left]] = True
    return matrix, mask


def towards_isometry(weight: Floats, mask: Mask, sigma_w: float) -> Floats:
    """Return weights on `mask` after gradient steps on ‖W Wᵀ − sigma_w² I‖_F² from `weight`.

    Lee et al. 2020, arXiv:1906.06307. The start is scaled to ‖W‖_F²/rows = sigma_w². A step that
    would lead away is halved; the descent ends after `STEPS` or at a departure of `CLOSE`. How near
    it comes depends on the mask: `departure` says. Off the mask weights are exactly 0.
    """
    if not weight[mask].any():
        return np.zeros(weight.shape)
    target = _target(weight.shape, sigma_w)
    own, places = _short(np.where(mask, weight, 0.0)), _short(mask)
    identity = np.eye(len(own))
    found = own * np.sqrt(len(own) * target / np.sum(own**2))
    gap = _gram(found, target) - identity
    size, step = float(np.linalg.norm(gap)), STEP
    for _ in range(STEPS):
        trial = np.where(places, found - step * (gap @ found), 0.0)
        trial_gap = _gram(trial, target) - identity
        trial_size = float(np.linalg.norm(trial_gap))
        if trial_size < size:
            found, gap, size, step = trial, trial_gap, trial_size, GROWTH * step
        else:
            step /= 2
        if size < CLOSE * np.sqrt(len(own)):
            break
    return cast(Floats, found if weight.shape[0] <= weight.shape[1] else found.T)


def _target(shape: tuple[int, ...], sigma_w: float) -> float:
    """Return the squared singular value of an isometric matrix of a shape and scale."""
    return sigma_w**2 * max(1.0, shape[0] / shape[1])


def _short(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a matrix with at most as many rows as columns: itself or its transpose."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def _gram(matrix: npt.NDArray[Any], target: float) -> Floats:
    found: Floats = (matrix @ matrix.T) / target
    return found

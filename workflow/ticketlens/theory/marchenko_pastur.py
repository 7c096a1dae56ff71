"""Eigenvalues of W Wᵀ for W of independent entries (Marchenko & Pastur 1967)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ticketlens.theory.arguments import Array, one_positive, points

Result = float | Array  # of the shape of the points asked for


def marchenko_pastur_edges(ratio: float, variance: float = 1.0) -> tuple[float, float]:
    """Edges (lower, upper) = variance (1 ∓ √ratio)² of the continuous part.

    ratio: N_out / N_in > 0; variance: N_in Var W_ij > 0, i.e. sigma_w² (both scalars).
    Raises ValueError for anything else. Source: Marchenko & Pastur 1967.

    >>> rmt.marchenko_pastur_edges(1.0)
    (np.float64(0.0), np.float64(4.0))
    """
    ratio, variance = one_positive("ratio", ratio), one_positive("variance", variance)
    root = np.sqrt(ratio)
    return variance * (1 - root) ** 2, variance * (1 + root) ** 2


def marchenko_pastur_atom(ratio: float) -> float:
    """Mass of the eigenvalue 0: max(0, 1 − 1/ratio), the rank deficiency of a tall W.

    >>> rmt.marchenko_pastur_atom(2.0)
    0.5
    """
    return max(0.0, 1 - 1 / one_positive("ratio", ratio))


def marchenko_pastur_density(x: ArrayLike, ratio: float, variance: float = 1.0) -> Result:
    """Density of the eigenvalues of W Wᵀ, W `(N_out, N_in)` with Var W_ij = variance / N_in.

    ratio = N_out / N_in. The density is that of the continuous part, zero outside
    `marchenko_pastur_edges`; it integrates to min(1, 1/ratio), and for ratio > 1 the rest is
    `marchenko_pastur_atom` at x = 0. At ratio = 1 it diverges as x^(-1/2): inf at x = 0.

    x: any shape, which is returned. Raises ValueError for NaN in x, ratio <= 0, variance <= 0.
    Source: Marchenko & Pastur 1967.

    Shapes: x (...) -> (...).

    >>> round(float(rmt.marchenko_pastur_density(1.0, 1.0)), 6)
    0.275664
    """
    lower, upper = marchenko_pastur_edges(ratio, variance)
    x = points("x", x)
    inside = (x > lower) & (x < upper)
    safe = np.where(inside, x, (lower + upper) / 2)
    # Square roots taken apart: a product of small factors would underflow.
    density = np.sqrt(upper - safe) * np.sqrt(safe - lower) / (2 * np.pi * variance * ratio * safe)
    return np.where(inside, density, np.where((x == 0) & (lower == 0), np.inf, 0.0))[()]


def marchenko_pastur_cdf(x: ArrayLike, ratio: float, variance: float = 1.0) -> Result:
    """Share of the eigenvalues of W Wᵀ that are <= x, the atom at 0 included.

    Closed form in the angle of x between the edges, x = variance (1 + r² − 2 r cos angle) with
    r = √ratio; absolute error below 1e-12 for ratio in [1e-6, 1e6]. Arguments and errors as
    `marchenko_pastur_density`.

    Shapes: x (...) -> (...).

    >>> rmt.marchenko_pastur_cdf([1.0, 4.0], 1.0).round(6)
    array([0.608998, 1.      ])
    """
    lower, upper = marchenko_pastur_edges(ratio, variance)
    x = points("x", x)
    inner = np.clip(x, lower, upper)
    angle = 2 * np.arctan2(np.sqrt(inner - lower), np.sqrt(upper - inner))
    r = np.sqrt(min(ratio, 1 / ratio))  # W Wᵀ and Wᵀ W share their non-zero eigenvalues
    wave = np.arctan2(r * np.sin(angle), 1 - r * np.cos(angle))
    share = angle + np.sin(angle) / r - (1 - r**2) / r**2 * wave
    share = np.clip(share / np.pi, 0, 1) * min(1.0, 1 / float(ratio))
    return np.where(x >= 0, np.minimum(share + marchenko_pastur_atom(ratio), 1), 0.0)[()]

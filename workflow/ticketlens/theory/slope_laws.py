"""Laws of the squared slope phi'(√q z)² of an activation, and their moment transforms.

M(z) = E[x / (z − x)], as in `free_probability`, which multiplies these laws with those of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

from ticketlens.theory.arguments import Array

Complex = npt.NDArray[np.complex128]

MANY_NODES = 640  # of the rule for q above 64; networks as they are drawn have q of 0.1 to 10


@dataclass(frozen=True)
class SmoothSlope:
    """Law of phi'(√q z)², z ~ N(0, 1), for a slope that falls smoothly from its maximum at 0.

    With l(h) = log(phi'(h)² / phi'(0)²) <= 0, even in h:

    log_maximum:     log phi'(0)².
    log_slope:       l(h), vectorised.
    first:           l'(h), for complex h.
    curvature_ratio: l''(h) / l'(h), for complex h.
    preimages:       (λ, q) -> solutions h of l(h) = λ (mod 2πi), one of each pair ±h, in the lower
                     half-plane, the one nearest to the real axis first; all that matter at q.
    grid:            q -> (step, reach) in z of the trapezoid rule.
    vanishing:       q -> the order at which w vanishes with 1 + M(w), i.e. w ~ (1 + M)^order.
    """

    log_maximum: float
    log_slope: Callable[[Array], Array]
    first: Callable[[Complex], npt.NDArray[Any]]
    curvature_ratio: Callable[[Complex], npt.NDArray[Any]]
    preimages: Callable[[Complex, float], tuple[Complex, ...]]
    grid: Callable[[float], tuple[float, float]]
    vanishing: Callable[[float], float]


def _lower(h: Complex) -> Complex:
    """Of the pair ±h, the continuation of the root with Re h > 0 >= Im h across both half-axes."""
    return np.where(h.imag > np.abs(h.real), -h, h)


def _tanh_preimages(lam: Complex, q: float) -> tuple[Complex, ...]:
    # l = −4 log cosh h, so cosh² h = ±exp(−λ/2); arcsinh keeps h accurate where it is small.
    deep = lam.real < -100
    near = np.where(deep, -100, lam)
    first = _lower(np.arcsinh(np.sqrt(np.expm1(-near / 2))))
    second = -np.arccosh(1j * np.exp(-near / 4))
    far = -lam / 4 + np.log(2)
    first = np.where(deep, far, first)
    second = np.where(deep, -far - 0.5j * np.pi, second)
    return first, second, -1j * np.pi - first, -1j * np.pi - second


def _tanh_grid(q: float) -> tuple[float, float]:
    # A step of 0.25 in h: poles at |Im h| = π/2 count with exp(−2π (π/2) / 0.25) = 7e-18 only.
    # Reach: 9 standard deviations, shifted by 4√q where 1/phi'² ~ exp(4 √q |z|) weighs the tail.
    # Reaching z = 20 is enough for 1 + M = exp(−200).
    root = np.sqrt(q)
    return min(0.6, 0.25 / root), min(9.0 + 4 * root, 20.0)


def _erf_preimages(lam: Complex, q: float) -> tuple[Complex, ...]:
    # l = −2 h², so h = √((2πi n − λ) / 2); the pair ±h is represented by its lower member.
    roots = [_lower(np.sqrt(-lam / 2))]
    # Far out they crowd at a distance ~ n / (q z) of the axis: about 7 √q of them matter, and of
    # these only those with |Im h| < 3 (see `smooth_transform`), where π (n − 1/2) <= 2 |Re h Im h|.
    nearest = 0.5 + 6 / np.pi * np.sqrt(9 + np.max(np.maximum(-lam.real, 0), initial=0) / 2)
    for n in range(1, 1 + int(min(np.ceil(7 * max(1.0, np.sqrt(q))), nearest))):
        roots += [-np.sqrt((2j * np.pi * n - lam) / 2), np.sqrt((-2j * np.pi * n - lam) / 2)]
    return tuple(roots)


def _erf_grid(q: float) -> tuple[float, float]:
    # 1/phi'² widens the normal law to variance 1 / (1 − 4q); 20 as above.
    return min(0.5, 0.25 / np.sqrt(q)), min(9.0 / np.sqrt(max(1 - 4 * q, 0.01)), 20.0)


def _log_cosh(h: Array) -> Array:
    # The first form keeps its relative accuracy where h is small, the second does not overflow.
    near = np.log1p(2 * np.sinh(np.minimum(np.abs(h), 1) / 2) ** 2)
    return cast(
        Array,
        np.where(np.abs(h) < 1, near, np.abs(h) + np.log1p(np.exp(-2 * np.abs(h))) - np.log(2)),
    )


SMOOTH_SLOPES = {
    "tanh": SmoothSlope(
        log_maximum=0.0,
        log_slope=lambda h: -4 * _log_cosh(h),
        first=lambda h: -4 * np.tanh(h),
        curvature_ratio=lambda h: 1 / np.tanh(h) - np.tanh(h),
        preimages=_tanh_preimages,
        grid=_tanh_grid,
        vanishing=lambda q: 1.0,
    ),
    "erf": SmoothSlope(
        log_maximum=float(np.log(4 / np.pi)),
        log_slope=lambda h: -2 * h**2,
        first=lambda h: -4 * h,
        curvature_ratio=lambda h: 1 / h,
        preimages=_erf_preimages,
        grid=_erf_grid,
        vanishing=lambda q: max(1.0, 4 * q),
    ),
}

# Slopes that are 0 or 1: the probability of slope 0 at length q.
ZERO_SLOPE_PROBABILITY: dict[str, Callable[[float], float]] = {
    "linear": lambda q: 0.0,
    "relu": lambda q: 0.5,
    "hard_tanh": lambda q: float(erfc(1 / np.sqrt(2 * q))) if q > 0 else 0.0,
}

ACTIVATIONS = (*SMOOTH_SLOPES, *ZERO_SLOPE_PROBABILITY)


@lru_cache(maxsize=256)
def _nodes(activation: str, q: float) -> tuple[float, Array, Array]:
    """Two interleaved trapezoid grids on z >= 0 for even integrands: rows 0 (with z = 0) and 1.

    Returns (step, log_slope, weight), the last two `(2, nodes)`: log_slope = log(phi'² / max phi'²)
    and weight = step × normal density, doubled where z != 0.
    """
    law = SMOOTH_SLOPES[activation]
    step, reach = law.grid(q)
    k = np.arange(int(np.ceil(reach / step)) + 1)
    z = step * np.stack([k, k + 0.5])
    weight = 2 * step * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    weight[0, 0] /= 2
    return step, law.log_slope(np.sqrt(q) * z), weight


def _trapezoid(lam: Complex, log_slope: Array, weight: Array) -> tuple[Complex, Complex, Complex]:
    """The sums for M, 1 + M and dM/dλ over nodes; log_slope and weight are `(n, nodes)`."""
    # Small w: x and w are both divided by |w|, so that nothing underflows. Else: w − x is taken
    # as (w − 1) − (x − 1), which keeps its digits where both are close to 1.
    small = lam.real < -0.7
    scale = np.where(small, lam.real, 0)
    x = np.exp(np.minimum(log_slope - scale[:, None], 690))
    gap = np.where(small, np.exp(1j * lam.imag), np.expm1(lam))[:, None] - np.where(
        small[:, None], x, np.expm1(log_slope)
    )
    w = np.exp(lam - scale)
    resolvent = 1 / gap
    weighted = weight * x * resolvent
    complement = w * np.einsum("ij,ij->i", resolvent, weight)
    return weighted.sum(axis=1), complement, -w * np.einsum("ij,ij->i", resolvent, weighted)


def _near(
    lam: Complex, shifted: npt.NDArray[np.intp], q: float, log_slope: Array, weight: Array
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_], Array, Array]:
    """Return the nodes that each point needs one by one, and the weights before and after them.

    (index `(n, near)`, which of them are (n, near), weight before `(n,)`, weight after `(n,)`).
    Before them x is larger than w by more than exp(40), and x / (w − x) is −1; after them x is
    smaller by that, and w / (w − x) is 1. Before them the other sum grows with 1 / x and falls with
    the normal law, on z <= 20 by exp(5 / √q) of that: hence the wider margin there.
    """
    top = np.clip(lam.real, log_slope[:, -1].max(), 0)
    margin = 40 / (1 - 5 / np.sqrt(q))
    start, stop = np.empty((2, *lam.shape), dtype=np.intp)
    before, after = np.empty((2, *lam.shape))
    for row in (0, 1):
        own = shifted == row
        start[own] = np.searchsorted(-log_slope[row], -top[own] - margin)
        stop[own] = np.searchsorted(-log_slope[row], -top[own] + 40)
        sums = np.concatenate([[0.0], np.cumsum(weight[row])])
        rest = np.concatenate([np.cumsum(weight[row][::-1])[::-1], [0.0]])
        before[own], after[own] = sums[start[own]], rest[stop[own]]
    index = start[:, None] + np.arange((stop - start).max(initial=0))
    return np.minimum(index, weight.shape[1] - 1), index < stop[:, None], before, after


def smooth_transform(
    lam: npt.ArrayLike, q: float, activation: str
) -> tuple[Complex, Complex, Complex]:
    """M(w), 1 + M(w) and dM/dλ of the slope law scaled to maximum 1, at w = exp(λ).

    lam: complex `(n,)` with imaginary part in [0, π]; a real λ < 0 means w + i0.
    1 + M = E[w / (w − x)] is returned apart because it keeps its digits where M is close to −1.

    The trapezoid rule in z is exact for entire integrands up to rounding; the poles of x / (w − x),
    which may lie anywhere, even on the real axis, are added by their residues R_j: a pole z_j below
    the axis and its mirror image −z_j contribute 4πi R_j / (exp(2πi z_j / step) − 1). Of two
    interleaved grids the one whose nodes stay clear of the nearest pole is used.
    """
    lam = np.asarray(lam, dtype=complex)
    law = SMOOTH_SLOPES[activation]
    step, log_slope, weight = _nodes(activation, q)
    # Where slopes are steep only a part of the nodes matters at each point.
    is_steep = weight.shape[1] > MANY_NODES
    blocks = 1 + lam.size * min(weight.shape[1], MANY_NODES) // 2**20
    if blocks > 1 and lam.size > 1:  # bounds the memory
        parts = [smooth_transform(v, q, activation) for v in np.array_split(lam, blocks) if v.size]
        return cast(
            tuple[Complex, Complex, Complex],
            tuple(np.concatenate(x) for x in zip(*parts, strict=True)),
        )
    root = np.sqrt(q)
    poles = [h / root for h in law.preimages(lam, q)]
    distance = np.abs(poles[0].real / step - np.round(poles[0].real / step))
    shifted = (distance < 0.25).astype(int)
    if is_steep:
        index, is_near, before, after = _near(lam, shifted, q, log_slope, weight)
        rows = shifted[:, None]
        m, complement, slope = _trapezoid(
            lam, log_slope[rows, index], weight[rows, index] * is_near
        )
        m, complement = m - before, complement + after
    else:
        m, complement, slope = _trapezoid(lam, log_slope[shifted], weight[shifted])
    for z in poles:
        # Further from the axis the correction is below rounding, but its factors may overflow;
        # beyond the reach of the grid it would not belong to the sum. At large w the poles cluster
        # at those of x itself: each of them counts, but not all of them together.
        near = (np.abs(z.imag) < min(2 * np.pi / step, 12 * step)) & (lam.real < 20)
        near &= np.abs(z.real) < step * weight.shape[1]
        if not near.any():
            continue
        z = np.where(near, z, (0.1 + 0.3j) / max(1, root))
        first = root * law.first(root * z)
        residue = -np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / first
        wave = np.exp(2j * np.pi * (z / step - shifted / 2))
        term = np.where(near, 4j * np.pi * residue / (wave - 1), 0)
        growth = -z - root * law.curvature_ratio(root * z) - 2j * np.pi / step * wave / (wave - 1)
        m = m + term
        complement = complement + term
        slope = slope + term * growth / first
    return m, complement, slope

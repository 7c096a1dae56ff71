"""Where the maps of mean field theory settle: q*, c*, the edge of chaos, and depth scales.

V, C and chi are those of `ticketlens.meanfield`, which has the conventions and the accuracy, and is
where users find these functions.
"""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Real

import numpy as np
from scipy.optimize import brentq

from ticketlens.theory.activations import Activation, get

_EPS = np.finfo(float).eps
_ROUNDING = 64 * _EPS  # a slope this close to one counts as one
_LARGEST_SIGMA = 1e6  # keeps squares of q far from overflow


class NoFixedPoint(ValueError):
    """The requested fixed point or critical point does not exist."""


def q_fixed_point(sigma_w: float, sigma_b: float, activation: str = "tanh") -> float:
    """q* = V(q*), the stable length.

    For tanh, erf and hard_tanh it always exists. V is concave, so there is one root if sigma_b > 0;
    if sigma_b = 0, zero is a root, stable up to sigma_w phi'(0) = 1, and beyond that the positive
    root is the stable one. (V is concave for tanh because sech^2, the logistic density, is a scale
    mixture of Gaussians.) ReLU and linear: q* = sigma_b^2 / (1 - kappa sigma_w^2), kappa = 1/2, 1.
    Raises NoFixedPoint for ReLU at sigma_w^2 >= 2 and for linear at sigma_w >= 1: with sigma_b = 0
    every q is fixed at equality (to rounding), beyond it no q is stable.

    >>> round(mf.q_fixed_point(1.5, 0.1), 6)
    0.813322
    """
    w2, b2 = _variances(sigma_w, sigma_b)
    phi = get(activation)
    if np.isinf(phi.bound):
        return _homogeneous_fixed_point(sigma_w, sigma_b, phi)
    growth = w2 * phi.origin_slope - 1
    if b2 == 0 and growth <= 4 * _EPS:
        return 0.0
    # Newton from above on the concave V(q) - q: every step lands between q* and the last point.
    q = w2 * phi.bound**2 + b2
    for _ in range(1000):  # about ten, more where V(q) - q is nearly flat
        if q > 1:
            drift = w2 * float(phi.second_moment(q)) + b2 - q
        else:  # the same, without cancellation where V(q) is close to q for all small q
            drift = b2 + growth * q - w2 * float(phi.deficit(q))
        step = drift / (w2 * float(phi.deficit_slope(q)) - growth)
        q += step
        # Converged, or rounding turned the step around, or q* is zero to rounding.
        if step >= -2 * _EPS * q or q < _EPS:
            return max(q, b2)
    raise NoFixedPoint(
        f"q* did not converge at sigma_w = {sigma_w}, sigma_b = {sigma_b}, {phi.name}; last q = {q}"
    )


def c_fixed_point(sigma_w: float, sigma_b: float, activation: str = "tanh") -> float:
    """c*, the stable fixed point of the correlation map at q*.

    One in the ordered phase and on the critical line, below one in the chaotic phase; zero there if
    sigma_b = 0 (odd activations). Where q* = 0, c* = 1 by convention. ReLU and linear: one wherever
    q* exists, and also at sigma_b = 0 on the critical point.
    Raises NoFixedPoint where ReLU or linear has no q*.

    >>> round(mf.c_fixed_point(1.5, 0.1), 6)
    0.180084
    """
    return 1 - _fixed_distance(sigma_w, sigma_b, get(activation))[1]


def critical_sigma_w(sigma_b: float, activation: str = "tanh") -> float:
    """The sigma_w on the edge of chaos, chi(q*) = 1, at the given sigma_b.

    With sigma_b = 0: 1 for tanh, hard_tanh and linear, sqrt(pi)/2 for erf, sqrt(2) for ReLU.
    Raises NoFixedPoint for ReLU and linear with sigma_b > 0: q grows without bound where chi = 1.

    >>> round(mf.critical_sigma_w(0.1), 6)
    1.193401
    """
    phi = get(activation)
    _, b2 = _variances(0.0, sigma_b)
    if b2 == 0:
        return 1 / math.sqrt(float(phi.derivative_moment(0.0, 1)))
    if np.isinf(phi.bound):
        raise NoFixedPoint(
            f"{phi.name} has no critical sigma_w at sigma_b = {sigma_b}: where chi = 1, each layer "
            "adds sigma_b^2 to q and there is no q*; allowed: sigma_b = 0"
        )

    # chi = 1 and q = V(q) together give sigma_w^2 = 1/mu_1(q) and
    # sigma_b^2 = q - E phi^2 / mu_1: the critical line is explicit in q.
    def bias_excess(q: float) -> float:
        return float(phi.poincare_gap(q)) / float(phi.derivative_moment(q, 1)) - b2

    high = b2
    while bias_excess(high) < 0:
        high *= 2
    q = brentq(bias_excess, high / 2, high, xtol=1e-300, rtol=4 * _EPS)
    return 1 / math.sqrt(float(phi.derivative_moment(q, 1)))


def depth_scales(sigma_w: float, sigma_b: float, activation: str = "tanh") -> tuple[float, float]:
    """(xi_q, xi_c), in layers: how far lengths and correlations remember (Schoenholz et al. 2017).

    xi_q = -1 / log V'(q*),   xi_c = -1 / log(sigma_w^2 E phi'(u1) phi'(u2)) at (q*, c*).
    inf where the slope is one to rounding (the critical line, for xi_c), zero where it is zero.
    Raises NoFixedPoint where ReLU or linear has no q*, except at sigma_b = 0 on the critical point,
    where both are inf.

    >>> xi_q, xi_c = mf.depth_scales(1.5, 0.1)
    >>> f"{xi_q:.4f} {xi_c:.4f}"
    '1.4172 14.8451'
    """
    w2, _ = _variances(sigma_w, sigma_b)
    phi = get(activation)
    q, distance = _fixed_distance(sigma_w, sigma_b, phi)
    pair = phi.derivative_moment(q, 1) if distance == 0 else phi.derivative_pair(q, distance)
    return _depth_scale(w2 * float(phi.second_moment_slope(q))), _depth_scale(w2 * float(pair))


def _homogeneous_fixed_point(sigma_w: float, sigma_b: float, phi: Activation) -> float:
    # Exact rational arithmetic, since 1 - kappa sigma_w^2 would cancel near the critical point.
    rest = 1 - Fraction(phi.origin_slope) * Fraction(float(sigma_w)) ** 2
    marginal = sigma_b == 0 and abs(rest) <= 4 * _EPS
    if rest <= 0 or marginal:
        reason = "every q is a fixed point" if marginal else "q has no stable fixed point"
        allowed = math.sqrt(1 / phi.origin_slope)
        raise NoFixedPoint(
            f"{phi.name} at sigma_w = {sigma_w}, sigma_b = {sigma_b}: {reason}; "
            f"allowed: sigma_w below {allowed:.6g}"
        )
    return float(Fraction(float(sigma_b)) ** 2 / rest)


def _fixed_distance(sigma_w: float, sigma_b: float, phi: Activation) -> tuple[float, float]:
    """(q*, 1 - c*). The distance keeps its relative accuracy close to the critical line."""
    w2, b2 = _variances(sigma_w, sigma_b)
    if np.isinf(phi.bound):
        slope = w2 * phi.origin_slope
        critical = b2 == 0 and abs(slope - 1) <= 4 * _EPS  # all q are fixed and share C(c)
        return (1.0 if critical else _homogeneous_fixed_point(sigma_w, sigma_b, phi)), 0.0
    q = q_fixed_point(sigma_w, sigma_b, phi.name)
    if q == 0 or w2 * phi.origin_slope <= 1:  # phi' is largest at zero, so chi < 1
        return q, 0.0
    if b2 == 0 and phi.odd:
        return q, 1.0
    chi_excess = (w2 * float(phi.poincare_gap(q)) - b2) / q  # chi - 1 at q*, without cancellation
    if chi_excess <= 0:
        return q, 0.0
    length = w2 * float(phi.second_moment(q)) + b2

    # C(c) is a power series in c with non-negative coefficients, so (1 - C)/(1 - c) increases with
    # c, from 1 - C(0) <= 1 to chi. It equals one at c* and nowhere else.
    def excess(distance: float) -> float:
        if distance == 0:
            return chi_excess
        return w2 * float(phi.pair_gap(q, distance)) / (length * distance) - 1

    if excess(1.0) >= 0:  # C(0) is zero to rounding
        return q, 1.0
    return q, brentq(excess, 0.0, 1.0, xtol=1e-300, rtol=4 * _EPS)


def _depth_scale(slope: float) -> float:
    if slope <= 0:
        return 0.0
    return math.inf if slope >= 1 - _ROUNDING else -1 / math.log(slope)


def _variances(sigma_w: float, sigma_b: float) -> tuple[float, float]:
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        number = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
        if not (number and 0 <= value <= _LARGEST_SIGMA):
            raise ValueError(
                f"{name} is a standard deviation: allowed is one number from 0 to "
                f"{_LARGEST_SIGMA:g}, got {value!r}"
            )
    return float(sigma_w) * float(sigma_w), float(sigma_b) * float(sigma_b)

"""Gaussian moments in closed form: erf, ReLU, hard tanh.

Names and arguments are those of the fields of `ticketlens.theory.activations.Activation`, which
says what each is the average of: u ~ N(0, q), (u1, u2) jointly normal with variance q and
correlation c = 1 - d. Φ is the normal distribution function, φ its density, z standard normal.

Sources: Williams (1997), "Computing with infinite networks", for the kernel of erf; Cho & Saul
(2009), "Kernel methods for deep learning", for that of ReLU (arc-cosine, order one). Bivariate
normal probabilities come from Owen's function T(h, a).
"""

from typing import cast

import numpy as np
from scipy import special

from ticketlens.theory.arguments import Array, Values

_SQRT_2PI = np.sqrt(2 * np.pi)
_TINY = 1e-100


def normal_density(x: Values) -> Array:
    """exp(-x²/2)/√(2π)."""
    return cast(Array, np.exp(-x * x / 2) / _SQRT_2PI)


def angle(d: Values) -> Array:
    """arccos(1 - d), accurate for small d."""
    return 2 * np.arcsin(np.sqrt(d / 2))


# --- erf -----------------------------------------------------------------------------------------


def erf_second_moment(q: Values) -> Array:
    """(2/π) arcsin(2q/(1 + 2q)) (Williams 1997)."""
    # The arcsine of 2q/(1 + 2q), written so that nothing is lost where its argument is near one.
    return 2 / np.pi * np.arctan(2 * q / np.sqrt(1 + 4 * q))


def erf_deficit(q: Values) -> Array:
    """4q/π - (2/π) arcsin(2q/(1 + 2q)), written without their cancellation."""
    root = np.sqrt(1 + 4 * q)
    return cast(Array, 16 / np.pi * q * q / (root * (root + 1)) + erf_poincare_gap(q))


def erf_deficit_slope(q: Values) -> Array:
    """(4/π)(1 - 1/((1 + 2q) √(1 + 4q)))."""
    root = np.sqrt(1 + 4 * q)
    return 4 / np.pi * (4 * q / (root + 1) + 2 * q * root) / ((1 + 2 * q) * root)


def erf_derivative_moment(q: Values, k: int) -> Array:
    """(4/π)^k/√(1 + 4kq)."""
    return (4 / np.pi) ** k / np.sqrt(1 + 4 * k * q)


def erf_poincare_gap(q: Values) -> Array:
    """(2/π)(y - arctan y), y = 2q/√(1 + 4q); a series where y is small."""
    y = 2 * q / np.sqrt(1 + 4 * q)
    small = np.minimum(y, 0.05)
    series = np.polyval([-1 / 13, 1 / 11, -1 / 9, 1 / 7, -1 / 5, 1 / 3], small**2) * small**3
    return 2 / np.pi * np.where(y < 0.05, series, y - np.arctan(y))


def _erf_root(q: Values, d: Values) -> Array:
    """sqrt((1 + 2q)^2 - (2qc)^2), the square root of det(I + 2 Cov)."""
    return np.sqrt((1 + 2 * q * d) * (1 + 2 * q * (2 - d)))


def erf_pair_gap(q: Values, d: Values) -> Array:
    """(2/π)(arcsin A - arcsin Ac), A = 2q/(1 + 2q) (Williams 1997)."""
    # arcsin(A) - arcsin(Ac) with A = 2q/(1 + 2q), as the angle between two unit vectors.
    c, at_one, at_c = 1 - d, np.sqrt(1 + 4 * q), _erf_root(q, d)
    positive = (1 + 2 * q) ** 2 * d * (2 - d) / (at_c + np.abs(c) * at_one)
    sine = 2 * q * np.where(c >= 0, positive, at_c - c * at_one)
    return 2 / np.pi * np.arctan2(sine, at_one * at_c + 4 * q * q * c)


def erf_derivative_pair(q: Values, d: Values) -> Array:
    """(4/π)/√((1 + 2q)² - (2qc)²)."""
    return 4 / np.pi / _erf_root(q, d)


def erf_gaussian_second_moment(mean: Values, variance: Values) -> Array:
    """1 - 8 T(m √(2/(1 + 2v)), 1/√(1 + 4v)) for mean m and variance v (Owen's T)."""
    # erf(h) = 2 Phi(sqrt(2) h) - 1, and E Phi(sqrt(2) h)^2 is a bivariate normal probability.
    threshold = mean * np.sqrt(2 / (1 + 2 * variance))
    return cast(Array, 1 - 8 * special.owens_t(threshold, 1 / np.sqrt(1 + 4 * variance)))


# --- ReLU ----------------------------------------------------------------------------------------


def relu_pair_gap(q: Values, d: Values) -> Array:
    """(q/2π)(πd - √(1 - c²) + c arccos c) (Cho & Saul 2009, order one)."""
    sine = np.sqrt(d * (2 - d))
    return q / (2 * np.pi) * (np.pi * d - sine + (1 - d) * angle(d))


def relu_derivative_pair(q: Values, d: Values) -> Array:
    """1/2 - arccos(c)/(2π), whatever q (Cho & Saul 2009, order zero)."""
    return 0.5 - angle(d) / (2 * np.pi) + 0 * q


def relu_gaussian_second_moment(mean: Values, variance: Values) -> Array:
    """(m² + s²) Φ(m/s) + m s φ(m/s) for mean m and variance s²."""
    s = np.sqrt(variance)
    ratio = np.clip(mean / np.maximum(s, _TINY), -40, 40)  # Phi(-40) is zero to rounding
    return cast(
        Array, (mean**2 + variance) * special.ndtr(ratio) + mean * s * normal_density(ratio)
    )


# --- hard tanh: in units of sqrt(q), clips a standard normal z at +-t, t = 1/sqrt(q) -------------


def _clip_point(q: Values) -> Array:
    return 1 / np.sqrt(np.maximum(q, 1 / 1600))  # beyond t = 40 nothing is clipped, to rounding


def hard_tanh_second_moment(q: Values) -> Array:
    """q P(3/2, t²/2) + 2Φ(-t), P the regularised lower incomplete gamma function."""
    t = _clip_point(q)
    return cast(Array, q * special.gammainc(1.5, t * t / 2) + 2 * special.ndtr(-t))


def hard_tanh_deficit(q: Values) -> Array:
    """q - E phi(u)² = 2q Φ(-t) + the Poincaré gap."""
    return cast(Array, 2 * q * special.ndtr(-_clip_point(q)) + hard_tanh_poincare_gap(q))


def hard_tanh_deficit_slope(q: Values) -> Array:
    """1 - P(3/2, t²/2), P the regularised lower incomplete gamma function."""
    return cast(Array, special.gammaincc(1.5, _clip_point(q) ** 2 / 2))


def hard_tanh_derivative_moment(q: Values, k: int) -> Array:
    """P(|z| < t) = erf(t/√2), whatever k: phi' is 0 or 1."""
    return cast(Array, special.erf(_clip_point(q) / np.sqrt(2)))


def hard_tanh_poincare_gap(q: Values) -> Array:
    """2φ(t)(1/t - M(t)), M = Φ(-t)/φ(t) being Mills' ratio."""
    t = _clip_point(q)
    mills = np.sqrt(np.pi / 2) * special.erfcx(t / np.sqrt(2))
    return cast(Array, 2 * normal_density(t) * (1 / t - mills))


def _check_cancellation(variance: Values) -> None:
    # Terms of the order of the variance cancel below: ten digits are left at 1e6.
    if np.max(variance, initial=0.0) > 1e6:
        raise ValueError(
            f"variance {np.max(variance):.6g} is too large for the closed forms of hard_tanh: "
            "allowed up to 1e+06"
        )


def hard_tanh_pair_gap(q: Values, d: Values) -> Array:
    """q E (clip z1 - clip z2)²/2, in closed form, near c = 1 by quadrature of its slope in c."""
    # The closed form loses digits as d -> 0. There, the derivative in c, q E phi'(u1) phi'(u2), is
    # integrated from c = cos(angle) to one by Gauss-Legendre. It is smooth in the angle as long as
    # that is small beside t: (z1, z2) then cannot sit at two opposite corners.
    _check_cancellation(q)
    q, d = np.broadcast_arrays(q, d)
    theta = angle(d)
    limit = np.minimum(_clip_point(q) / 6, 0.5)
    if np.all(theta > limit):
        return _hard_tanh_pair_gap_closed(q, d)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    near = np.minimum(theta, limit)
    steps = near[..., None] * (nodes + 1) / 2
    slope = hard_tanh_derivative_pair(q[..., None], 2 * np.sin(steps / 2) ** 2)
    integral = q * near * ((slope * np.sin(steps)) @ (weights / 2))
    return np.where(theta <= limit, integral, _hard_tanh_pair_gap_closed(q, d))


def _hard_tanh_pair_gap_closed(q: Array, d: Array) -> Array:
    # clip(z) = z - (z - t)+ + (-z - t)+ turns the average into G(c) = E (z1 - t)+ (z2 - t)+ at c
    # and at -c: E clip clip / q = c (1 - 4 Phi(-t)) + 2 G(c) - 2 G(-c), with
    # G(c) = (c + t^2) L + sqrt(1 - c^2)/(2 pi) exp(-t^2/(1 + c)) - 2 t phi(t) Phi(-t a), and
    # L(c) = P(z1 > t, z2 > t) = Phi(-t) - 2 T(t, a), a = sqrt((1 - c)/(1 + c)).
    # Both differences, G(1) - G(c) and G(-1) - G(-c) = -G(-c), are written out so that the
    # terms of order one cancel on paper.
    t = _clip_point(q)
    c, sine = 1 - d, np.sqrt(d * (2 - d))
    a, inverse = _slopes(d)
    tail, density = special.ndtr(-t), normal_density(t)
    far_tail = special.ndtr(-t * inverse)
    to_one = (
        d * tail
        + 2 * (c + t * t) * special.owens_t(t, a)
        - t * density * special.erf(t * a / np.sqrt(2))
        - sine / (2 * np.pi) * np.exp(-t * t / np.maximum(2 - d, _TINY))
    )
    both_beyond = 2 * special.owens_t(t * inverse, a) - far_tail * (1 - 2 * tail)
    opposite = (
        (t * t - c) * both_beyond
        + sine / (2 * np.pi) * np.exp(-t * t / np.maximum(d, _TINY))
        - 2 * t * density * far_tail
    )
    return cast(Array, q * (d * (1 - 4 * tail) + 2 * to_one + 2 * opposite))


def _slopes(d: Values) -> tuple[Array, Array]:
    """sqrt((1 - c)/(1 + c)) and its inverse, both finite."""
    near, far = np.sqrt(np.maximum(d, _TINY)), np.sqrt(np.maximum(2 - d, _TINY))
    return near / far, far / near


def hard_tanh_derivative_pair(q: Values, d: Values) -> Array:
    """P(|z1| < t, |z2| < t) = 1 - 4(T(t, a) + T(t, 1/a)), a = √((1 - c)/(1 + c)) (Owen's T)."""
    t = _clip_point(q)
    a, inverse = _slopes(d)
    return cast(Array, 1 - 4 * (special.owens_t(t, a) + special.owens_t(t, inverse)))


def hard_tanh_gaussian_second_moment(mean: Values, variance: Values) -> Array:
    """(m² + s²)(Φ(h) - Φ(l)) + 2ms(φ(l) - φ(h)) + s²(lφ(l) - hφ(h)) + Φ(l) + Φ(-h).

    m is the mean, s² the variance, l = (-1 - m)/s, h = (1 - m)/s. Raises ValueError for a variance
    above 1e6, as do the pair gaps: too few digits would be left.
    """
    _check_cancellation(variance)
    mean, s = np.abs(mean), np.sqrt(variance)  # |mean|: both tails are then small ones
    scale = np.maximum(s, _TINY)
    low = np.clip((-1 - mean) / scale, -40, 40)
    high = np.clip((1 - mean) / scale, -40, 40)
    inside = special.ndtr(high) - special.ndtr(low)
    low_density, high_density = normal_density(low), normal_density(high)
    return cast(
        Array,
        (mean**2 + variance) * inside
        + 2 * mean * s * (low_density - high_density)
        + variance * (low * low_density - high * high_density)
        + special.ndtr(low)
        + special.ndtr(-high),
    )

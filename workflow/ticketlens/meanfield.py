"""Mean field theory of wide random networks: length map, correlation map, edge of chaos.

A layer is h' = W phi(h) + b with independent W_ij of variance sigma_w^2 / fan_in and biases of
variance sigma_b^2: sigma_w and sigma_b are STANDARD DEVIATIONS (parts of the literature use the
same letters for variances). q is the mean square of the pre-activations h, c the correlation of the
pre-activations of two inputs, Dz the standard normal measure.

    V(q)      = sigma_w^2 int Dz phi(sqrt(q) z)^2 + sigma_b^2
    C(c | q)  = [sigma_w^2 int Dz1 Dz2 phi(u1) phi(u2) + sigma_b^2] / V(q)
                with u1 = sqrt(q) z1, u2 = sqrt(q) (c z1 + sqrt(1 - c^2) z2)
    chi(q)    = sigma_w^2 int Dz phi'(sqrt(q) z)^2

Sources: Poole et al. (2016), arXiv:1606.05340, for V, C and chi; Schoenholz et al. (2017),
arXiv:1611.01232, for the depth scales. Activations: "tanh", "erf" (erf(x), so phi'(0) is
2/sqrt(pi)), "relu", "hard_tanh" (clip(x, -1, 1)), "linear"; see `ticketlens.theory.activations`.

Accuracy: absolute errors stay below 1e-10 for sigma_w in [0.1, 10], sigma_b in [0, 2], q in
[0, 100]; for depth scales, which diverge, that is the error of the slope inside the logarithm. At
the end point of the critical line, sigma_b < 1e-4 and q* < 1e-4, c* reacts to the last bit of
sigma_w and is as good as that allows. Larger q are served as long as digits are left: for tanh up
to 1e6 (1e4 in the correlation map), for hard_tanh up to 1e6 in the correlation map and with a mean;
beyond that a ValueError says so.

Arguments q and c may be scalars (the result is a float) or arrays of any shapes that broadcast (the
result is an array of that shape); sigma_w and sigma_b are numbers. All functions raise ValueError
for a negative, infinite or NaN sigma or q, for c outside [-1, 1] and for an unknown activation.

Examples of the functions below assume:

    >>> import numpy as np
    >>> from ticketlens import meanfield as mf
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ticketlens.theory import gaussian
from ticketlens.theory.activations import get
from ticketlens.theory.arguments import Array, Values
from ticketlens.theory.fixed_points import NoFixedPoint as NoFixedPoint
from ticketlens.theory.fixed_points import _variances
from ticketlens.theory.fixed_points import c_fixed_point as c_fixed_point
from ticketlens.theory.fixed_points import critical_sigma_w as critical_sigma_w
from ticketlens.theory.fixed_points import depth_scales as depth_scales
from ticketlens.theory.fixed_points import q_fixed_point as q_fixed_point

__all__ = [
    "NoFixedPoint",
    "c_fixed_point",
    "c_map",
    "chi",
    "critical_sigma_w",
    "dense_q",
    "depth_scales",
    "derivative_moment",
    "expectation",
    "gaussian_second_moment",
    "q_fixed_point",
    "q_map",
    "residual_chi",
    "residual_q_map",
    "second_moment",
]

_LARGEST_Q = 1e100


# --- Gaussian averages ---------------------------------------------------------------------------


def expectation(f: Callable[[Array], Array], q: ArrayLike, strip: float = np.pi / 2) -> Values:
    """E f(sqrt(q) z) for standard normal z and a smooth f.

    f: vectorised function of an array, analytic within the distance `strip` of the real axis
        (default pi/2: tanh and what is made of it), growing at most polynomially. A kink in f
        breaks the accuracy; use the moments below for kinked activations.
    q: variance, shape (...). Returns shape (...).
    Raises ValueError for bad q, and for q too large for the quadrature (1e6 at the default strip).

    Shapes: q (...) -> (...).

    >>> round(mf.expectation(np.cos, 1.0), 6)
    0.606531
    """
    if not strip > 0:
        raise ValueError(f"strip must be positive, got {strip!r}")
    return _like(gaussian.expectation(f, _length(q), strip), q)


def second_moment(q: ArrayLike, activation: str = "tanh") -> Values:
    """E phi(sqrt(q) z)^2, the mean square of the activations at length q.

    Shapes: q (...) -> (...).

    >>> round(mf.second_moment(1.0, "erf"), 6)
    0.464559
    """
    return _like(get(activation).second_moment(_length(q)), q)


def derivative_moment(q: ArrayLike, k: int, activation: str = "tanh") -> Values:
    """mu_k = E phi'(sqrt(q) z)^(2k), a moment of the squared slopes (k = 1: chi / sigma_w^2).

    At q = 0 this is the limit q -> 0+ (for ReLU 1/2, not phi'(0)^2).
    Raises ValueError for k other than 1, 2, 3, 4.

    Shapes: q (...) -> (...).

    >>> mf.derivative_moment(2.0, 1, "relu")
    0.5
    """
    if k not in (1, 2, 3, 4):
        raise ValueError(f"k must be 1, 2, 3 or 4, got {k!r}")
    return _like(get(activation).derivative_moment(_length(q), k), q)


def gaussian_second_moment(
    mean: ArrayLike, variance: ArrayLike, activation: str = "tanh"
) -> Values:
    """E phi(h)^2 under h ~ N(mean, variance), elementwise.

    mean, variance: shapes that broadcast, for example (samples, neurons) with one mean (the bias)
        and one variance per neuron. Returns the broadcast shape.
    Raises ValueError for a negative variance or values that are not finite.

    Shapes: mean (...), variance (...) -> (...).

    >>> mf.gaussian_second_moment(1.0, 2.0, "linear")
    3.0
    """
    mean = np.asarray(mean, dtype=float)
    if not np.all(np.abs(mean) <= _LARGEST_Q):
        raise ValueError(f"mean must be finite, got {_first(mean, np.abs(mean) <= _LARGEST_Q)}")
    moment = get(activation).gaussian_second_moment(mean, _length(variance, "variance"))
    return _like(moment, mean, variance)


# --- The length map ------------------------------------------------------------------------------


def q_map(q: ArrayLike, sigma_w: float, sigma_b: float, activation: str = "tanh") -> Values:
    """V(q), the mean square of the next layer's pre-activations (Poole et al. 2016).

    q: shape (...). Returns shape (...).

    Shapes: q (...) -> (...).

    >>> mf.q_map([0.5, 1.0], 1.5, 0.1).round(6)
    array([0.625772, 0.897163])
    """
    w2, b2 = _variances(sigma_w, sigma_b)
    return _like(w2 * get(activation).second_moment(_length(q)) + b2, q)


def residual_q_map(
    q: ArrayLike, sigma_w: float, sigma_b: float, activation: str = "tanh"
) -> Values:
    """q after a block of two layers with a skip across both: h' = h + W2 phi(W1 phi(h) + b1) + b2.

    q1 = V(q), q' = q + V(q1): the pre-activation form. It has no fixed point; q grows with depth.
    q: shape (...). Returns shape (...).

    Shapes: q (...) -> (...).

    >>> mf.residual_q_map(1.0, 1.0, 0.0, "linear")
    2.0
    """
    return _like(
        _length(q) + q_map(q_map(q, sigma_w, sigma_b, activation), sigma_w, sigma_b, activation), q
    )


def dense_q(
    stem: float, sigma_w: float, sigma_b: float, count: int, activation: str = "tanh"
) -> Array:
    """Return q of every hidden layer of a wide dense residual network: (1 + 2·count,).

    `stem` is q of the trunk before the first of `count` blocks; then q inside each block and of the
    trunk behind it, in turns.

    Shapes: -> (1 + 2 count,).

    >>> mf.dense_q(1.0, 1.0, 0.0, 2, "linear")
    array([1., 1., 2., 2., 4.])
    """
    q = [float(stem)]
    for _ in range(count):
        q.append(cast(float, q_map(q[-1], sigma_w, sigma_b, activation)))
        q.append(cast(float, residual_q_map(q[-2], sigma_w, sigma_b, activation)))
    return np.array(q)


# --- The correlation map -------------------------------------------------------------------------


def c_map(
    c: ArrayLike, q: ArrayLike, sigma_w: float, sigma_b: float, activation: str = "tanh"
) -> Values:
    """C(c | q), the correlation of two inputs after one layer (Poole et al. 2016).

    Both inputs have length q. C(1) = 1; the slope there is chi(q) q / V(q), which is chi at q*.
    c, q: shapes that broadcast. Returns the broadcast shape. tanh is integrated point by point
    (order of 0.1 ms each at q of order one), the others are closed forms.
    At q = 0 without biases it is the limit q -> 0+ (c itself, but for ReLU). Raises ValueError for
    sigma_w = sigma_b = 0, where the next layer is zero and has no correlation.

    Shapes: c (...), q (...) -> (...).

    >>> round(mf.c_map(0.5, 1.0, 1.5, 0.1), 6)
    0.47843
    """
    w2, b2 = _variances(sigma_w, sigma_b)
    phi = get(activation)
    distance = 1 - _correlation(c)
    length = _length(q)
    if w2 == 0 and b2 == 0:
        raise ValueError("sigma_w = 0 and sigma_b = 0: a layer of zeros has no correlation")
    if b2 == 0:  # sigma_w drops out
        length = np.maximum(length, 1e-30)
        gap = phi.pair_gap(length, distance) / phi.second_moment(length)
    else:
        gap = w2 * phi.pair_gap(length, distance) / (w2 * phi.second_moment(length) + b2)
    return _like(np.clip(1 - gap, -1.0, 1.0), c, q)


def chi(
    sigma_w: float, sigma_b: float, activation: str = "tanh", q: ArrayLike | None = None
) -> Values:
    """chi_1 = sigma_w^2 E phi'(sqrt(q) z)^2 at q, by default at q* (Poole et al. 2016).

    At q* it is the slope of the correlation map at c = 1: chi > 1 makes c = 1 unstable (chaos),
    chi < 1 makes it stable (order). For ReLU and linear it does not depend on q and is given even
    where there is no q*.
    q: shape (...). Returns shape (...).

    Shapes: q (...) -> (...).

    >>> round(mf.chi(1.5, 0.1), 6)
    1.129053
    """
    w2, _ = _variances(sigma_w, sigma_b)
    phi = get(activation)
    if q is None:
        q = 0.0 if np.isinf(phi.bound) else q_fixed_point(sigma_w, sigma_b, activation)
    return _like(w2 * phi.derivative_moment(_length(q), 1), q)


def residual_chi(q: ArrayLike, sigma_w: float, sigma_b: float, activation: str = "tanh") -> Values:
    """1 + chi(q) chi(V(q)): the mean squared singular value of the block of `residual_q_map`.

    Always above one: a residual network of this form is never critical.

    Shapes: q (...) -> (...).

    >>> mf.residual_chi(1.0, 1.0, 0.0, "linear")
    2.0
    """
    inner = q_map(q, sigma_w, sigma_b, activation)
    branch = chi(sigma_w, sigma_b, activation, q) * chi(sigma_w, sigma_b, activation, inner)
    return _like(np.asarray(1 + branch), q)


# --- Parts ---------------------------------------------------------------------------------------


def _length(q: ArrayLike, name: str = "q") -> Array:
    q = np.asarray(q, dtype=float)
    good = (q >= 0) & (q <= _LARGEST_Q)  # false for NaN
    if not np.all(good):
        raise ValueError(
            f"{name} is a mean square: allowed is 0 to {_LARGEST_Q:g}, got {_first(q, good)}"
        )
    return q


def _correlation(c: ArrayLike) -> Array:
    c = np.asarray(c, dtype=float)
    good = np.abs(c) <= 1
    if not np.all(good):
        raise ValueError(f"c is a correlation: allowed is -1 to 1, got {_first(c, good)}")
    return c


def _first(values: Array, good: npt.NDArray[np.bool_]) -> float:
    return float(values[~good].flat[0]) if values.ndim else float(values)


def _like(result: Array, *arguments: ArrayLike) -> Values:
    """A float if all arguments were scalars, else an array."""
    return float(result) if all(np.ndim(a) == 0 for a in arguments) else np.asarray(result)

"""Gaussian expectations of analytic functions, by the trapezoid rule.

For an integrand that is analytic in a strip around the real axis the trapezoid rule converges
exponentially (Trefethen & Weideman, SIAM Review 56, 385, 2014). With step h in the standard normal
variable z, and with the nearest singularity of f at distance `strip` from the real axis, so at
distance a = strip/sigma for f(mean + sigma z), the error is about

    exp(-(2 pi a / h - a^2 / 2))   for a < 2 pi / h,      exp(-2 pi^2 / h^2)   otherwise,

times a constant that depends on the kind of singularity. The steps below make it exp(-EXPONENT),
which leaves a wide margin for that constant: a pole of order sixteen, as in the eighth power of
tanh', costs ten digits at sigma = 10, a pole of order two hardly one. Gauss-Hermite quadrature has
no such control: with a fixed number of nodes it loses its digits as sigma grows.

Functions with a kink (ReLU, hard tanh) do not belong here: they have closed forms.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt

from ticketlens.theory.arguments import Array, Values

EXPONENT = 60.0  # in one dimension, where nodes are cheap
PAIR_EXPONENT = 42.0  # in two
_REACH = 9.0  # nodes reach to |z| = 9, beyond which the normal law holds 2e-19
_STEPS_PER_OCTAVE = 4  # rules are tabulated for spreads that grow by 2**(1/4)
_BLOCK = 1 << 14  # values per block: larger temporaries would be mapped and cleared each time

LARGEST_SPREAD = 640.0  # sigma / strip; tanh: q <= 1.0e6, at 100,000 nodes
LARGEST_PAIR_SPREAD = 64.0  # the same in two dimensions; tanh: q <= 1.0e4, at 10 million nodes


@lru_cache(maxsize=256)
def _half_rule(level: int, exponent: float) -> tuple[Array, Array]:
    """Nodes z >= 0 and weights for even integrands; `level` sets the distance a."""
    a = _REACH * 2.0 ** (-level / _STEPS_PER_OCTAVE)
    step = 2 * np.pi * a / (exponent + a * a / 2)
    z = step * np.arange(int(np.ceil(_REACH / step)) + 1)
    weight = step * np.sqrt(2 / np.pi) * np.exp(-z * z / 2)
    weight[0] /= 2
    return _frozen(z), _frozen(weight)


@lru_cache(maxsize=256)
def _rule(level: int) -> tuple[Array, Array]:
    """The one-dimensional rule on the whole line, for integrands that are not even."""
    z, weight = _half_rule(level, EXPONENT)
    whole = np.concatenate([weight[:0:-1] / 2, weight[:1], weight[1:] / 2])
    return _frozen(np.concatenate([-z[:0:-1], z])), _frozen(whole)


def _frozen(array: Array) -> Array:
    array.flags.writeable = False  # cached arrays are shared between calls
    return array


def _levels(sigma: Array, strip: float, largest: float) -> npt.NDArray[np.int64]:
    """The rule that each standard deviation needs; level 0 serves every small one."""
    spread = sigma / strip
    if spread.max(initial=0.0) > largest:
        raise ValueError(
            f"variance {sigma.max() ** 2:.6g} is too large for numerical integration: "
            f"allowed up to {(largest * strip) ** 2:.6g} for this function"
        )
    octaves = np.log2(np.maximum(spread * _REACH, 1.0))
    return cast(npt.NDArray[np.int64], np.ceil(_STEPS_PER_OCTAVE * octaves).astype(int))


def _blocks(
    levels: npt.NDArray[np.int64],
) -> Iterator[tuple[npt.NDArray[np.int64], Array, Array]]:
    """Rows of one level at a time, in blocks that stay in cache, with that level's rule."""
    for level in np.unique(levels):
        z, weight = _rule(int(level))
        rows = np.flatnonzero(levels == level)
        size = max(1, _BLOCK // z.size)
        for start in range(0, rows.size, size):
            yield rows[start : start + size], z, weight


def shifted_expectation(
    f: Callable[[Array], Array],
    mean: Values,
    variance: Values,
    strip: float = np.pi / 2,
) -> Array:
    """E f(h) under h ~ N(mean, variance), elementwise over the broadcast mean and variance.

    f: vectorised, analytic within `strip` of the real axis (default: tanh and its derivatives), and
        growing at most polynomially.
    mean, variance: any shapes that broadcast, in the units of f's argument and their square.
    Raises ValueError where the variance is too large for the quadrature (1e6 for tanh).
    """
    if np.ndim(mean) == 0 and np.ndim(variance) == 0:  # the short way, for fixed points
        sigma = np.sqrt(variance)
        z, weight = _rule(int(_levels(sigma, strip, LARGEST_SPREAD)))
        h = mean + sigma * z
        return np.broadcast_to(f(h), h.shape) @ weight
    mean, variance = np.broadcast_arrays(mean, variance)
    sigma = np.sqrt(variance.ravel().astype(float))
    centre = mean.ravel().astype(float)
    result = np.empty(sigma.size)
    for rows, z, weight in _blocks(_levels(sigma, strip, LARGEST_SPREAD)):
        h = centre[rows, None] + sigma[rows, None] * z
        result[rows] = np.broadcast_to(f(h), h.shape) @ weight
    return result.reshape(variance.shape)


def expectation(f: Callable[[Array], Array], q: Values, strip: float = np.pi / 2) -> Array:
    """E f(sqrt(q) z) for standard normal z, elementwise over q. See `shifted_expectation`."""
    return shifted_expectation(f, 0.0, q, strip)


def pair_expectation(
    f: Callable[[Array, Array], Array],
    q: Values,
    distance: Values,
    strip: float = np.pi / 2,
) -> Array:
    """E f(x, y) for u1 = x + y and u2 = x - y jointly normal, variance q, correlation 1 - distance.

    x and y are independent, with variances q(2 - distance)/2 and q distance/2. These coordinates
    stay regular at both ends: at correlation 1 it is y that vanishes, at -1 it is x.
    f: vectorised over broadcastable x and y, analytic as above, even in x and even in y: so it is
        for products phi(u1) phi(u2) of one odd or even function.
    Raises ValueError where q is too large for the two-dimensional quadrature (1e4 for tanh).
    """
    q, distance = np.broadcast_arrays(q, distance)
    result = np.empty(q.size)
    for i, (variance, gap) in enumerate(zip(q.flat, distance.flat, strict=True)):
        sigma = np.sqrt(variance * np.array([(2 - gap) / 2, gap / 2]))
        x_level, y_level = _levels(sigma, strip, LARGEST_PAIR_SPREAD)
        x, x_weight = _half_rule(int(x_level), PAIR_EXPONENT)
        y, y_weight = _half_rule(int(y_level), PAIR_EXPONENT)
        rows = max(1, _BLOCK // y.size)
        result[i] = sum(
            x_weight[s : s + rows] @ f(sigma[0] * x[s : s + rows, None], sigma[1] * y) @ y_weight
            for s in range(0, x.size, rows)
        )
    return result.reshape(q.shape)

"""Spectra of random matrices: Marchenko-Pastur, and the input-output Jacobian of a wide network.

Conventions: sigma_w is a standard deviation, Var W_ij = sigma_w² / N_in; s² denotes eigenvalues of
J Jᵀ (squared singular values), J = Π_l D_l W_l with D_l = diag phi'(h_l), h_l ~ N(0, q_l) as in
mean field theory, and one factor per entry of `q_per_layer`. W is square, either `"gaussian"`
(independent entries) or `"orthogonal"` (sigma_w times a Haar orthogonal matrix).

These are functions for users of the library, too: the workflow does not call all of them.

Sources: Marchenko & Pastur 1967; Poole et al. 2016 (arXiv:1606.05340); Pennington, Schoenholz,
Ganguli 2017 (arXiv:1711.04735) and 2018 (arXiv:1802.09979). The solver is in `free_probability`.

Examples of the functions below assume:

    >>> import numpy as np
    >>> from ticketlens import random_matrix as rmt
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from ticketlens.meanfield import derivative_moment
from ticketlens.theory import free_probability as free
from ticketlens.theory import slope_laws
from ticketlens.theory.arguments import Array, finite, points, positive
from ticketlens.theory.marchenko_pastur import Result
from ticketlens.theory.marchenko_pastur import marchenko_pastur_atom as marchenko_pastur_atom
from ticketlens.theory.marchenko_pastur import marchenko_pastur_cdf as marchenko_pastur_cdf
from ticketlens.theory.marchenko_pastur import marchenko_pastur_density as marchenko_pastur_density
from ticketlens.theory.marchenko_pastur import marchenko_pastur_edges as marchenko_pastur_edges
from ticketlens.theory.s_transforms import s_transform_gaussian as s_transform_gaussian
from ticketlens.theory.s_transforms import s_transform_orthogonal as s_transform_orthogonal
from ticketlens.theory.s_transforms import s_transform_zero_one as s_transform_zero_one
from ticketlens.theory.weight_spectra import outliers as outliers
from ticketlens.theory.weight_spectra import participation_ratio as participation_ratio

# First moment of the S-transform of W Wᵀ / sigma_w², S(m) = 1 + s1 m + ...
WEIGHTS = {"gaussian": -1.0, "orthogonal": 0.0}

# Beyond it the slopes are zero for all practical purposes, and the quadrature gets expensive.
LARGEST_Q = 1e4


class UnknownLawError(ValueError):
    """The law of s² has no density (atoms only), or is not known for this activation or q."""


# ---------------------------------------------------------------- input


def _layers(q_per_layer: ArrayLike, sigma_w: ArrayLike, weights: str) -> tuple[Array, Array]:
    """Checked q `(layers,)` and sigma_w broadcast to `(layers,)`."""
    q = np.atleast_1d(finite("q_per_layer", q_per_layer, "finite and >= 0", lambda a: a >= 0))
    if q.ndim != 1 or q.size == 0:
        raise ValueError(f"q_per_layer has shape {q.shape}: one q per factor, at least one factor")
    sigma = positive("sigma_w", sigma_w)
    if sigma.shape not in ((), q.shape):
        raise ValueError(
            f"sigma_w has shape {sigma.shape}: a scalar or one per entry of q_per_layer {q.shape}"
        )
    if weights not in WEIGHTS:
        raise ValueError(f"weights = {weights!r}: must be one of {', '.join(WEIGHTS)}")
    return q, np.broadcast_to(sigma, q.shape)


def _product(
    q_per_layer: ArrayLike, sigma_w: ArrayLike, weights: str, activation: str
) -> free.Product:
    q, sigma = _layers(q_per_layer, sigma_w, weights)
    if activation not in slope_laws.ACTIVATIONS:
        raise UnknownLawError(
            f"activation = {activation!r}: the Jacobian spectrum is known for "
            f"{', '.join(slope_laws.ACTIVATIONS)}"
        )
    if q.max() > LARGEST_Q:
        raise UnknownLawError(
            f"q_per_layer = {q.max()}: the Jacobian spectrum is computed for q up to {LARGEST_Q:g}"
        )
    log_scale = 2 * np.log(sigma).sum()
    return free.product(q, log_scale, weights == "orthogonal", activation)


def _continuous_product(
    q_per_layer: ArrayLike, sigma_w: ArrayLike, weights: str, activation: str
) -> free.Product:
    prod = _product(q_per_layer, sigma_w, weights, activation)
    if not prod.has_continuous_part:
        atoms = ", ".join(f"mass {w:.6g} at s² = {x:.6g}" for x, w in _atoms(prod))
        raise UnknownLawError(
            f"activation = {activation!r} with orthogonal weights and at most one random slope has "
            f"no density, only atoms ({atoms}): use jacobian_atoms or jacobian_cdf"
        )
    return prod


# ---------------------------------------------------------------- the Jacobian


def jacobian_moments(
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> tuple[float, float]:
    """Mean and variance of s², the squared singular values of J.

    E s² = Π chi_l and Var s² = (E s²)² Σ_l (mu2_l / mu1_l² − 1 − s1), with chi_l = sigma_w² mu1_l,
    mu_k = E phi'(√q_l z)^(2k), and s1 = −1 for Gaussian, 0 for orthogonal weights.

    q_per_layer: `(layers,)`, >= 0; sigma_w: scalar or `(layers,)`, > 0. Returns two floats.
    Raises ValueError for anything else. Source: Pennington, Schoenholz, Ganguli 2017, with one
    term per layer where q differs between layers.

    Shapes: q_per_layer (layers,), sigma_w () or (layers,).

    >>> rmt.jacobian_moments([1.0, 1.0], 1.0, "gaussian", "linear")
    (1.0, 2.0)
    """
    q, sigma = _layers(q_per_layer, sigma_w, weights)
    mu1, mu2 = (derivative_moment(q, k, activation) for k in (1, 2))
    mean = float(np.prod(sigma**2 * mu1))
    # By Jensen's inequality no term is negative; rounding could make it so.
    terms = np.maximum(mu2 / mu1**2 - 1 - WEIGHTS[weights], 0)
    return mean, float(mean**2 * np.sum(terms))


def jacobian_atoms(
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> tuple[tuple[float, float], ...]:
    """Point masses of the law of s² as a tuple of pairs (s², mass); empty where it has none.

    At 0: the largest share of zero slopes of any layer (relu, hard_tanh). At Π sigma_w² phi'(0)²:
    only for orthogonal weights with slopes in {0, 1}, mass max(0, 1 − Σ shares of zeros).
    Arguments and errors as `jacobian_moments`.

    Shapes: q_per_layer (layers,), sigma_w () or (layers,).

    >>> rmt.jacobian_atoms([1.0, 1.0], 1.0, "gaussian", "relu")
    ((0.0, 0.5),)
    """
    return _atoms(_product(q_per_layer, sigma_w, weights, activation))


def _atoms(prod: free.Product) -> tuple[tuple[float, float], ...]:
    pairs = ((0.0, prod.zero_mass), (float(np.exp(prod.log_scale)), prod.top_mass))
    return tuple((where, mass) for where, mass in pairs if mass > 0)


def jacobian_support(
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> tuple[float, float]:
    """Edges (lower, upper) of the continuous part of the law of s², atoms left out.

    lower is 0 for smooth slopes (tanh, erf) and may be positive for slopes in {0, 1}. The largest
    s² of a finite network scatters about upper, by some 5 % for tanh, depth 7 and width 800: mostly
    because its N slopes per layer are a sample of their law.
    Arguments as `jacobian_moments`. Raises ValueError also where there is no continuous part.

    Shapes: q_per_layer (layers,), sigma_w () or (layers,).

    >>> lower, upper = rmt.jacobian_support([1.0, 1.0], 1.0, "gaussian", "linear")
    >>> lower, round(upper, 6)
    (0.0, 6.75)
    """
    lower, upper = _log_edges(_continuous_product(q_per_layer, sigma_w, weights, activation))
    return float(np.exp(lower)), float(np.exp(upper))


@lru_cache(maxsize=64)
def _log_edges(prod: free.Product) -> tuple[float, float]:
    return free.log_edges(prod)


def _log_density(log_s2: Array, prod: free.Product) -> Array:
    lower, upper = _log_edges(prod)
    inside = (log_s2 > lower) & (log_s2 < upper)
    density = np.zeros(log_s2.shape)
    if inside.any():
        density[inside] = free.solve(log_s2[inside], prod)[1]
    return density


def jacobian_log_density(
    log_s2: ArrayLike,
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> Result:
    """Density of log s² (natural logarithm) at log_s2: s² times `jacobian_density`.

    Bounded even where the density of s² is not: a deep Gaussian network has its median of s²
    decades below its mean. Integrates over log s² to 1 minus the atoms. Other arguments and errors
    as `jacobian_density`.

    Shapes: log_s2 (...), q_per_layer (layers,), sigma_w () or (layers,) -> (...).

    >>> round(float(rmt.jacobian_log_density(0.0, [1.0, 1.0], 1.0)), 6)
    0.119379
    """
    prod = _continuous_product(q_per_layer, sigma_w, weights, activation)
    return _log_density(points("log_s2", log_s2), prod)[()]


def jacobian_density(
    s2: ArrayLike,
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> Result:
    """Density of s², the squared singular values of J, in the limit of large width.

    The continuous part: zero outside the open interval `jacobian_support`; it integrates to 1
    minus the masses of `jacobian_atoms`. At s2 = 0 (meaning below 1e-300) it is inf where it
    diverges, else its limit 0.

    s2: any shape, which is returned; q_per_layer: `(layers,)`, >= 0; sigma_w: scalar or
    `(layers,)`, > 0; activation: tanh, erf, relu, hard_tanh or linear.
    Raises ValueError for NaN, q < 0, sigma_w <= 0, an unknown name, and where the law has no
    density (linear orthogonal: every s² = Π sigma_w²).
    Source: Pennington, Schoenholz, Ganguli 2017 and 2018 (S-transforms).

    Shapes: s2 (...), q_per_layer (layers,), sigma_w () or (layers,) -> (...).

    >>> rmt.jacobian_density([0.5, 1.0], [1.0, 1.0], 1.0).round(6)
    array([0.264911, 0.119379])
    """
    prod = _continuous_product(q_per_layer, sigma_w, weights, activation)
    s2 = points("s2", s2)
    positive = (s2 >= 1e-300) & np.isfinite(s2)
    safe = np.where(positive, s2, 1.0)
    density = _log_density(np.where(positive, np.log(safe), -np.inf), prod) / safe
    touches_zero = np.isneginf(_log_edges(prod)[0]) and free.order_at_zero(prod) > 1
    return np.where((s2 >= 0) & (s2 < 1e-300) & touches_zero, np.inf, density)[()]


# ---------------------------------------------------------------- distribution and quantiles


@dataclass(frozen=True, eq=False)
class _Integral:
    """Antiderivative of the density of log s², piecewise in Chebyshev polynomials.

    A variable u removes the square-root edges: log s² = upper − u², or, where the lower edge is
    positive too, log s² = centre + radius cos u. `coefficients` `(degree, panels)`, `mass`
    `(panels + 1,)` = mass above each boundary of `boundaries`.
    """

    lower: float
    upper: float
    boundaries: Array
    coefficients: Array
    mass: Array

    def log_s2(self, u: Array) -> Array:
        if np.isneginf(self.lower):
            return self.upper - u**2
        return (self.upper + self.lower) / 2 + (self.upper - self.lower) / 2 * np.cos(u)

    def variable(self, log_s2: Array) -> Array:
        if np.isneginf(self.lower):
            return np.sqrt(np.maximum(self.upper - log_s2, 0))
        inner = np.clip(log_s2, self.lower, self.upper)
        return 2 * np.arctan2(np.sqrt(self.upper - inner), np.sqrt(inner - self.lower))

    def above(self, u: Array) -> Array:
        """Mass of the continuous part at values above those of u."""
        u = np.minimum(u, self.boundaries[-1])
        panel = np.clip(np.searchsorted(self.boundaries, u) - 1, 0, len(self.boundaries) - 2)
        left, right = self.boundaries[panel], self.boundaries[panel + 1]
        local = (2 * u - left - right) / (right - left)
        part = chebyshev.chebval(local, self.coefficients[:, panel], tensor=False)
        return self.mass[panel] + part * (right - left) / 2


_PANELS, _DEGREE, _HALVINGS = 16, 14, 12


@lru_cache(maxsize=64)
def _integral(prod: free.Product) -> _Integral:
    lower, upper = _log_edges(prod)
    shape = _Integral(lower, upper, np.zeros(0), np.zeros(0), np.zeros(0))
    end = np.pi
    if np.isneginf(lower):
        # Downwards from the edge until what is left is negligible; for a power law that is
        # density × order. Near dynamical isometry all of the mass lies very close to the edge.
        order = max(1.0, free.order_at_zero(prod))
        spans = cast(Array, 2.0 ** np.arange(-40, 5))
        left = _log_density(upper - spans, prod) * np.minimum(spans, order)
        span = spans[min(np.flatnonzero(left > 1e-13).max() + 1, spans.size - 1)]
        while span >= 16 and _log_density(np.array([upper - span]), prod)[0] * order > 1e-13:
            span *= 1.5
        end = np.sqrt(span)
    nodes = chebyshev.chebpts1(_DEGREE)
    to_coefficients = np.linalg.inv(chebyshev.chebvander(nodes, _DEGREE - 1))
    left, width = end * np.arange(_PANELS) / _PANELS, np.full(_PANELS, end / _PANELS)
    finished = []
    for round_ in range(_HALVINGS + 1):
        u = left + width / 2 * (1 + nodes[:, None])
        stretch = 2 * u if np.isneginf(lower) else (upper - lower) / 2 * np.sin(u)
        coefficients = to_coefficients @ (_log_density(shape.log_s2(u), prod) * stretch)
        error = np.abs(coefficients[-3:]).max(axis=0) * width
        # More panels than that are needed by nothing but rounding errors.
        last = round_ == _HALVINGS or left.size > 200
        good = (error < 1e-12) | last
        finished.append((left[good], width[good], coefficients[:, good]))
        if good.all():
            break
        width = np.repeat(width[~good] / 2, 2)
        left = np.repeat(left[~good], 2) + width * np.tile([0, 1], np.count_nonzero(~good))
    left, width, coefficients = (np.concatenate(x, axis=-1) for x in zip(*finished, strict=True))
    ranks = np.argsort(left)
    coefficients = cast(Array, chebyshev.chebint(coefficients[:, ranks], lbnd=-1))
    mass = np.concatenate([[0], np.cumsum(coefficients.sum(axis=0) * width[ranks] / 2)])
    total = 1 - prod.zero_mass - prod.top_mass
    if abs(mass[-1] - total) < 1e-9:
        return _Integral(lower, upper, np.append(left[ranks], end), coefficients, mass)
    raise ArithmeticError(
        f"the density of s² integrates to {mass[-1]:.12g} instead of {total:.12g}; near dynamical "
        f"isometry (q -> 0) the values of s² may lie too close together: {prod}"
    )


def jacobian_cdf(
    s2: ArrayLike,
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> Result:
    """Share of the squared singular values of J that are <= s2, atoms included.

    Absolute error below 1e-8. Unlike the density it exists where the law consists of atoms only.
    Arguments and errors as `jacobian_density` otherwise; any shape of s2.

    Shapes: s2 (...), q_per_layer (layers,), sigma_w () or (layers,) -> (...).

    >>> round(float(rmt.jacobian_cdf(1.0, [1.0, 1.0], 1.0)), 6)
    0.934978
    """
    prod = _product(q_per_layer, sigma_w, weights, activation)
    s2 = points("s2", s2)
    below = sum(mass * (s2 >= where) for where, mass in _atoms(prod))
    if prod.has_continuous_part:
        integral = _integral(prod)
        log_s2 = np.log(np.where(s2 > 0, s2, 1.0))
        # A share, up to the rounding of the table of masses.
        part = integral.mass[-1] - integral.above(integral.variable(np.minimum(log_s2, 1e4)))
        below = below + np.where(s2 > 0, np.maximum(part, 0), 0.0)
    return np.minimum(below + np.zeros(s2.shape), 1.0)[()]


def jacobian_quantile(
    share: ArrayLike,
    q_per_layer: ArrayLike,
    sigma_w: ArrayLike,
    weights: str = "gaussian",
    activation: str = "tanh",
) -> Result:
    """The s² below which the given share of squared singular values lies (0 within the atom at 0).

    share: any shape, in [0, 1]; inverse of `jacobian_cdf`, other arguments alike.
    Raises ValueError for a share outside [0, 1].

    Shapes: share (...), q_per_layer (layers,), sigma_w () or (layers,) -> (...).

    >>> round(float(rmt.jacobian_quantile(0.5, [1.0, 1.0], 1.0)), 6)
    0.026402
    """
    share = finite("share", share, "in [0, 1]", lambda a: (a >= 0) & (a <= 1))
    prod = _product(q_per_layer, sigma_w, weights, activation)
    top = np.exp(prod.log_scale)
    if not prod.has_continuous_part:
        return np.where(share > prod.zero_mass, top, 0.0)[()]
    integral = _integral(prod)
    goal = np.clip(1 - prod.top_mass - share, 0, integral.mass[-1])  # mass above the quantile
    low, high = np.zeros(share.shape), np.full(share.shape, integral.boundaries[-1])
    for _ in range(60):
        middle = (low + high) / 2
        enough = integral.above(middle) >= goal
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    values = np.exp(integral.log_s2(high))
    values = np.where(share > 1 - prod.top_mass, top, values)
    return np.where(share <= prod.zero_mass, 0.0, values)[()]

"""Free multiplicative convolution for products of random weights and activation slopes.

The Jacobian of a wide random network is J = D_L W_L ... D_1 W_1 with D_l = diag phi'(h_l). In the
limit of large width its factors are asymptotically free, and the S-transforms multiply:

    S_{J Jᵀ}(m) = Π_l S_{D_l²}(m) S_{W_l W_lᵀ}(m)

Here M_X(z) = E[x / (z − x)] is the moment transform of a law on [0, ∞), and
S_X(m) = (1 + m) / (m M_X⁻¹(m)). With w_l = M_{D_l²}⁻¹(m), and κ = 1 for Gaussian or κ = 1 − L for
orthogonal weights, this is one equation for m at each point z = s² of the spectrum,

    log z = (L − 1) log m + κ log(1 + m) + Σ_l (log w_l + log sigma_l²),     M_{D_l²}(w_l) = m,

and the density of log s² is −Im m / π. The w_l are the subordination functions of the free product:
with z they lie in the upper half-plane, and are unique there. So `solve` starts on the negative
axis, where everything is real and monotone, and turns arg z from π to 0 with Newton steps that may
not leave the half-plane; no imaginary offset is left in the result.

The laws of slopes are in `slope_laws`; `random_matrix` is what users call.

Sources: Pennington, Schoenholz, Ganguli 2017 (arXiv:1711.04735) and 2018 (arXiv:1802.09979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.optimize import brentq

from ticketlens.theory.arguments import Array
from ticketlens.theory.slope_laws import (
    SMOOTH_SLOPES,
    ZERO_SLOPE_PROBABILITY,
    Complex,
    smooth_transform,
)


@dataclass(frozen=True)
class Product:
    """The law of the squared singular values of Π_l D_l W_l, ready to be solved.

    factors:   L.
    kappa:     power of (1 + m): 1 for Gaussian weights, 1 − L for orthogonal ones.
    log_scale: Σ_l log(sigma_l² max phi'²).
    activation, smooth: the smooth slope laws as pairs (q, number of factors).
    zeros:     slope laws on {0, 1} as pairs (probability of 0, number of factors).
    """

    factors: int
    kappa: int
    log_scale: float
    activation: str
    smooth: tuple[tuple[float, int], ...]
    zeros: tuple[tuple[float, int], ...]

    @property
    def zero_mass(self) -> float:
        """Mass of the law at 0: of free factors, the one with the most zeros decides."""
        return max((zero for zero, _ in self.zeros), default=0.0)

    @property
    def top_mass(self) -> float:
        """Mass at the product of all maxima: only where orthogonal W meet slopes in {0, 1}."""
        if self.kappa == 1 or self.smooth:
            return 0.0
        return max(0.0, 1 - sum(count * zero for zero, count in self.zeros))

    @property
    def random_factors(self) -> int:
        """How many slope laws are not a single point."""
        return sum(c for _, c in self.smooth) + sum(c for zero, c in self.zeros if zero > 0)

    @property
    def has_continuous_part(self) -> bool:
        return self.kappa == 1 or bool(self.smooth) or self.random_factors > 1


def product(q_per_layer: Array, log_scale: float, orthogonal: bool, activation: str) -> Product:
    """Group equal factors. log_scale = Σ log sigma_l²; factors with q = 0 have slope phi'(0)."""
    values, counts = np.unique(np.asarray(q_per_layer, dtype=float), return_counts=True)
    pairs = [(float(q), int(n)) for q, n in zip(values, counts, strict=True)]
    factors = sum(n for _, n in pairs)
    smooth: tuple[tuple[float, int], ...]
    zeros: list[tuple[float, int]]
    smooth, zeros = (), []
    if activation in SMOOTH_SLOPES:
        log_scale = log_scale + factors * SMOOTH_SLOPES[activation].log_maximum
        smooth = tuple((q, n) for q, n in pairs if q > 0)
        zeros = [(0.0, n) for q, n in pairs if q == 0]
    else:
        # A share of zeros below rounding is none: it could not be told apart from mass 1 elsewhere.
        shares = [ZERO_SLOPE_PROBABILITY[activation](q) for q, _ in pairs]
        zeros = [(x if x > 1e-14 else 0.0, n) for x, (_, n) in zip(shares, pairs, strict=True)]
    kappa = 1 - factors if orthogonal else 1
    return Product(factors, kappa, float(log_scale), activation, smooth, tuple(zeros))


def _unknowns(y: Complex, p: float) -> tuple[Complex, Complex]:
    """m and its logarithms from y, −m / (m + p) = exp(y); p = 1 − (mass at zero).

    y lies in the strip 0 <= Im y <= π for z in the upper half-plane; y real: z < 0.
    Returns (log m, comp) with comp = (m + p) / p, both exact where m is close to 0 or to −p.
    """
    right = y.real > 0
    softplus = np.where(right, y, 0) + np.log1p(np.exp(np.where(right, -y, y)))
    return np.log(p) + y - softplus - 1j * np.pi, np.exp(-softplus)


def _log_upper(u: Complex) -> Complex:
    """Logarithm for u in the closed upper half-plane, its cut far away at −i."""
    return np.log(-1j * u) + 0.5j * np.pi


def _log_lower(u: Complex) -> Complex:
    """Logarithm for u in the closed lower half-plane, its cut far away at +i."""
    return np.log(1j * u) - 0.5j * np.pi


def _newton_system(
    y: Complex, lam: list[Complex], prod: Product
) -> tuple[Complex, Complex, list[Complex], list[Complex], Array]:
    """log z, its derivative along the linearised solution, and the linearised λ_l.

    y: `(n,)`; lam: list of `(n,)`, one per entry of prod.smooth.
    Returns (log z at (y, linearised λ), d log z / dy, [linearised λ_l], [dλ_l/dy], residual).
    """
    p = 1 - prod.zero_mass
    log_m, comp = _unknowns(y, p)
    one_plus_m = prod.zero_mass + p * comp
    ratio = comp / one_plus_m
    log_z = (prod.factors - 1) * log_m + prod.kappa * _log_lower(one_plus_m) + prod.log_scale
    derivative = (prod.factors - 1) * comp + prod.kappa * (one_plus_m - 1) * ratio
    for zero, count in prod.zeros:
        m_plus = (prod.zero_mass - zero) + p * comp
        log_z = log_z + count * (_log_lower(m_plus) - log_m)
        derivative = derivative - count * (1 - zero) * comp / m_plus
    new, slopes = [], []
    residual = np.zeros(y.shape)
    for (q, count), current in zip(prod.smooth, lam, strict=True):
        m, complement, dm = smooth_transform(current, q, prod.activation)
        slope = m * complement / dm  # dλ/dy, as d log(−m / (1 + m)) = dm / (m (1 + m))
        shift = slope * (y - _log_upper(-m / complement))
        residual = np.maximum(residual, np.abs(shift))
        new.append(current + shift)
        slopes.append(slope)
        log_z = log_z + count * new[-1]
        derivative = derivative + count * slope
    return log_z, derivative, new, slopes, residual


def _newton(
    y: Complex,
    lam: list[Complex],
    target: Complex,
    prod: Product,
    iterations: int,
    tolerance: float,
) -> tuple[Complex, list[Complex], Array]:
    """Newton's method for log z(y, λ) = target; returns (y, λ, size of the last step)."""
    residual = np.full(y.shape, np.inf)
    for _ in range(iterations):
        log_z, derivative, lam, slopes, residual = _newton_system(y, lam, prod)
        step = (target - log_z) / derivative
        y = y + step
        lam = [a + b * step for a, b in zip(lam, slopes, strict=True)]
        residual = np.maximum(residual, np.abs(step))
        if np.all(residual < tolerance):
            break
    return y, lam, residual


def _start(log_x: Array, prod: Product) -> tuple[Complex, list[Complex]]:
    """The real solution at z = −x: tables of monotone functions, inverted, then Newton."""
    near, far = np.linspace(-100, 100, 1001), np.geomspace(100, 1e5, 500)[1:]
    t = np.concatenate([-far[::-1], near, far[far < 680]])
    y = t[t > -680]
    real = y.astype(complex)
    tables = []
    for q, _ in prod.smooth:
        m, complement, _ = smooth_transform(t + 1j * np.pi, q, prod.activation)
        falling = np.log((-m / complement).real)
        tables.append(np.interp(-y, -falling, t))
    log_m, comp = _unknowns(real, 1 - prod.zero_mass)
    one_plus_m = (prod.zero_mass + (1 - prod.zero_mass) * comp).real
    table = prod.log_scale + (prod.factors - 1) * log_m.real + prod.kappa * np.log(one_plus_m)
    for zero, count in prod.zeros:
        m_plus = (prod.zero_mass - zero) + (1 - prod.zero_mass) * comp.real
        table += count * (np.log(m_plus) - log_m.real)
    for (_, count), values in zip(prod.smooth, tables, strict=True):
        table += count * values
    y0 = np.interp(-log_x, -table, y)
    lam0 = [np.interp(y0, y, values) + 1j * np.pi for values in tables]
    return y0.astype(complex), lam0


_NO_SOLUTION = "no solution of the S-transform equation was found at log s² = {:.6g}"


def solve(log_x: Array, prod: Product) -> tuple[Complex, Array]:
    """Boundary values on the spectrum: m(x + i0) at x = exp(log_x) inside the continuous support.

    log_x: `(n,)`, natural logarithm of s². Returns (m, log_density), complex and real `(n,)`;
    log_density = −Im m / π is the density of log s².
    Raises ArithmeticError where a point cannot be continued to the real axis: only seen so deep in
    a tail (log s² below −700) that 1 + m is no longer a double.
    """
    log_x = np.asarray(log_x, dtype=float)
    # A trial step may run anywhere, to be refused: its infinities are part of the method.
    with np.errstate(all="ignore"):
        y = _continue(log_x, prod)
    p = 1 - prod.zero_mass
    comp = _unknowns(y, p)[1]
    if not np.all(np.isfinite(y)):
        raise ArithmeticError(_NO_SOLUTION.format(log_x[~np.isfinite(y)][0]))
    # An imaginary part within rounding of none is none.
    visible = -comp.imag > 1e-13 * np.abs(comp)
    return -p * (1 - comp), np.where(visible, -p * comp.imag / np.pi, 0.0)


def _continue(log_x: Array, prod: Product) -> Complex:
    """Turn arg z from π to 0 at fixed |z|, every point with a stride of its own."""
    y, lam = _start(log_x, prod)
    y, lam, _ = _newton(y, lam, cast(Complex, log_x + 1j * np.pi), prod, 60, 1e-10)
    angle = np.full(log_x.shape, np.pi)
    stride = np.full(log_x.shape, np.pi / 2)
    while np.any(angle > 0):
        active = np.flatnonzero(angle > 0)
        goal = angle[active] - stride[active]
        # The last turn onto the axis starts close to it, where only one root is near.
        goal = np.where(goal > 0, goal, np.where(angle[active] > 0.05, angle[active] / 4, 0))
        target = log_x[active] + 1j * goal
        new_y, new_lam, step = _newton(y[active], [v[active] for v in lam], target, prod, 6, 1e-5)
        heights = np.stack([new_y.imag, *(v.imag for v in new_lam)])
        inside = np.all((heights > -1e-4) & (heights < np.pi + 1e-4), axis=0)
        # At the edges of the support the root is double and Newton's method only halves its error.
        good = np.isfinite(step) & inside & (step < np.where(goal > 0, 1e-2, 0.1))
        moved = active[good]
        y[moved], angle[moved] = new_y[good], goal[good]
        for values, new in zip(lam, new_lam, strict=True):
            values[moved] = new[good]
        stride[active] *= np.where(good, 2, 0.5)
        stuck = active[stride[active] < 1e-9]
        if stuck.size:
            raise ArithmeticError(_NO_SOLUTION.format(log_x[stuck[0]]))
    active = np.arange(y.size)
    for _ in range(10):  # near an edge the convergence is linear
        target = log_x[active].astype(complex)
        y[active], new_lam, step = _newton(y[active], [v[active] for v in lam], target, prod, 4, 0)
        for values, new in zip(lam, new_lam, strict=True):
            values[active] = new
        active = active[step > 1e-13]
        if not active.size:
            break
    return y


# ---------------------------------------------------------------- edges of the support


def _log_z_real(m: float, one_plus_m: float, shifted: list[float], prod: Product) -> float:
    """log z at real m, given 1 + m and the list of m + (1 − zero probability)."""
    value = -np.log(abs(m)) + prod.kappa * np.log(abs(one_plus_m)) + prod.log_scale
    return cast(
        float,
        value + sum(n * np.log(abs(s)) for s, (_, n) in zip(shifted, prod.zeros, strict=True)),
    )


def _upper_edge_zero_one(prod: Product) -> float:
    """Slopes in {0, 1}: z(m) is rational. The edge is its stationary point next to z = ∞.

    An atom at the top makes m run through ∞ to m < −1 before the continuous part is met.
    """
    sign = -1 if prod.top_mass > 0 else 1

    def parts(s: float) -> tuple[float, float, list[float]]:
        u = np.exp(s)
        m, one_plus_m = (u, 1 + u) if sign > 0 else (-1 - u, -u)
        return m, one_plus_m, [one_plus_m - zero for zero, _ in prod.zeros]

    def slope(s: float) -> float:
        # m (1 + m) d log z / dm, arranged so that nothing cancels at large m.
        m, _, shifted = parts(s)
        terms = (n * zero / x for x, (zero, n) in zip(shifted, prod.zeros, strict=True))
        return m * (prod.factors - 1 + prod.kappa + sum(terms)) - 1

    if slope(-60) * slope(60) >= 0:  # as with 1 = Σ (zero probabilities): the edge is at m = ∞
        return prod.log_scale
    return _log_z_real(*parts(brentq(slope, -60, 60, xtol=1e-13, rtol=1e-14)), prod)


def _lower_edge_zero_one(prod: Product) -> float:
    """The maximum of z(m) between its two largest zeros; −inf where they coincide."""
    roots = sorted((zero for zero, n in prod.zeros for _ in range(n)), reverse=True)
    roots = [*roots, 0.0] if prod.kappa == 1 else roots
    gap = roots[0] - roots[1]
    if gap == 0:
        return -np.inf

    def parts(fraction: float) -> tuple[float, float, list[float]]:
        delta = gap * fraction
        m = roots[0] - 1 - delta
        return m, roots[0] - delta, [(roots[0] - zero) - delta for zero, _ in prod.zeros]

    def slope(fraction: float) -> float:
        m, one_plus_m, shifted = parts(fraction)
        terms = (n / x for x, (_, n) in zip(shifted, prod.zeros, strict=True))
        return (sum(terms) - 1 / m + prod.kappa / one_plus_m) * fraction * (1 - fraction)

    fraction = brentq(slope, 1e-12, 1 - 1e-12, xtol=1e-15, rtol=1e-14)
    return _log_z_real(*parts(fraction), prod)


def _upper_edge_smooth(prod: Product) -> float:
    """The minimum of z(m) over m > 0, where every w_l is real and above its slope law."""
    log_lam = np.linspace(np.log(1e-30), np.log(300), 300)
    tables = [
        np.log(smooth_transform(np.exp(log_lam) + 0j, q, prod.activation)[0].real)
        for q, _ in prod.smooth
    ]
    points = sum(n for _, n in prod.zeros)  # factors with q = 0: slope 1 for certain

    def invert(log_m: float) -> tuple[list[float], list[float]]:
        """λ_l and dλ_l / d log m, by Newton's method on log M against log λ."""
        lam, slopes = [], []
        for (q, _), table in zip(prod.smooth, tables, strict=True):
            s = np.interp(-log_m, -table, log_lam)
            for _ in range(8):
                value = np.exp(s)
                m, _, dm = (v.real[0] for v in smooth_transform([value + 0j], q, prod.activation))
                change = (log_m - np.log(m)) * m / (dm * value)
                s += np.clip(change, -1, 1)
                if abs(change) < 1e-14:
                    break
            lam.append(np.exp(s))
            slopes.append(m / dm)
        return lam, slopes

    def slope(log_m: float) -> float:
        m = np.exp(log_m)
        rest = (prod.factors - 1) * (1 + m) + m if prod.kappa == 1 else prod.factors - 1
        smooth = sum(n * v for v, (_, n) in zip(invert(log_m)[1], prod.smooth, strict=True))
        return cast(float, (rest - points + (1 + m) * smooth) / (1 + m))

    lowest, highest = -30.0, 30.0
    if slope(highest) <= 0:  # a single random factor between orthogonal matrices
        return prod.log_scale
    log_m = brentq(slope, lowest, highest, xtol=1e-12, rtol=1e-14)
    m = np.exp(log_m)
    value = prod.log_scale + (prod.factors - 1 - points) * log_m
    value += (prod.kappa + points) * np.log1p(m)
    lam = invert(log_m)[0]
    return cast(float, value + sum(n * x for x, (_, n) in zip(lam, prod.smooth, strict=True)))


def log_edges(prod: Product) -> tuple[float, float]:
    """Logarithms of the edges (lower, upper) of the continuous part; lower = −inf means 0."""
    if prod.smooth:
        return -np.inf, float(_upper_edge_smooth(prod))
    return float(_lower_edge_zero_one(prod)), float(_upper_edge_zero_one(prod))


def order_at_zero(prod: Product) -> float:
    """e with density of s² ~ s²^(1/e − 1) at 0 (up to logarithms): above 1 it diverges."""
    laws = SMOOTH_SLOPES
    smooth = sum(n * laws[prod.activation].vanishing(q) for q, n in prod.smooth)
    if prod.smooth:
        return prod.kappa + smooth + sum(n for _, n in prod.zeros)
    largest = prod.zero_mass
    ties = sum(n for zero, n in prod.zeros if zero == largest)
    return float(ties + (prod.kappa if largest == 0 else 0))

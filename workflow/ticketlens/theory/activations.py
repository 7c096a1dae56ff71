"""Activation functions with their Gaussian moments, in one registry.

Mean field theory meets an activation phi only through a few Gaussian averages, so each entry of
`ACTIVATIONS` is phi, phi' and these averages. To add one: an odd, bounded, analytic function needs
a call of `odd_analytic`; any other needs its averages written out, as for ReLU below.

phi and phi' take arrays of any shape. At a kink phi' is 0 (ReLU at 0, hard tanh at -1 and 1).

Notation: u ~ N(0, q); (u1, u2) jointly normal, both of variance q, with correlation c = 1 - d. The
distance d is the argument, not c, because what matters close to c = 1 is how fast things leave it.
Moments take non-negative arrays (or floats) and return arrays; arguments are checked by the caller
(`ticketlens.meanfield`). At q = 0 they give the limit q -> 0+.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import special

from ticketlens.theory import closed_forms, gaussian
from ticketlens.theory.arguments import Array, Values


@dataclass(frozen=True)
class Activation:
    """phi, phi' and the Gaussian averages of mean field theory."""

    name: str
    phi: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    bound: float
    """sup |phi|. Infinite means positively homogeneous: phi(s x) = s phi(x) for s > 0 (ReLU)."""
    odd: bool
    """phi(-x) = -phi(x): without biases, uncorrelated inputs then stay uncorrelated."""
    origin_slope: float
    """The slope of E phi(u)^2 at q = 0: phi'(0)^2 if phi'(0) exists."""
    second_moment: Callable[[Values], Array]
    """(q) -> E phi(u)^2; concave in q for all entries."""
    deficit: Callable[[Values], Array]
    """(q) -> origin_slope q - E phi(u)^2, free of cancellation as q -> 0."""
    deficit_slope: Callable[[Values], Array]
    """(q) -> its derivative, origin_slope - E u phi(u) phi'(u) / q."""
    derivative_moment: Callable[[Values, int], Array]
    """(q, k) -> E phi'(u)^(2k)."""
    poincare_gap: Callable[[Values], Array]
    """(q) -> q E phi'(u)^2 - E phi(u)^2, free of cancellation; it decides between order and chaos.
    Positive by the Gaussian Poincare inequality where phi is odd and not linear."""
    pair_gap: Callable[[Values, Values], Array]
    """(q, d) -> E (phi(u1) - phi(u2))^2 / 2 = E phi(u)^2 - E phi(u1) phi(u2)."""
    derivative_pair: Callable[[Values, Values], Array]
    """(q, d) -> E phi'(u1) phi'(u2)."""
    gaussian_second_moment: Callable[[Values, Values], Array]
    """(mean, variance) -> E phi(h)^2 under h ~ N(mean, variance)."""

    def second_moment_slope(self, q: Values) -> Array:
        """d/dq E phi(u)^2 = E u phi(u) phi'(u) / q."""
        return self.origin_slope - self.deficit_slope(q)


def odd_analytic(
    name: str,
    phi: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
    difference: Callable[[Array, Array], Array],
    bound: float,
    strip: float,
) -> Activation:
    """An odd, bounded activation, analytic within `strip` of the real axis; moments by quadrature.

    The fixed points assume what holds for tanh: phi' is largest at 0 and E phi(u)^2 concave in q.
    `difference(x, y)` is phi(x + y) - phi(x - y) without cancellation for small y. The expectation
    of its square, and so 1 - c after a layer, then keeps its relative accuracy as c -> 1.
    """

    origin_slope = float(derivative(np.zeros(()))) ** 2

    def second_moment(q: Values) -> Array:
        return gaussian.expectation(lambda u: phi(u) ** 2, q, strip)

    def deficit(q: Values) -> Array:
        return gaussian.expectation(lambda u: origin_slope * u**2 - phi(u) ** 2, q, strip)

    def deficit_slope(q: Values) -> Array:
        q = np.maximum(q, 1e-100)
        return (
            origin_slope - gaussian.expectation(lambda u: u * phi(u) * derivative(u), q, strip) / q
        )

    def derivative_moment(q: Values, k: int) -> Array:
        return gaussian.expectation(lambda u: derivative(u) ** (2 * k), q, strip)

    def poincare_gap(q: Values) -> Array:
        # The part of phi that is linear in u (slope E phi', by Stein's lemma) drops out of the
        # difference. Left in, it would hide the result, of order q^3, below its rounding errors.
        q = np.asarray(q, dtype=float)
        slope = gaussian.expectation(derivative, q, strip)
        flat = [
            gaussian.expectation(
                cast(
                    Callable[[Array], Array],
                    lambda u, a=a, v=v: v * (derivative(u) - a) ** 2 - (phi(u) - a * u) ** 2,
                ),
                v,
                strip,
            )
            for a, v in zip(slope.flat, q.flat, strict=True)
        ]
        return np.reshape(flat, q.shape)

    def pair_gap(q: Values, d: Values) -> Array:
        return gaussian.pair_expectation(lambda x, y: difference(x, y) ** 2 / 2, q, d, strip)

    def derivative_pair(q: Values, d: Values) -> Array:
        return gaussian.pair_expectation(
            lambda x, y: derivative(x + y) * derivative(x - y), q, d, strip
        )

    def gaussian_second_moment(mean: Values, variance: Values) -> Array:
        return gaussian.shifted_expectation(lambda h: phi(h) ** 2, mean, variance, strip)

    return Activation(
        name=name,
        phi=phi,
        derivative=derivative,
        bound=bound,
        odd=True,
        origin_slope=origin_slope,
        second_moment=second_moment,
        deficit=deficit,
        deficit_slope=deficit_slope,
        derivative_moment=derivative_moment,
        poincare_gap=poincare_gap,
        pair_gap=pair_gap,
        derivative_pair=derivative_pair,
        gaussian_second_moment=gaussian_second_moment,
    )


# --- tanh: poles at +-i pi/2 -------------------------------------------------------------------


def _tanh_derivative(x: Array) -> Array:
    t = np.tanh(x)
    return cast(Array, (1 - t) * (1 + t))


def _tanh_difference(x: Array, y: Array) -> Array:
    return cast(Array, np.tanh(2 * y) * (1 - np.tanh(x + y) * np.tanh(x - y)))


TANH = odd_analytic("tanh", np.tanh, _tanh_derivative, _tanh_difference, 1.0, np.pi / 2)


# --- closed forms ---------------------------------------------------------------------------------


def _erf_derivative(x: Array) -> Array:
    return float(2 / np.sqrt(np.pi)) * np.exp(-(x * x))


ERF = Activation(  # erf(x), not erf(x sqrt(pi)/2): its slope at 0 is 2/sqrt(pi)
    name="erf",
    phi=special.erf,
    derivative=_erf_derivative,
    bound=1.0,
    odd=True,
    origin_slope=4 / np.pi,
    second_moment=closed_forms.erf_second_moment,
    deficit=closed_forms.erf_deficit,
    deficit_slope=closed_forms.erf_deficit_slope,
    derivative_moment=closed_forms.erf_derivative_moment,
    poincare_gap=closed_forms.erf_poincare_gap,
    pair_gap=closed_forms.erf_pair_gap,
    derivative_pair=closed_forms.erf_derivative_pair,
    gaussian_second_moment=closed_forms.erf_gaussian_second_moment,
)


def _hard_tanh(x: Array) -> Array:
    return np.clip(x, -1, 1)


def _hard_tanh_derivative(x: Array) -> Array:
    return cast(Array, np.heaviside(1 - np.abs(x), 0))  # 0 at the kinks, as in PyTorch


HARD_TANH = Activation(
    name="hard_tanh",
    phi=_hard_tanh,
    derivative=_hard_tanh_derivative,
    bound=1.0,
    odd=True,
    origin_slope=1.0,
    second_moment=closed_forms.hard_tanh_second_moment,
    deficit=closed_forms.hard_tanh_deficit,
    deficit_slope=closed_forms.hard_tanh_deficit_slope,
    derivative_moment=closed_forms.hard_tanh_derivative_moment,
    poincare_gap=closed_forms.hard_tanh_poincare_gap,
    pair_gap=closed_forms.hard_tanh_pair_gap,
    derivative_pair=closed_forms.hard_tanh_derivative_pair,
    gaussian_second_moment=closed_forms.hard_tanh_gaussian_second_moment,
)


# --- positively homogeneous -----------------------------------------------------------------------


def _constant(value: float) -> Callable[..., Array]:
    return lambda q, *_: np.full(np.shape(q), value)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _relu_derivative(x: Array) -> Array:
    return np.heaviside(x, 0)  # 0 at the kink, as in PyTorch


RELU = Activation(
    name="relu",
    phi=_relu,
    derivative=_relu_derivative,
    bound=np.inf,
    odd=False,
    origin_slope=0.5,
    second_moment=lambda q: cast(Array, q / 2),
    deficit=_constant(0.0),
    deficit_slope=_constant(0.0),
    derivative_moment=_constant(0.5),
    poincare_gap=_constant(0.0),
    pair_gap=closed_forms.relu_pair_gap,
    derivative_pair=closed_forms.relu_derivative_pair,
    gaussian_second_moment=closed_forms.relu_gaussian_second_moment,
)

LINEAR = Activation(
    name="linear",
    phi=np.positive,
    derivative=np.ones_like,
    bound=np.inf,
    odd=True,
    origin_slope=1.0,
    second_moment=np.positive,
    deficit=_constant(0.0),
    deficit_slope=_constant(0.0),
    derivative_moment=_constant(1.0),
    poincare_gap=_constant(0.0),
    pair_gap=lambda q, d: cast(Array, q * d),
    derivative_pair=lambda q, d: np.ones(np.broadcast(q, d).shape),
    gaussian_second_moment=lambda mean, variance: cast(Array, mean**2 + variance),
)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": TANH,
    "erf": ERF,
    "relu": RELU,
    "hard_tanh": HARD_TANH,
    "linear": LINEAR,
}


def get(name: str) -> Activation:
    """The activation of that name. Raises ValueError, naming the allowed ones, if there is none."""
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        allowed = ", ".join(ACTIVATIONS)
        raise ValueError(f"unknown activation {name!r}; allowed: {allowed}") from None

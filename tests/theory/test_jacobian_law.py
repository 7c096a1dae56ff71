"""The law of the Jacobian's singular values against closed forms, moments and its identities."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from spectra_tools import DEEP, Q_STAR, sampled
from ticketlens import random_matrix as rmt
from ticketlens.theory import slope_laws

activations = st.sampled_from(slope_laws.ACTIVATIONS)
layers = st.lists(st.floats(0.01, 5), min_size=2, max_size=4)
scales = st.floats(0.3, 3)
kinds = st.sampled_from(list(rmt.WEIGHTS))


def over_log_s2(integrand, arguments):
    """∫ integrand(s²) × density d s², independently of the module's own integration."""
    lower, upper = np.log(np.maximum(rmt.jacobian_support(*arguments), 1e-300))
    # The angle removes both square-root edges; the nodes crowd at the upper one.
    points, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for left, right in zip(np.pi * np.arange(6) / 6, np.pi * np.arange(1, 7) / 6, strict=True):
        angle = (left + right) / 2 + (right - left) / 2 * points
        log_s2 = (upper + lower) / 2 + (upper - lower) / 2 * np.cos(angle)
        jacobian = (upper - lower) / 2 * np.sin(angle) * (right - left) / 2
        density = rmt.jacobian_log_density(log_s2, *arguments)
        total += np.sum(weights * jacobian * density * integrand(np.exp(log_s2)))
    return total


# ---------------------------------------------------------------- closed forms of the Jacobian


def test_one_linear_gaussian_layer_is_marchenko_pastur():
    s2 = np.geomspace(1e-8, 7.8, 60)
    density = rmt.jacobian_density(s2, [1.0], 1.4, activation="linear")
    np.testing.assert_allclose(density, rmt.marchenko_pastur_density(s2, 1.0, 1.96), rtol=1e-10)
    assert rmt.jacobian_support([1.0], 1.4, activation="linear") == pytest.approx((0, 4 * 1.96))


def test_one_hard_tanh_gaussian_layer_is_marchenko_pastur_of_the_unsaturated_rows():
    # D deletes the saturated rows of W: a p N × N matrix, p = P(|h| < 1), and 1 − p zeros.
    p = special.erf(1 / np.sqrt(2 * 0.8))
    arguments = ([0.8], 1.4, "gaussian", "hard_tanh")
    assert rmt.jacobian_support(*arguments) == pytest.approx(rmt.marchenko_pastur_edges(p, 1.96))
    s2 = np.linspace(0.06, 7.0, 40)
    expected = p * rmt.marchenko_pastur_density(s2, p, 1.96)
    np.testing.assert_allclose(rmt.jacobian_density(s2, *arguments), expected, rtol=1e-10)
    ((where, mass),) = rmt.jacobian_atoms(*arguments)
    assert where == 0 and mass == pytest.approx(1 - p)


def test_two_linear_gaussian_layers_follow_the_explicit_fuss_catalan_density():
    x = np.linspace(0.01, 6.74, 80)
    root = 27 + 3 * np.sqrt(81 - 12 * x)
    expected = (2 ** (1 / 3) * root ** (2 / 3) - 6 * x ** (1 / 3)) / (
        x ** (2 / 3) * root ** (1 / 3)
    )
    expected *= 2 ** (1 / 3) * np.sqrt(3) / (12 * np.pi)
    density = rmt.jacobian_density(x, [1.0, 1.0], 1.0, activation="linear")
    np.testing.assert_allclose(density, expected, rtol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 7, 30])
def test_products_of_linear_gaussian_layers_are_fuss_catalan_over_all_decades(depth):
    n = depth + 1
    angle = np.pi / n * np.linspace(0.002, 0.998, 100)
    x = np.sin(n * angle) ** n / (np.sin(angle) * np.sin(depth * angle) ** depth)
    expected = np.sin(angle) ** 2 * np.sin(depth * angle) ** (depth - 1)
    expected /= np.pi * np.sin(n * angle) ** depth
    density = rmt.jacobian_density(x, [1.0] * depth, 1.0, activation="linear")
    np.testing.assert_allclose(density, expected, rtol=1e-9)
    lower, upper = rmt.jacobian_support([1.0] * depth, 1.0, activation="linear")
    assert lower == 0 and upper == pytest.approx(n**n / depth**depth, rel=1e-12)


def test_two_orthogonal_hard_tanh_layers_are_a_product_of_two_free_projections():
    q = [0.5, 0.9]
    p, r = special.erf(1 / np.sqrt(2 * np.array(q)))
    middle, radius = p + r - 2 * p * r, np.sqrt(4 * p * r * (1 - p) * (1 - r))
    arguments = (q, [2.0, 0.5], "orthogonal", "hard_tanh")
    assert rmt.jacobian_support(*arguments) == pytest.approx((middle - radius, middle + radius))
    x = middle + radius * np.linspace(-0.99, 0.99, 50)
    expected = np.sqrt(radius**2 - (x - middle) ** 2) / (2 * np.pi * x * (1 - x))
    np.testing.assert_allclose(rmt.jacobian_density(x, *arguments), expected, rtol=1e-10)
    zero, top = rmt.jacobian_atoms(*arguments)
    assert zero == pytest.approx((0, 1 - min(p, r)))
    assert top == pytest.approx((1.0, p + r - 1))


def test_one_orthogonal_tanh_layer_has_the_law_of_the_squared_slope():
    q, sigma_w = 0.6, 1.4
    s2 = sigma_w**2 * np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999])
    cosh2 = np.sqrt(sigma_w**2 / s2)  # phi'(h)² = cosh(h)^-4
    h = np.arccosh(np.sqrt(cosh2))
    expected = np.exp(-(h**2) / (2 * q)) / np.sqrt(2 * np.pi * q) * 2 / (4 * s2 * np.tanh(h))
    density = rmt.jacobian_density(s2, [q], sigma_w, "orthogonal")
    np.testing.assert_allclose(density, expected, rtol=1e-9)
    share = 1 - special.erf(h / np.sqrt(2 * q))
    cdf = rmt.jacobian_cdf(s2, [q], sigma_w, "orthogonal")
    np.testing.assert_allclose(cdf, share, rtol=0, atol=1e-9)
    assert rmt.jacobian_support([q], sigma_w, "orthogonal") == pytest.approx((0, sigma_w**2))


def test_one_orthogonal_erf_layer_has_the_law_of_the_squared_slope():
    q = 0.3
    s2 = 4 / np.pi * np.array([1e-4, 0.1, 0.5, 0.95])
    h = np.sqrt(-np.log(s2 * np.pi / 4) / 2)
    expected = np.exp(-(h**2) / (2 * q)) / np.sqrt(2 * np.pi * q) * 2 / (4 * s2 * h)
    density = rmt.jacobian_density(s2, [q], 1.0, "orthogonal", "erf")
    np.testing.assert_allclose(density, expected, rtol=1e-9)


def test_tanh_layers_with_vanishing_q_become_linear():
    s2 = np.geomspace(1e-6, 20, 30)
    tanh = rmt.jacobian_density(s2, [1e-9] * 3, 1.1)
    np.testing.assert_allclose(tanh, rmt.jacobian_density(s2, [0.0] * 3, 1.1), rtol=1e-6)
    np.testing.assert_allclose(
        rmt.jacobian_density(s2, [0.0] * 3, 1.1),
        rmt.jacobian_density(s2, [1.0] * 3, 1.1, activation="linear"),
        rtol=1e-12,
    )


# ---------------------------------------------------------------- mass and moments


def test_moments_of_linear_gaussian_layers_are_known():
    mean, variance = rmt.jacobian_moments([0.3, 0.4, 0.5], [1.0, 2.0, 0.5], activation="linear")
    assert (mean, variance) == pytest.approx((1.0, 3.0))  # Fuss-Catalan: E s⁴ = L + 1
    assert rmt.jacobian_moments([0.3], 2.0, "orthogonal", "linear") == pytest.approx((4.0, 0.0))


@pytest.mark.parametrize("weights", rmt.WEIGHTS)
@pytest.mark.parametrize(
    ("activation", "q", "sigma_w"),
    [
        ("tanh", [Q_STAR] * 7, 1.4),
        ("tanh", [0.02, 0.5, 3.0], [1.0, 1.4, 2.0]),
        ("erf", [0.1, 1.0], 1.2),
        ("relu", [1.0] * 3, np.sqrt(2)),
        ("hard_tanh", [0.4, 0.6, 2.0], 1.2),
        ("hard_tanh", [0.15, 0.25, 0.3], 1.2),  # orthogonal: with an atom at the top
    ],
)
def test_density_and_atoms_have_mass_one_and_the_first_two_moments(activation, q, sigma_w, weights):
    arguments = (q, sigma_w, weights, activation)
    mean, variance = rmt.jacobian_moments(*arguments)
    atoms = rmt.jacobian_atoms(*arguments)
    mass, first, second = (
        over_log_s2(lambda s2, k=k: s2**k, arguments) + sum(w * x**k for x, w in atoms)
        for k in range(3)
    )
    assert mass == pytest.approx(1, abs=1e-9)
    assert first == pytest.approx(mean, rel=1e-9)
    assert second - first**2 == pytest.approx(variance, rel=1e-7)


# ---------------------------------------------------------------- distribution functions


@pytest.mark.parametrize("weights", rmt.WEIGHTS)
def test_cdf_is_the_integral_of_the_density_at_several_quantiles(weights):
    arguments = (*DEEP, weights)
    shares = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
    s2 = rmt.jacobian_quantile(shares, *arguments)
    np.testing.assert_allclose(rmt.jacobian_cdf(s2, *arguments), shares, rtol=0, atol=1e-10)
    for low, high in pairwise(s2):
        mass = integrate.fixed_quad(
            lambda t: rmt.jacobian_log_density(t, *arguments), np.log(low), np.log(high), n=40
        )[0]
        assert mass == pytest.approx(
            np.diff(rmt.jacobian_cdf([low, high], *arguments))[0], abs=1e-9
        )


def test_density_of_log_s2_is_s2_times_the_density():
    s2 = np.geomspace(1e-8, 20, 20).reshape(4, 5)
    density = rmt.jacobian_density(s2, *DEEP)
    assert density.shape == s2.shape
    np.testing.assert_allclose(rmt.jacobian_log_density(np.log(s2), *DEEP), s2 * density, rtol=1e-9)


def test_cdf_jumps_by_the_atoms_where_there_is_no_density():
    arguments = ([0.5, 0.0], 1.2, "orthogonal", "hard_tanh")
    (zero, lost), (top, kept) = rmt.jacobian_atoms(*arguments)
    assert (zero, top) == pytest.approx((0, 1.2**4)) and lost + kept == pytest.approx(1)
    cdf = rmt.jacobian_cdf([-1, 0, 1, 2.0, 3.0], *arguments)
    np.testing.assert_allclose(cdf, [0, lost, lost, lost, 1])
    np.testing.assert_allclose(rmt.jacobian_quantile([0.01, 0.9], *arguments), [0, 1.2**4])
    assert rmt.jacobian_quantile(0.5, [1.0], 2.0, "orthogonal", "linear") == pytest.approx(4)


def test_atom_just_above_the_continuous_part_is_told_apart_from_it():
    arguments = ([0.042, 1.478, 0.169, 3.141], 1.8, "orthogonal", "hard_tanh")
    (_, lost), (top, kept) = rmt.jacobian_atoms(*arguments)
    lower, upper = rmt.jacobian_support(*arguments)
    assert upper < top < upper * (1 + 1e-5) and 0 < kept < 0.01
    cdf = rmt.jacobian_cdf([lower, upper, (upper + top) / 2, top], *arguments)
    np.testing.assert_allclose(cdf, [lost, 1 - kept, 1 - kept, 1], rtol=0, atol=1e-9)


def test_density_at_zero_is_infinite_or_zero_as_the_law_is():
    assert rmt.jacobian_density(0.0, [0.5], 1.0) == np.inf
    assert rmt.jacobian_density(0.0, [0.5, 0.5], 1.0, "orthogonal") == 0
    assert rmt.jacobian_density(0.0, [0.5], 1.0, "gaussian", "hard_tanh") == 0  # atom, then a gap
    assert rmt.jacobian_density(0.0, [0.5, 0.5], 1.0, "orthogonal", "hard_tanh") == np.inf


def test_tail_down_to_the_smallest_numbers_is_finite():
    for weights in rmt.WEIGHTS:
        density = rmt.jacobian_density([1e-310, 1e-300, 1e-200], *DEEP, weights)
        if weights == "gaussian":  # s2^(1/8 − 1) near zero
            assert density[0] == np.inf
            assert density[1] / density[2] == pytest.approx(1e100 ** (7 / 8), rel=1e-3)
        else:
            np.testing.assert_array_equal(density, 0)


def test_critical_gaussian_network_has_its_median_decades_below_its_mean():
    q = [Q_STAR] * 8
    assert rmt.jacobian_moments(q, 1.4)[0] == pytest.approx(1.02, abs=0.01)
    assert rmt.jacobian_quantile(0.5, q, 1.4) == pytest.approx(2.5e-4, rel=0.02)
    assert rmt.jacobian_quantile(0.5, q, 1.4, "orthogonal") > 0.05


# ---------------------------------------------------------------- properties


@sampled
@given(q=layers, sigma_w=scales, weights=kinds, activation=activations)
def test_density_is_positive_inside_its_support_and_zero_outside(q, sigma_w, weights, activation):
    arguments = (q, sigma_w, weights, activation)
    if weights == "orthogonal" and activation == "linear":
        return
    lower, upper = rmt.jacobian_support(*arguments)
    assert 0 <= lower < upper
    mean = rmt.jacobian_moments(*arguments)[0]
    assert upper > mean or any(where > upper for where, _ in rmt.jacobian_atoms(*arguments))
    outside = [-1.0, 0.99 * lower or -1e-9, upper * (1 + 1e-9), np.inf]
    np.testing.assert_array_equal(rmt.jacobian_density(outside, *arguments), 0)
    inside = lower + (upper - lower) * np.array([0.1, 0.5, 0.9])
    density = rmt.jacobian_density(inside, *arguments)
    assert np.all(np.isfinite(density)) and np.all(density > 0)


@settings(sampled, max_examples=10)
@given(q=layers, sigma_w=scales, weights=kinds, c=st.floats(0.1, 10))
def test_s2_scales_with_the_weight_variance(q, sigma_w, weights, c):
    upper = rmt.jacobian_support(q, sigma_w, weights)[1]
    s2 = upper * np.array([1e-6, 1e-3, 0.1, 0.8])
    scaled = [np.sqrt(c) * sigma_w] + [sigma_w] * (len(q) - 1)
    np.testing.assert_allclose(
        c * rmt.jacobian_density(c * s2, q, scaled, weights),
        rmt.jacobian_density(s2, q, sigma_w, weights),
        rtol=1e-7,
        atol=1e-12,
    )


@settings(sampled, max_examples=10)
@given(q=layers, weights=kinds, activation=st.sampled_from(["tanh", "erf", "relu", "hard_tanh"]))
def test_cdf_rises_from_the_atom_at_zero_to_one(q, weights, activation):
    arguments = (q, 1.2, weights, activation)
    lower, upper = rmt.jacobian_support(*arguments)
    s2 = np.concatenate([[0], np.geomspace(max(lower, 1e-12 * upper), upper, 30), [1e300]])
    cdf = rmt.jacobian_cdf(s2, *arguments)
    atoms = dict(rmt.jacobian_atoms(*arguments))
    assert cdf[0] == pytest.approx(atoms.get(0.0, 0.0))
    assert np.all(np.diff(cdf) >= -1e-12) and cdf[-1] == pytest.approx(1, abs=1e-8)
    share = np.array([0.3, 0.6, 0.95]) * (1 - sum(atoms.values())) + atoms.get(0.0, 0.0)
    back = rmt.jacobian_cdf(rmt.jacobian_quantile(share, *arguments), *arguments)
    np.testing.assert_allclose(back, share, rtol=0, atol=1e-8)


def test_order_of_the_layers_does_not_matter():
    s2 = np.geomspace(1e-6, 3, 20)
    forward = rmt.jacobian_density(s2, [0.1, 0.5, 2.0], [1.0, 1.4, 1.1])
    backward = rmt.jacobian_density(s2, [2.0, 0.5, 0.1], [1.1, 1.4, 1.0])
    np.testing.assert_allclose(forward, backward, rtol=1e-10)

"""Spectra of real random matrices follow the laws predicted for them; bad input is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from spectra_tools import DEEP, Q_STAR, sampled
from ticketlens import random_matrix as rmt

ratios = st.floats(1e-3, 1e3)


def kolmogorov_distance(sample, cdf):
    """Largest distance between an empirical distribution function and a continuous one."""
    values = np.sort(sample)
    theory = cdf(values)
    rank = np.arange(values.size + 1) / values.size
    return max(np.max(rank[1:] - theory), np.max(theory - rank[:-1]))


def weight_matrix(rng, width, sigma_w, weights):
    gaussian = rng.standard_normal((width, width))
    if weights == "gaussian":
        return sigma_w * gaussian / np.sqrt(width)
    basis, triangle = np.linalg.qr(gaussian)
    return sigma_w * basis * np.sign(np.diag(triangle))


# ---------------------------------------------------------------- Marchenko-Pastur


def test_singular_values_of_a_square_gaussian_matrix_follow_the_quarter_circle():
    s = np.linspace(0.01, 1.99, 50)
    density = 2 * s * rmt.marchenko_pastur_density(s**2, 1.0)
    np.testing.assert_allclose(density, np.sqrt(4 - s**2) / np.pi, rtol=1e-13)


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1.0, 1.7, 40.0])
def test_marchenko_pastur_density_has_its_mass_its_mean_and_its_variance(ratio):
    lower, upper = rmt.marchenko_pastur_edges(ratio, 2.0)

    def moment(k):
        def integrand(angle):
            x = (upper + lower) / 2 - (upper - lower) / 2 * np.cos(angle)
            density = rmt.marchenko_pastur_density(x, ratio, 2.0)
            return x**k * density * (upper - lower) / 2 * np.sin(angle)

        return integrate.quad(integrand, 0, np.pi, epsabs=1e-13, epsrel=1e-13)[0]

    assert moment(0) == pytest.approx(min(1, 1 / ratio), abs=1e-12)
    assert moment(0) + rmt.marchenko_pastur_atom(ratio) == pytest.approx(1, abs=1e-12)
    assert moment(1) == pytest.approx(2.0, rel=1e-12)
    assert moment(2) == pytest.approx(4.0 * (1 + ratio), rel=1e-12)


@sampled
@given(ratio=ratios, variance=st.floats(1e-3, 1e3), share=st.floats(0.01, 0.99))
def test_marchenko_pastur_cdf_is_the_integral_of_the_density(ratio, variance, share):
    lower, upper = rmt.marchenko_pastur_edges(ratio, variance)
    turn = share * np.pi

    def integrand(angle):
        x = (upper + lower) / 2 - (upper - lower) / 2 * np.cos(angle)
        density = rmt.marchenko_pastur_density(x, ratio, variance)
        return density * (upper - lower) / 2 * np.sin(angle)

    expected = integrate.quad(integrand, 0, turn, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    x = (upper + lower) / 2 - (upper - lower) / 2 * np.cos(turn)
    expected += rmt.marchenko_pastur_atom(ratio)
    assert rmt.marchenko_pastur_cdf(x, ratio, variance) == pytest.approx(expected, abs=1e-9)


@sampled
@given(ratio=ratios, variance=st.floats(1e-6, 1e6), x=st.floats(-10, 1e3))
def test_marchenko_pastur_density_scales_with_the_variance_and_vanishes_off_its_support(
    ratio, variance, x
):
    density = rmt.marchenko_pastur_density(variance * x, ratio, variance)
    lower, upper = rmt.marchenko_pastur_edges(ratio)
    assert density >= 0
    if not lower <= x <= upper:
        assert rmt.marchenko_pastur_density(x, ratio) == 0
    if abs(x - lower) > 1e-6 and abs(x - upper) > 1e-6:
        expected = rmt.marchenko_pastur_density(x, ratio) / variance
        assert density == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(200, 500), (400, 400), (500, 200)])
def test_eigenvalues_of_real_matrices_follow_marchenko_pastur(shape):
    rng = np.random.default_rng(1)
    w = rng.normal(0, 1.3 / np.sqrt(shape[1]), shape)
    ratio = shape[0] / shape[1]
    eigenvalues = np.linalg.eigvalsh(w @ w.T)
    positive = eigenvalues[eigenvalues > 1e-10]
    atom = rmt.marchenko_pastur_atom(ratio)
    assert 1 - positive.size / eigenvalues.size == pytest.approx(atom, abs=1e-12)

    def cdf_of_positive(x):
        return (rmt.marchenko_pastur_cdf(x, ratio, 1.3**2) - atom) / (1 - atom)

    assert kolmogorov_distance(positive, cdf_of_positive) < 0.025


def test_marchenko_pastur_at_zero_is_infinite_for_square_matrices_and_finite_otherwise():
    assert rmt.marchenko_pastur_density(0.0, 1.0) == np.inf
    assert rmt.marchenko_pastur_density(0.0, 0.5) == 0
    assert rmt.marchenko_pastur_density(0.0, 2.0) == 0
    assert rmt.marchenko_pastur_atom(4.0) == 0.75
    assert rmt.marchenko_pastur_atom(0.25) == 0
    np.testing.assert_array_equal(
        rmt.marchenko_pastur_cdf([-1e-9, 0.0, 100.0, np.inf], 4.0), [0, 0.75, 1, 1]
    )


# ---------------------------------------------------------------- real matrices


@pytest.mark.parametrize("weights", rmt.WEIGHTS)
def test_singular_values_of_deep_random_products_follow_the_predicted_law(weights):
    width, rng = 400, np.random.default_rng(5)
    q, sigma_w = DEEP
    log_s2 = []
    for _ in range(3):
        product = np.eye(width)
        for length in q:
            slope = 1 / np.cosh(np.sqrt(length) * rng.standard_normal(width)) ** 2
            product = slope[:, None] * (weight_matrix(rng, width, sigma_w, weights) @ product)
        log_s2.append(2 * np.log(np.linalg.svd(product, compute_uv=False)))
    log_s2 = np.concatenate(log_s2)
    # Measured 0.006 and 0.009; the diagonals alone fluctuate by 1 / sqrt(1200) per layer.
    distance = kolmogorov_distance(
        np.exp(log_s2), lambda s2: rmt.jacobian_cdf(s2, q, sigma_w, weights)
    )
    assert distance < 0.02
    shares = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9])
    theory = np.log(rmt.jacobian_quantile(shares, q, sigma_w, weights))
    spread = np.diff(np.log(rmt.jacobian_quantile([0.25, 0.75], q, sigma_w, weights)))
    np.testing.assert_allclose(np.quantile(log_s2, shares), theory, rtol=0, atol=0.06 * spread[0])


@pytest.mark.parametrize("activation", ["tanh", "hard_tanh"])
def test_jacobian_of_a_real_network_follows_the_predicted_law(activation):
    # Signals run through the same weights that make up the Jacobian.
    width, rng = 500, np.random.default_rng(11)
    phi = np.tanh if activation == "tanh" else lambda h: np.clip(h, -1, 1)
    h = np.sqrt(Q_STAR) * rng.standard_normal(width)
    jacobian, q = np.eye(width), []
    for _ in range(7):
        slope = 1 - np.tanh(h) ** 2 if activation == "tanh" else (np.abs(h) < 1).astype(float)
        w = weight_matrix(rng, width, 1.4, "gaussian")
        jacobian = w @ (slope[:, None] * jacobian)
        q.append(np.mean(h**2))
        h = w @ phi(h) + 0.3 * rng.standard_normal(width)
    s2 = np.linalg.svd(jacobian, compute_uv=False) ** 2
    arguments = (q, 1.4, "gaussian", activation)
    zero = sum(mass for where, mass in rmt.jacobian_atoms(*arguments) if where == 0)
    positive = s2[s2 > 1e-24 * s2.max()] if zero else s2
    assert 1 - positive.size / width == pytest.approx(zero, abs=0.05)
    distance = kolmogorov_distance(
        positive, lambda x: (rmt.jacobian_cdf(x, *arguments) - zero) / (1 - zero)
    )
    assert distance < 0.04


# ---------------------------------------------------------------- weight spectra


def test_participation_ratio_counts_the_entries_that_carry_a_vector():
    vectors = np.array([[1.0, 1.0, 1e-200], [0.0, -1.0, 1e-200], [0.0, 0.0, 1e-200]])
    np.testing.assert_allclose(rmt.participation_ratio(vectors), [1, 2, 3])
    assert rmt.participation_ratio([3.0, 0, 0, -3.0]) == pytest.approx(2)
    rng = np.random.default_rng(0)  # a Gaussian vector: n / 3
    assert rmt.participation_ratio(rng.standard_normal(30000)) == pytest.approx(1e4, rel=0.05)


def test_outliers_are_the_eigenvalues_beyond_the_edge_largest_first():
    np.testing.assert_array_equal(rmt.outliers([[0.5, 9.0], [4.0, 5.0]], 4.0), [9, 5])
    rng = np.random.default_rng(3)
    w = rng.normal(0, 1 / np.sqrt(400), (300, 400))
    w[:, 0] += 0.3  # a planted rank-one part far above the transition
    edge = rmt.marchenko_pastur_edges(300 / 400)[1]
    assert rmt.outliers(np.linalg.eigvalsh(w @ w.T), 1.05 * edge).size == 1


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: rmt.marchenko_pastur_density(1.0, 0.0),
            "ratio = 0.0: ratio must be finite and > 0",
        ),
        (lambda: rmt.marchenko_pastur_density(1.0, 1.0, -1.0), "variance = -1.0: variance must be"),
        (lambda: rmt.marchenko_pastur_density([1, np.nan], 1.0), "x holds NaN"),
        (lambda: rmt.marchenko_pastur_cdf(np.nan, 1.0), "x holds NaN"),
        (lambda: rmt.marchenko_pastur_edges(np.inf), "ratio = inf"),
        (lambda: rmt.marchenko_pastur_edges([1.0, 2.0]), r"ratio has shape \(2,\)"),
        (lambda: rmt.marchenko_pastur_atom(-2.0), "ratio = -2.0"),
        (lambda: rmt.jacobian_moments([0.5, -0.1], 1.0), "q_per_layer = -0.1: .* finite and >= 0"),
        (lambda: rmt.jacobian_moments([np.nan], 1.0), "q_per_layer = nan"),
        (lambda: rmt.jacobian_moments([], 1.0), r"q_per_layer has shape \(0,\): .* at least one"),
        (lambda: rmt.jacobian_moments([[0.5]], 1.0), r"q_per_layer has shape \(1, 1\)"),
        (
            lambda: rmt.jacobian_moments([0.5], -1.4),
            "sigma_w = -1.4: sigma_w must be finite and > 0",
        ),
        (lambda: rmt.jacobian_moments([0.5] * 3, [1.0] * 2), r"sigma_w has shape \(2,\)"),
        (lambda: rmt.jacobian_moments([0.5], 1.0, "uniform"), "'uniform': .* gaussian, orthogonal"),
        (lambda: rmt.jacobian_moments([0.5], 1.0, activation="swish"), "swish"),
        (
            lambda: rmt.jacobian_density(1.0, [0.5], 1.0, activation="swish"),
            "swish.*tanh, erf, linear, relu",
        ),
        (lambda: rmt.jacobian_density(np.nan, [0.5], 1.0), "s2 holds NaN"),
        (lambda: rmt.jacobian_density(1.0, [1e5], 1.0), "q_per_layer = 100000.0: .* up to 10000"),
        (
            lambda: rmt.jacobian_density(1.0, [0.5] * 2, 1.5, "orthogonal", "linear"),
            r"no density, only atoms \(mass 1 at s² = 5.0625\): use jacobian_atoms",
        ),
        (
            lambda: rmt.jacobian_support([0.5], 1.0, "orthogonal", "hard_tanh"),
            "at most one random slope",
        ),
        (lambda: rmt.jacobian_quantile(1.2, [0.5], 1.0), r"share = 1.2: share must be in \[0, 1\]"),
        (lambda: rmt.s_transform_zero_one(0.1, 0.0), "one = 0.0"),
        (lambda: rmt.s_transform_gaussian(0.1, -1.0), "sigma_w = -1.0"),
        (lambda: rmt.participation_ratio([0.0, 0.0]), "zero vector"),
        (lambda: rmt.participation_ratio([1.0, np.nan]), "vectors = nan"),
        (lambda: rmt.participation_ratio(1.0), r"vectors has shape \(\)"),
        (lambda: rmt.outliers([1.0, np.nan], 1.0), "eigenvalues = nan"),
        (lambda: rmt.outliers([1.0], np.nan), "edge = nan"),
    ],
)
def test_senseless_input_is_refused_with_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=message):
        call()

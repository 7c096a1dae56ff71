"""Spectra against closed forms, moments, mpmath and real random matrices."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from ticketlens import random_matrix as rmt
from ticketlens.theory import free_probability as free
from ticketlens.theory import slope_laws

Q_STAR = 0.77127  # tanh, sigma_w = 1.4, sigma_b = 0.3: the critical network of the study
DEEP = ([Q_STAR] * 7, 1.4)

sampled = settings(max_examples=20, deadline=None, derandomize=True)
ratios = st.floats(1e-3, 1e3)
activations = st.sampled_from(slope_laws.ACTIVATIONS)
layers = st.lists(st.floats(0.01, 5), min_size=2, max_size=4)
scales = st.floats(0.3, 3)
kinds = st.sampled_from(list(rmt.WEIGHTS))


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


# ---------------------------------------------------------------- the slope's moment transform


@pytest.mark.parametrize(
    ("activation", "q", "lam"),
    [
        ("tanh", Q_STAR, -2 + 1e-8j),  # a pole next to the real axis
        ("tanh", Q_STAR, -12 + 2j),
        ("tanh", 1e-3, 1e-3 + 1e-4j),
        ("tanh", 30.0, -0.1 + 1e-3j),
        ("tanh", 3.0, 2 + 1j),
        ("erf", Q_STAR, -2 + 1e-3j),
        ("erf", 30.0, -5 + 0.1j),
        ("tanh", 900.0, -2 + 0.5j),
        ("erf", 900.0, -5 + 0.1j),
    ],
)
def test_moment_transform_of_the_squared_slope_agrees_with_mpmath(activation, q, lam):
    w = mpmath.exp(lam)
    root = mpmath.sqrt(q)

    def slope(z):
        h = root * z
        return mpmath.sech(h) ** 4 if activation == "tanh" else mpmath.exp(-2 * h * h)

    # A path above the real axis: for Im w > 0 the poles with Re z > 0 lie below it.
    turn = mpmath.mpc(1, 0.3) / max(1, root)
    path = [0, turn, turn + 1, turn + 3, turn + 6, turn + 12]
    expected = [
        2 * mpmath.quad(lambda z, top=top: mpmath.npdf(z) * top(z) / (w - slope(z)), path)
        for top in (slope, lambda z: w)
    ]
    m, complement, _ = slope_laws.smooth_transform(np.array([lam]), q, activation)
    assert m[0] == pytest.approx(complex(expected[0]), rel=1e-11)
    assert complement[0] == pytest.approx(complex(expected[1]), rel=1e-11)


@pytest.mark.parametrize("activation", ["tanh", "erf"])
@pytest.mark.parametrize("q", [70.0, 1e4])
def test_steep_slopes_take_the_nodes_near_their_pole_alone_and_give_the_same(
    activation, q, monkeypatch
):
    """Networks of sigma_w = 30: the whole rule of thousands of nodes took minutes an image."""
    rng = np.random.default_rng(0)
    real = np.concatenate([-(10 ** rng.uniform(-3, 2.8, 60)), rng.uniform(0, 30, 10)])
    lam = real + 1j * np.concatenate([rng.uniform(0, np.pi, 50), np.full(20, np.pi)])
    _, log_slope, weight = slope_laws._nodes(activation, q)
    assert weight.shape[1] > slope_laws.MANY_NODES
    index, *_ = slope_laws._near(lam, np.zeros(70, np.intp), q, log_slope, weight)
    assert index.shape[1] < 200
    found = slope_laws.smooth_transform(lam, q, activation)
    monkeypatch.setattr(slope_laws, "MANY_NODES", 10**9)
    for own, whole in zip(found, slope_laws.smooth_transform(lam, q, activation), strict=True):
        np.testing.assert_allclose(own, whole, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "erf"])
def test_derivative_of_the_moment_transform_agrees_with_differences(activation):
    lam = np.array([-9 + 1e-2j, -1 + 0.5j, -0.01 + 0.01j, 0.5 + 1e-9j, 3 + 3j])
    step = 1e-5
    ahead, behind = (
        slope_laws.smooth_transform(lam + d, 0.7, activation)[0] for d in (step, -step)
    )
    slope = slope_laws.smooth_transform(lam, 0.7, activation)[2]
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-5)


def test_s_transforms_multiply_to_the_solved_spectrum():
    s2 = np.linspace(0.2, 4, 10)
    prod = free.product([1.0, 1.0, 1.0], 3 * np.log(1.3**2), False, "relu")
    m, _ = free.solve(np.log(s2), prod)
    s = (rmt.s_transform_gaussian(m, 1.3) * rmt.s_transform_zero_one(m, 0.5)) ** 3
    np.testing.assert_allclose((1 + m) / (m * s), s2, rtol=1e-10)
    prod = free.product([1.0, 1.0], 2 * np.log(1.3**2), True, "relu")
    m, _ = free.solve(np.log(s2[s2 < 2.8]), prod)
    s = (rmt.s_transform_orthogonal(m, 1.3) * rmt.s_transform_zero_one(m, 0.5)) ** 2
    np.testing.assert_allclose((1 + m) / (m * s), s2[s2 < 2.8], rtol=1e-10)


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


def test_critical_gaussian_network_has_its_median_decades_below_its_mean():
    q = [Q_STAR] * 8
    assert rmt.jacobian_moments(q, 1.4)[0] == pytest.approx(1.02, abs=0.01)
    assert rmt.jacobian_quantile(0.5, q, 1.4) == pytest.approx(2.5e-4, rel=0.02)
    assert rmt.jacobian_quantile(0.5, q, 1.4, "orthogonal") > 0.05


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

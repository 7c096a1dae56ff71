"""Mean field theory against closed forms, mpmath, Monte Carlo and its own identities."""

import math
import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ticketlens import meanfield as mf
from ticketlens.theory.activations import ACTIVATIONS, ERF, TANH, get, odd_analytic

TOLERANCE = 1e-10
SATURATING = ("tanh", "erf", "hard_tanh")
LENGTHS = (0.01, 0.77127, 9.0, 100.0)

sigma_ws = st.floats(0.1, 10)
sigma_bs = st.floats(0, 2)
lengths = st.floats(0, 100)
correlations = st.floats(-1, 1)
saturating = st.sampled_from(SATURATING)
anything = st.sampled_from(sorted(ACTIVATIONS))
thorough = settings(max_examples=60, deadline=None, derandomize=True)


# --- mpmath references: adaptive quadrature that knows nothing of the library's rules ------------


def clip(x):
    return max(min(x, mp.mpf(1)), mp.mpf(-1))


MP_PHI = {
    "tanh": mp.tanh,
    "erf": mp.erf,
    "relu": lambda x: max(x, mp.mpf(0)),
    "hard_tanh": clip,
    "linear": lambda x: x,
}
MP_DERIVATIVE = {
    "tanh": lambda x: mp.sech(x) ** 2,
    "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
    "relu": lambda x: mp.mpf(x > 0),
    "hard_tanh": lambda x: mp.mpf(abs(x) < 1),
    "linear": lambda x: mp.mpf(1),
}


def mp_expectation(f, mean, variance, width=None):
    """E f(mean + sqrt(variance) z), split where f (of the given width) bends around -1, 0, 1."""
    sigma = mp.sqrt(variance)
    width = 1 if width is None else width
    cuts = {mp.mpf(z) for z in (-10, -6, -3, -1, 0, 1, 3, 6, 10)}
    for knot in (-1, 0, 1):
        for offset in (-6, -2, -0.5, 0, 0.5, 2, 6):
            z = (knot + offset * width - mean) / sigma
            if abs(z) < 10:
                cuts.add(z)
    return mp.quad(lambda z: f(mean + sigma * z) * mp.npdf(z), sorted(cuts))


def mp_pair(phi, c, q):
    """E phi(u1) phi(u2) by nested Gauss-Legendre quadrature in (u1, u2 given u1)."""
    root, rest = mp.sqrt(q), mp.sqrt(q * (1 - c * c))

    def quad(f, cuts):
        return mp.quad(lambda z: f(z) * mp.npdf(z), cuts, method="gauss-legendre", maxdegree=4)

    def inner(z1):
        mean = c * root * z1
        return phi(root * z1) * quad(lambda z2: phi(mean + rest * z2), [-8, -4, -2, 0, 2, 4, 8])

    return 2 * quad(inner, [0, 0.1, 0.3, 0.9, 2, 4, 8])


def mp_clip_pair(c, q):
    """The same for hard tanh, whose conditional mean is known: one integral is left."""
    s = mp.sqrt(q * (1 - mp.mpf(c) ** 2))

    def conditional_mean(u):
        low, high = (-1 - c * u) / s, (1 - c * u) / s
        inside = mp.ncdf(high) - mp.ncdf(low)
        return c * u * inside + s * (mp.npdf(low) - mp.npdf(high)) + mp.ncdf(-high) - mp.ncdf(low)

    return mp_expectation(lambda u: clip(u) * conditional_mean(u), mp.mpf(0), mp.mpf(q), float(s))


# --- the registry --------------------------------------------------------------------------------


def test_the_registry_holds_the_five_activations_under_their_names():
    assert set(ACTIVATIONS) == {"tanh", "erf", "relu", "hard_tanh", "linear"}
    assert all(get(name).name == name for name in ACTIVATIONS)


@pytest.mark.parametrize("name", ["Tanh", "", None, ["tanh"]])
def test_an_unknown_activation_is_refused_with_the_allowed_names(name):
    with pytest.raises(
        ValueError, match=r"unknown activation .*tanh, erf, relu, hard_tanh, linear"
    ):
        get(name)
    with pytest.raises(ValueError, match="unknown activation"):
        mf.q_map(1.0, 1.0, 0.0, name)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_derivatives_are_the_slopes_of_phi_away_from_kinks(name):
    x = np.array([-2.3, -0.7, 0.4, 0.9, 3.1])
    slope = (get(name).phi(x + 1e-6) - get(name).phi(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(get(name).derivative(x), slope, atol=1e-9)


def test_derivatives_at_kinks_are_zero_as_in_pytorch():
    assert get("relu").derivative(np.array([0.0, -0.0])).tolist() == [0.0, 0.0]
    assert get("hard_tanh").derivative(np.array([-1.0, 1.0])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_phi_and_its_derivative_keep_shape_and_single_precision(name):
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    for f in (get(name).phi, get(name).derivative):
        assert f(x).shape == (2, 3)
        assert f(x).dtype == np.float32


def test_importing_the_theory_does_not_import_torch():
    code = "import sys, ticketlens.meanfield; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


# --- one-dimensional averages --------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("q", LENGTHS)
def test_moments_agree_with_mpmath(name, q):
    phi, derivative = MP_PHI[name], MP_DERIVATIVE[name]
    second = mp_expectation(lambda u: phi(u) ** 2, 0, mp.mpf(q))
    first = mp_expectation(lambda u: derivative(u) ** 2, 0, mp.mpf(q))
    assert abs(mf.second_moment(q, name) - second) < 1e-12
    assert abs(mf.q_map(q, 10, 2, name) - (100 * second + 4)) < TOLERANCE
    assert abs(mf.derivative_moment(q, 1, name) - first) < 1e-12
    assert abs(mf.chi(10, 2, name, q=q) - 100 * first) < TOLERANCE
    for k in (2, 4):
        reference = mp_expectation(lambda u, k=k: derivative(u) ** (2 * k), 0, mp.mpf(q))
        assert abs(mf.derivative_moment(q, k, name) - reference) < 1e-12


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("mean", "variance"), [(0.3, 0.01), (-1, 1), (4, 100), (-30, 9)])
def test_second_moments_with_a_mean_agree_with_mpmath(name, mean, variance):
    reference = mp_expectation(lambda h: MP_PHI[name](h) ** 2, mp.mpf(mean), mp.mpf(variance))
    assert abs(mf.gaussian_second_moment(mean, variance, name) - reference) < TOLERANCE


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_second_moments_with_a_mean_have_the_right_limits(name):
    x = np.array([-3.0, -1.0, 0.0, 0.2, 1.0, 50.0])
    np.testing.assert_allclose(mf.gaussian_second_moment(x, 0.0, name), get(name).phi(x) ** 2)
    q = np.array([0.0, 0.5, 70.0])
    np.testing.assert_allclose(
        mf.gaussian_second_moment(0.0, q, name), mf.second_moment(q, name), atol=1e-13
    )


def test_second_moments_take_biases_per_neuron_and_variances_per_sample():
    rng = np.random.default_rng(0)
    biases, variances = rng.normal(size=7), rng.uniform(0, 50, size=(40, 7))
    result = mf.gaussian_second_moment(biases, variances)
    assert result.shape == (40, 7)
    assert result[3, 5] == pytest.approx(
        mf.gaussian_second_moment(biases[5], variances[3, 5]), abs=1e-14
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_parts_of_the_fixed_point_equations_are_free_of_cancellation(name):
    phi = get(name)
    for q in (0.05, 1.0, 30.0):
        second, first = phi.second_moment(q), phi.derivative_moment(q, 1)
        assert phi.poincare_gap(q) == pytest.approx(q * first - second, abs=1e-13)
        assert phi.deficit(q) == pytest.approx(phi.origin_slope * q - second, abs=1e-13)
        rise = (phi.second_moment(q + 1e-5) - phi.second_moment(q - 1e-5)) / 2e-5
        assert phi.second_moment_slope(q) == pytest.approx(rise, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "linear", "cubic"),
    [("tanh", 1, -1 / 3), ("erf", 2 / math.sqrt(math.pi), -2 / (3 * math.sqrt(math.pi)))],
)
def test_at_small_lengths_these_parts_follow_from_the_cubic_term_of_phi(name, linear, cubic):
    q = 1e-6
    assert get(name).poincare_gap(q) == pytest.approx(12 * cubic**2 * q**3, rel=1e-4)
    assert get(name).deficit(q) == pytest.approx(-6 * linear * cubic * q**2, rel=1e-4)


def test_expectation_integrates_smooth_functions_elementwise():
    q = np.array([[0.0, 0.3], [7.0, 100.0]])
    np.testing.assert_allclose(mf.expectation(lambda u: u**4, q), 3 * q**2, rtol=1e-13)
    np.testing.assert_allclose(mf.expectation(np.cos, q), np.exp(-q / 2), atol=1e-14)
    assert mf.expectation(lambda u: 1.0, 2.0) == pytest.approx(1.0, abs=1e-15)


def test_quadrature_reproduces_the_closed_forms_of_erf():
    numeric = odd_analytic(
        "erf", special.erf, ERF.derivative, lambda x, y: special.erf(x + y) - special.erf(x - y),
        bound=1.0, strip=1.2,
    )  # fmt: skip
    for q in (0.01, 1.0, 100.0):
        for part in ("second_moment", "deficit", "deficit_slope", "poincare_gap"):
            assert getattr(numeric, part)(q) == pytest.approx(getattr(ERF, part)(q), abs=1e-12)
        for d in (0.0, 1e-4, 0.5, 1.0, 1.9, 2.0):
            assert numeric.pair_gap(q, d) == pytest.approx(ERF.pair_gap(q, d), abs=1e-13)
            assert numeric.derivative_pair(q, d) == pytest.approx(
                ERF.derivative_pair(q, d), abs=1e-13
            )


# --- two-dimensional averages --------------------------------------------------------------------


@pytest.mark.parametrize(("c", "q"), [(0.6, 1.0), (0.9999, 100.0)])
def test_the_tanh_correlation_map_agrees_with_nested_mpmath_quadrature(c, q):
    with mp.workdps(15):
        pair = mp_pair(mp.tanh, mp.mpf(c), mp.mpf(q))
        second = mp_expectation(lambda u: mp.tanh(u) ** 2, 0, mp.mpf(q))
    for sigma_w, sigma_b in ((1.4, 0.3), (10, 2), (0.1, 0)):
        reference = (sigma_w**2 * pair + sigma_b**2) / (sigma_w**2 * second + sigma_b**2)
        assert abs(mf.c_map(c, q, sigma_w, sigma_b) - reference) < TOLERANCE


@pytest.mark.parametrize("q", [1.0, 25.0, 100.0])
def test_the_tanh_correlation_map_agrees_with_its_hermite_series(q):
    """Mehler: E phi(u1) phi(u2) = sum_n a_n^2 c^n, a_n the normalised Hermite coefficients."""
    z = np.linspace(-12, 12, 24001)
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    value = np.tanh(math.sqrt(q) * z)
    slope = math.sqrt(q) / np.cosh(math.sqrt(q) * z) ** 2
    previous, current, a, b = np.zeros_like(z), np.ones_like(z), [], []
    for n in range(90):
        a.append(weight @ (value * current))
        b.append(weight @ (slope * current))
        previous, current = current, (z * current - math.sqrt(n) * previous) / math.sqrt(n + 1)
    a, b, powers = np.array(a), np.array(b), np.arange(90)
    for c in (-0.7, -0.2, 0.0, 0.4, 0.7):
        reference = np.sum(a**2 * c**powers) / mf.second_moment(q)
        assert mf.c_map(c, q, 1.3, 0) == pytest.approx(reference, abs=1e-12)
        pair = np.sum(b**2 * c**powers) / q
        assert float(TANH.derivative_pair(q, 1 - c)) == pytest.approx(pair, abs=1e-12)


@pytest.mark.parametrize(
    ("c", "q"), [(-0.99, 1.0), (0.0, 100.0), (0.5, 0.3), (0.9999, 100.0), (1 - 1e-9, 1.0)]
)
def test_the_hard_tanh_correlation_map_agrees_with_mpmath(c, q):
    pair = mp_clip_pair(mp.mpf(c), q)
    second = mp_expectation(lambda u: clip(u) ** 2, 0, mp.mpf(q))
    reference = (100 * pair + 0.25) / (100 * second + 0.25)
    assert abs(mf.c_map(c, q, 10, 0.5, "hard_tanh") - reference) < 1e-12
    gap = second - pair
    assert abs(get("hard_tanh").pair_gap(q, 1 - c) / gap - 1) < 1e-6  # relative, also as c -> 1


@pytest.mark.parametrize("q", [0.02, 1.0, 100.0])
def test_the_two_branches_of_the_hard_tanh_kernel_meet_and_have_the_right_slope(q):
    gap, slope = get("hard_tanh").pair_gap, get("hard_tanh").derivative_pair
    switch = 1 - math.cos(min(1 / (6 * math.sqrt(q)), 0.5))
    below, above = gap(q, switch * (1 - 1e-8)), gap(q, switch * (1 + 1e-8))
    assert above - below == pytest.approx(2e-8 * switch * q * slope(q, switch), rel=1e-3)
    d = np.array([1e-6, 1e-3, 0.03, 0.5, 1.5])
    rise = (gap(q, d * 1.0001) - gap(q, d * 0.9999)) / (2e-4 * d)
    np.testing.assert_allclose(rise, q * slope(q, d), rtol=1e-6)


@pytest.mark.parametrize("q", LENGTHS)
def test_erf_and_relu_correlation_maps_are_the_arcsine_and_arc_cosine_kernels(q):
    c = np.array([-1, -0.9, 0, 0.3, 0.99, 1 - 1e-7, 1])
    arcsine = 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q))
    arccosine = q / (2 * np.pi) * (np.sqrt(1 - c * c) + c * (np.pi - np.arccos(c)))
    for name, kernel in (("erf", arcsine), ("relu", arccosine), ("linear", q * c)):
        reference = (9 * kernel + 0.25) / (9 * kernel[-1] + 0.25)
        np.testing.assert_allclose(mf.c_map(c, q, 3, 0.5, name), reference, atol=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_maps_agree_with_monte_carlo(name):
    q, c, sigma_w, sigma_b, samples = 1.7, 0.6, 1.6, 0.4, 400_000
    z1, z2 = np.random.default_rng(7).normal(size=(2, samples))
    phi = get(name).phi
    x1 = phi(math.sqrt(q) * z1)
    x2 = phi(math.sqrt(q) * (c * z1 + math.sqrt(1 - c * c) * z2))
    length = mf.q_map(q, sigma_w, sigma_b, name)
    same, cross = sigma_w**2 * x1**2 + sigma_b**2, (sigma_w**2 * x1 * x2 + sigma_b**2) / length
    assert abs(same.mean() - length) < 5 * same.std() / math.sqrt(samples)
    assert abs(cross.mean() - mf.c_map(c, q, sigma_w, sigma_b, name)) < 5 * cross.std() / math.sqrt(
        samples
    )


def test_without_biases_the_correlation_map_at_zero_length_is_its_limit():
    for name in ("tanh", "erf", "hard_tanh", "linear"):
        assert mf.c_map(0.3, 0.0, 0.5, 0.0, name) == pytest.approx(0.3, abs=1e-15)
    assert mf.c_map(0.3, 0.0, 0.5, 0.0, "relu") == mf.c_map(0.3, 5.0, 0.5, 0.0, "relu")
    assert mf.c_map(0.3, 0.0, 0.5, 0.1) == 1.0  # both inputs become the bias


# --- fixed points --------------------------------------------------------------------------------


def test_the_values_of_the_study_come_out():
    assert mf.q_fixed_point(1.4, 0.3) == pytest.approx(0.77127, abs=5e-6)
    assert mf.chi(1.4, 0.3) == pytest.approx(1.00266, abs=5e-6)
    assert mf.c_fixed_point(1.4, 0.3) == pytest.approx(0.98864, abs=5e-6)
    assert mf.critical_sigma_w(0.3) == pytest.approx(1.39558, abs=5e-6)
    assert mf.chi(1.4, 0.3 / 16) == pytest.approx(1.100, abs=5e-4)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.4, 0.3), (10, 0.5), (1, 0.01), (1.001, 0)])
def test_a_newton_step_by_mpmath_does_not_move_the_tanh_length(sigma_w, sigma_b):
    q = mf.q_fixed_point(sigma_w, sigma_b)
    w2, b2 = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
    drift = w2 * mp_expectation(lambda u: mp.tanh(u) ** 2, 0, mp.mpf(q)) + b2 - q
    assert abs(drift / (1 - w2 * float(TANH.second_moment_slope(q)))) < 1e-13


def test_linear_and_relu_lengths_are_the_sums_of_their_geometric_series():
    assert mf.q_fixed_point(0.6, 0.5, "linear") == pytest.approx(0.25 / 0.64, rel=1e-15)
    assert mf.q_fixed_point(1.0, 0.5, "relu") == pytest.approx(0.5, rel=1e-15)
    with mp.workdps(40):
        reference = float(4 / (1 - mp.mpf(0.99999) ** 2))
    assert mf.q_fixed_point(0.99999, 2.0, "linear") == reference  # no cancellation


def test_the_hard_tanh_length_is_right_where_the_map_is_flat_beyond_rounding():
    """At sigma_w = 1, V(q) - q is 1e-12 at the root, but the root is far from zero."""
    with mp.workdps(40):

        def drift(q):
            t = 1 / mp.sqrt(q)
            tail = mp.erfc(t / mp.sqrt(2)) / 2
            return q * (1 - 2 * tail - 2 * t * mp.npdf(t)) + 2 * tail + mp.mpf(1e-6) ** 2 - q

        q = mf.q_fixed_point(1.0, 1e-6, "hard_tanh")
        assert q > 0.02
        assert abs(drift(mp.mpf(q)) / mp.diff(drift, q)) < 1e-14
    assert mf.c_fixed_point(1.0, 1e-6, "hard_tanh") == 1.0


@pytest.mark.parametrize(
    ("name", "threshold"), [("tanh", 1.0), ("hard_tanh", 1.0), ("erf", math.sqrt(math.pi) / 2)]
)
def test_without_biases_signals_die_up_to_the_threshold_and_live_beyond_it(name, threshold):
    for sigma_w in (0.0, 0.1, 0.9 * threshold, threshold):
        assert mf.q_fixed_point(sigma_w, 0, name) == 0.0
        assert mf.c_fixed_point(sigma_w, 0, name) == 1.0
    assert mf.depth_scales(threshold, 0, name) == (math.inf, math.inf)
    for excess in (1e-6, 1e-3, 1.0):
        sigma_w = threshold * (1 + excess)
        q = mf.q_fixed_point(sigma_w, 0, name)
        assert q > 0
        assert mf.q_map(q, sigma_w, 0, name) == pytest.approx(q, rel=1e-12)
        assert mf.c_fixed_point(sigma_w, 0, name) == 0.0
        assert mf.chi(sigma_w, 0, name) >= 1


def test_tanh_length_just_above_the_threshold_is_half_the_excess_variance():
    assert mf.q_fixed_point(1 + 1e-8, 0) == pytest.approx(1e-8, rel=1e-6)


@given(sigma_ws, sigma_bs, saturating)
@thorough
def test_q_star_is_a_stable_fixed_point_within_its_bounds(sigma_w, sigma_b, name):
    q = mf.q_fixed_point(sigma_w, sigma_b, name)
    assert sigma_b**2 <= q <= sigma_w**2 + sigma_b**2
    assert abs(mf.q_map(q, sigma_w, sigma_b, name) - q) < 1e-12
    slope = sigma_w**2 * float(get(name).second_moment_slope(q))
    assert slope <= 1 + 1e-12


@given(sigma_ws, sigma_bs, saturating)
@thorough
def test_c_star_is_a_stable_fixed_point_and_below_one_only_in_chaos(sigma_w, sigma_b, name):
    q, c = mf.q_fixed_point(sigma_w, sigma_b, name), mf.c_fixed_point(sigma_w, sigma_b, name)
    chi = mf.chi(sigma_w, sigma_b, name)
    assert 0 <= c <= 1
    assert (c < 1) == (chi > 1) or abs(chi - 1) < 1e-10
    if q > 0:
        assert mf.c_map(c, q, sigma_w, sigma_b, name) == pytest.approx(c, abs=1e-12)
    xi_q, xi_c = mf.depth_scales(sigma_w, sigma_b, name)
    assert xi_q >= 0 and xi_c >= 0
    if c == 1 and chi < 1 - 1e-6:
        assert xi_c == pytest.approx(-1 / math.log(chi), rel=1e-9)


@pytest.mark.parametrize("name", SATURATING)
@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.7, 0.3), (4, 1)])
def test_depth_scales_are_the_rates_at_which_the_maps_converge(name, sigma_w, sigma_b):
    q, c = mf.q_fixed_point(sigma_w, sigma_b, name), mf.c_fixed_point(sigma_w, sigma_b, name)
    xi_q, xi_c = mf.depth_scales(sigma_w, sigma_b, name)
    step = 1e-5
    q_slope = np.diff(mf.q_map([q - step, q + step], sigma_w, sigma_b, name))[0] / (2 * step)
    c_slope = np.diff(mf.c_map([c - step, c + step], q, sigma_w, sigma_b, name))[0] / (2 * step)
    assert math.exp(-1 / xi_q) == pytest.approx(q_slope, abs=1e-8)
    assert math.exp(-1 / xi_c) == pytest.approx(c_slope, abs=1e-8)


def test_depth_scales_of_a_layer_without_weights_are_zero():
    assert mf.depth_scales(0.0, 0.5) == (0.0, 0.0)
    assert mf.q_fixed_point(0.0, 0.5) == 0.25


# --- the edge of chaos ---------------------------------------------------------------------------


def test_without_biases_the_edge_of_chaos_is_where_signals_begin_to_live():
    expected = {"tanh": 1, "hard_tanh": 1, "linear": 1, "erf": math.sqrt(math.pi) / 2}
    expected["relu"] = math.sqrt(2)
    for name, sigma_w in expected.items():
        assert mf.critical_sigma_w(0, name) == pytest.approx(sigma_w, rel=1e-15)


@pytest.mark.parametrize("name", SATURATING)
@pytest.mark.parametrize("sigma_b", [1e-9, 1e-4, 0.05, 0.3, 1.0, 2.0])
def test_on_the_critical_line_chi_is_one_and_memory_infinite(name, sigma_b):
    sigma_w = mf.critical_sigma_w(sigma_b, name)
    assert mf.chi(sigma_w, sigma_b, name) == pytest.approx(1, abs=1e-14)
    assert mf.depth_scales(sigma_w, sigma_b, name)[1] == math.inf
    assert mf.chi(sigma_w + 1e-3, sigma_b, name) > 1 > mf.chi(sigma_w - 1e-3, sigma_b, name)
    assert mf.c_fixed_point(sigma_w - 1e-3, sigma_b, name) == 1
    assert mf.c_fixed_point(sigma_w + 1e-3, sigma_b, name) < 1


@pytest.mark.parametrize("name", SATURATING)
def test_the_critical_line_is_single_valued_and_rises_with_sigma_b(name):
    q = np.linspace(0.02, 60, 500)
    squared_bias = get(name).poincare_gap(q) / get(name).derivative_moment(q, 1)
    assert np.all(np.diff(squared_bias) > 0)
    line = [mf.critical_sigma_w(b, name) for b in np.linspace(0, 2, 9)]
    assert np.all(np.diff(line) > 0)


@pytest.mark.parametrize("excess", [1e-2, 1e-6, 1e-10])
def test_c_star_leaves_one_continuously_and_keeps_its_digits_near_the_critical_line(excess):
    sigma_w = mf.critical_sigma_w(0.3, "erf") + excess
    with mp.workdps(40):
        w2, b2 = mp.mpf(sigma_w) ** 2, mp.mpf(0.3) ** 2
        kernel = lambda c, q: 2 / mp.pi * mp.asin(2 * q * c / (1 + 2 * q))  # noqa: E731
        q = mp.findroot(lambda q: w2 * kernel(1, q) + b2 - q, (0.5, 1), solver="anderson")
        distance = mp.findroot(
            lambda d: w2 * (kernel(1, q) - kernel(1 - d, q)) / (q * d) - 1,
            (mp.mpf(excess), mp.mpf(excess) * 20),
            solver="anderson",
        )
    assert abs(mf.c_fixed_point(sigma_w, 0.3, "erf") - (1 - distance)) < 1e-14


# --- properties of the maps ----------------------------------------------------------------------


@given(sigma_ws, sigma_bs, lengths, lengths, anything)
@thorough
def test_the_length_map_increases(sigma_w, sigma_b, q1, q2, name):
    low, high = sorted((q1, q2))
    v_low, v_high = mf.q_map(np.array([low, high]), sigma_w, sigma_b, name)
    assert v_low <= v_high + 1e-12
    assert v_low >= sigma_b**2


@given(correlations, lengths, sigma_ws, sigma_bs, anything)
@thorough
def test_correlations_stay_correlations_and_equal_inputs_stay_equal(c, q, sigma_w, sigma_b, name):
    assert mf.c_map(1.0, q, sigma_w, sigma_b, name) == 1.0
    assert -1 <= mf.c_map(c, q, sigma_w, sigma_b, name) <= 1


@given(correlations, lengths, sigma_ws, saturating)
@thorough
def test_without_biases_odd_activations_have_an_odd_correlation_map(c, q, sigma_w, name):
    there = mf.c_map(c, q, sigma_w, 0, name)
    assert mf.c_map(-c, q, sigma_w, 0, name) == pytest.approx(-there, abs=1e-12)


@given(st.floats(0.05, 100), sigma_ws, sigma_bs, anything)
@thorough
def test_the_slope_of_the_correlation_map_at_one_is_chi_times_q_over_its_image(
    q, sigma_w, sigma_b, name
):
    slope = (1 - mf.c_map(1 - 1e-9, q, sigma_w, sigma_b, name)) / 1e-9
    expected = mf.chi(sigma_w, sigma_b, name, q=q) * q / mf.q_map(q, sigma_w, sigma_b, name)
    assert slope == pytest.approx(expected, rel=1e-3, abs=1e-6)


@given(sigma_ws, sigma_bs, saturating)
@thorough
def test_chi_at_the_fixed_point_is_the_slope_itself(sigma_w, sigma_b, name):
    q = mf.q_fixed_point(sigma_w, sigma_b, name)
    if q > 1e-3:
        slope = (1 - mf.c_map(1 - 1e-9, q, sigma_w, sigma_b, name)) / 1e-9
        assert slope == pytest.approx(mf.chi(sigma_w, sigma_b, name), rel=1e-3, abs=1e-6)


def test_residual_blocks_add_two_layers_to_what_they_are_given():
    q = np.array([0.0, 0.4, 30.0])
    inner = mf.q_map(q, 1.4, 0.3)
    np.testing.assert_allclose(mf.residual_q_map(q, 1.4, 0.3), q + mf.q_map(inner, 1.4, 0.3))
    np.testing.assert_allclose(
        mf.residual_chi(q, 1.4, 0.3), 1 + mf.chi(1.4, 0.3, q=q) * mf.chi(1.4, 0.3, q=inner)
    )
    assert mf.residual_q_map(2.0, 1.0, 0.5, "linear") == pytest.approx(2 + 2 + 0.25 + 0.25)
    assert mf.residual_chi(2.0, 1.0, 0.5, "linear") == pytest.approx(2.0)


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_scalars_give_floats_and_arrays_give_arrays_of_the_broadcast_shape(name):
    q, c = np.array([[0.1], [3.0]]), np.linspace(-1, 1, 5)
    assert type(mf.q_map(1, 1.2, 0.1, name)) is float
    assert type(mf.c_map(np.float64(0.5), 1.0, 1.2, 0.1, name)) is float
    assert type(mf.chi(0.5, 0.1, name)) is float
    assert type(mf.residual_q_map(1.0, 1.2, 0.1, name)) is float
    assert type(mf.residual_chi(1.0, 1.2, 0.1, name)) is float
    assert mf.q_map([1.0, 2.0], 1.2, 0.1, name).shape == (2,)
    assert mf.derivative_moment(q, 2, name).shape == (2, 1)
    assert mf.chi(1.2, 0.1, name, q=q).shape == (2, 1)
    assert mf.second_moment(np.empty(0), name).shape == (0,)
    result = mf.c_map(c, q, 1.2, 0.1, name)
    assert result.shape == (2, 5)
    assert result[1, 2] == pytest.approx(mf.c_map(c[2], 3.0, 1.2, 0.1, name), abs=1e-15)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "1.4", [1.0, 2.0], None])
def test_scales_that_are_no_standard_deviations_are_refused(bad):
    calls = [
        lambda: mf.q_map(1.0, bad, 0.3),
        lambda: mf.q_map(1.0, 1.4, bad),
        lambda: mf.q_fixed_point(bad, 0.3),
        lambda: mf.c_map(0.5, 1.0, bad, 0.3),
        lambda: mf.c_fixed_point(1.4, bad),
        lambda: mf.chi(bad, 0.3),
        lambda: mf.critical_sigma_w(bad),
        lambda: mf.depth_scales(bad, 0.3),
        lambda: mf.residual_q_map(1.0, bad, 0.3),
        lambda: mf.residual_chi(1.0, 1.4, bad),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"sigma_[wb] is a standard deviation: .* got"):
            call()


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf, [1.0, -2.0]])
def test_lengths_that_are_no_mean_squares_are_refused(bad):
    calls = [
        lambda: mf.q_map(bad, 1.4, 0.3),
        lambda: mf.c_map(0.5, bad, 1.4, 0.3),
        lambda: mf.chi(1.4, 0.3, q=bad),
        lambda: mf.residual_q_map(bad, 1.4, 0.3),
        lambda: mf.residual_chi(bad, 1.4, 0.3),
        lambda: mf.second_moment(bad),
        lambda: mf.derivative_moment(bad, 1),
        lambda: mf.expectation(np.tanh, bad),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"q is a mean square: allowed .* got"):
            call()
    with pytest.raises(ValueError, match="variance is a mean square"):
        mf.gaussian_second_moment(0.0, bad)


@pytest.mark.parametrize("bad", [1.0000001, -1.1, math.nan, math.inf, [0.0, 2.0]])
def test_correlations_outside_their_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"c is a correlation: allowed is -1 to 1, got"):
        mf.c_map(bad, 1.0, 1.4, 0.3)


def test_other_senseless_input_is_refused():
    with pytest.raises(ValueError, match="mean must be finite, got nan"):
        mf.gaussian_second_moment(math.nan, 1.0)
    with pytest.raises(ValueError, match="k must be 1, 2, 3 or 4, got 0"):
        mf.derivative_moment(1.0, 0)
    with pytest.raises(ValueError, match="strip must be positive, got 0"):
        mf.expectation(np.tanh, 1.0, strip=0)
    with pytest.raises(ValueError, match="a layer of zeros has no correlation"):
        mf.c_map(0.5, 1.0, 0, 0)


def test_lengths_beyond_the_reach_of_the_numerics_are_refused_not_mistaken():
    for call in (
        lambda: mf.q_map(1e7, 1.4, 0.3),
        lambda: mf.c_map(0.5, 1e5, 1.4, 0.3),
        lambda: mf.c_map(0.5, 1e7, 1.4, 0.3, "hard_tanh"),
        lambda: mf.gaussian_second_moment(0.0, 1e7, "hard_tanh"),
    ):
        with pytest.raises(ValueError, match="too large"):
            call()
    for name in ("erf", "relu", "linear"):  # no limit of this kind, and no overflow
        assert 0 < mf.c_map(0.5, 1e100, 1.4, 0.3, name) < 1
    assert mf.q_map(1e6, 1.4, 0.3) == pytest.approx(1.4**2 + 0.09, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [("relu", 1.5, 0.1), ("relu", 2, 0), ("linear", 1, 0.1), ("linear", 3, 0)],
)
def test_beyond_criticality_relu_and_linear_have_no_fixed_point(name, sigma_w, sigma_b):
    for function in (mf.q_fixed_point, mf.c_fixed_point, mf.depth_scales):
        with pytest.raises(mf.NoFixedPoint, match=rf"{name} at sigma_w = {sigma_w}.*no stable"):
            function(sigma_w, sigma_b, name)
    expected = sigma_w**2 * {"relu": 0.5, "linear": 1}[name]
    assert mf.chi(sigma_w, sigma_b, name) == expected  # chi needs no q*


@pytest.mark.parametrize("name", ["relu", "linear"])
def test_at_criticality_without_biases_every_length_is_fixed_and_memory_infinite(name):
    sigma_w = mf.critical_sigma_w(0, name)
    for nudged in (sigma_w, np.nextafter(sigma_w, 9), np.nextafter(sigma_w, 0)):
        with pytest.raises(mf.NoFixedPoint, match="every q is a fixed point"):
            mf.q_fixed_point(nudged, 0, name)
        assert mf.c_fixed_point(nudged, 0, name) == 1.0
        assert mf.depth_scales(nudged, 0, name) == (math.inf, math.inf)
    with pytest.raises(mf.NoFixedPoint, match=r"no critical sigma_w at sigma_b = 0\.1"):
        mf.critical_sigma_w(0.1, name)
    assert issubclass(mf.NoFixedPoint, ValueError)

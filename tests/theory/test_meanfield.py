"""Averages and maps of mean field theory against closed forms and mpmath, and what they refuse."""

import math
import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from mpmath_averages import MP_DERIVATIVE, MP_PHI, clip, mp_clip_pair, mp_expectation, mp_pair
from ticketlens import meanfield as mf
from ticketlens.theory.activations import ACTIVATIONS, ERF, TANH, get, odd_analytic

TOLERANCE = 1e-10
LENGTHS = (0.01, 0.77127, 9.0, 100.0)


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

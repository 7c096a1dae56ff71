"""The fixed points of mean field theory, the edge of chaos, and identities that all maps obey."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmath_averages import mp_expectation
from ticketlens import meanfield as mf
from ticketlens.theory.activations import ACTIVATIONS, TANH, get

SATURATING = ("tanh", "erf", "hard_tanh")

sigma_ws = st.floats(0.1, 10)
sigma_bs = st.floats(0, 2)
lengths = st.floats(0, 100)
correlations = st.floats(-1, 1)
saturating = st.sampled_from(SATURATING)
anything = st.sampled_from(sorted(ACTIVATIONS))
thorough = settings(max_examples=60, deadline=None, derandomize=True)


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


# --- where there is none -------------------------------------------------------------------------


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

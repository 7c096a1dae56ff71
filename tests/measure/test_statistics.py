"""Statistics of weights: closed forms and Monte Carlo."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ticketlens.measure import weights as statistics
from ticketlens.theory import selection_null


def claim(*strategies):
    """`given` without a deadline: a busy machine is no reason to fail."""
    return lambda test: settings(deadline=None)(given(*strategies)(test))


@st.composite
def layers(draw):
    """A weight of up to 40 entries, float32, with a mask."""
    shape = draw(st.sampled_from([(1, 1), (5, 8), (4, 3, 3, 1), (2, 2, 3, 3)]))
    elements = st.floats(-4, 4, width=32, allow_subnormal=False)
    weight = draw(hnp.arrays(np.float32, shape, elements=elements))
    return weight, draw(hnp.arrays(bool, shape))


# Moments


@claim(layers())
def test_moments_agree_with_scipy_on_the_kept_weights(layer):
    weight, mask = layer
    result = statistics.weight_statistics(weight, mask, fan_in=9)
    kept = weight[mask].astype(np.float64)
    assert result.count == kept.size
    if kept.size < 2 or np.ptp(kept) < 1e-3:
        return
    assert result.mean == pytest.approx(kept.mean(), abs=1e-12)
    assert result.mean_standard_error == pytest.approx(stats.sem(kept))
    assert result.std == pytest.approx(kept.std())
    assert result.std_scaled == pytest.approx(3 * kept.std())
    assert result.second_moment == pytest.approx(np.mean(kept**2))
    assert result.kurtosis == pytest.approx(stats.kurtosis(kept, fisher=False), rel=1e-6)
    assert result.fourth_moment_ratio >= 1 - 1e-12
    positive, negative = np.sum(kept > 0), np.sum(kept < 0)
    assert result.positive_fraction == pytest.approx(positive / (positive + negative))


@claim(layers(), st.sampled_from([2.0, 2.0**9, 2.0**40]))
def test_shape_numbers_do_not_depend_on_the_unit_of_weight(layer, factor):
    weight, mask = layer
    one = statistics.weight_statistics(weight, mask, fan_in=4)
    other = statistics.weight_statistics(weight * np.float32(factor), mask, fan_in=4)
    for name in ("kurtosis", "fourth_moment_ratio", "positive_fraction"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6, nan_ok=True)
    assert other.std == pytest.approx(one.std * factor, rel=1e-6, nan_ok=True)


def test_a_gaussian_layer_has_the_textbook_moments(rng):
    fan_in = 1000
    weight = rng.normal(0, 1.4 / math.sqrt(fan_in), size=(400, fan_in)).astype(np.float32)
    result = statistics.weight_statistics(weight, np.ones(weight.shape, bool), fan_in)
    assert abs(result.mean) < 4 * result.mean_standard_error
    assert result.std_scaled == pytest.approx(1.4, rel=0.005)
    assert result.kurtosis == pytest.approx(3, abs=0.05)
    assert result.fourth_moment_ratio == pytest.approx(3, abs=0.05)
    assert result.positive_fraction == pytest.approx(0.5, abs=0.004)


def test_statistics_of_all_weights_count_the_zeros(rng):
    mask = rng.random((40, 50)) < 0.2
    weight = np.where(mask, rng.normal(size=mask.shape), 0).astype(np.float32)
    kept = statistics.weight_statistics(weight, mask, fan_in=50)
    everything = statistics.weight_statistics(weight, None, fan_in=50)
    density = mask.mean()
    assert everything.count == 2000
    assert everything.second_moment == pytest.approx(density * kept.second_moment)
    assert everything.fourth_moment_ratio == pytest.approx(kept.fourth_moment_ratio / density)
    # Zeros have no sign: the balance is that of the kept weights either way.
    assert everything.positive_fraction == pytest.approx(kept.positive_fraction)


def test_float32_weights_are_summed_in_double_precision():
    weight = np.full((1000, 1000), 0.1, dtype=np.float32)
    weight[0, 0] = 0.2
    expected = weight.astype(np.float64).mean()
    result = statistics.weight_statistics(weight, None, fan_in=1000)
    assert result.mean == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf])
def test_an_empty_or_diverged_layer_gives_nan_and_no_warning(fill):
    weight = np.full((3, 4), fill, dtype=np.float32)
    mask = np.full((3, 4), fill != 0.0)
    result = statistics.weight_statistics(weight, mask, fan_in=4)
    assert result.count == mask.sum()
    assert all(math.isnan(v) for k, v in dataclasses.asdict(result).items() if k != "count")
    change = statistics.training_change(weight, weight, mask)
    assert math.isnan(change.correlation) and math.isnan(change.sign_flip_fraction)
    values = weight[mask]
    assert math.isnan(statistics.bimodality_coefficient(values))
    assert math.isnan(statistics.distance_to_normal(values))
    assert math.isnan(statistics.density_at_zero_over_peak(values))
    assert math.isnan(statistics.dip_test(values, np.random.default_rng(0)).dip)


def test_one_weight_has_a_mean_but_no_standard_error():
    result = statistics.weight_statistics(np.array([[0.1]], np.float32), None, fan_in=1)
    assert result.mean == np.float32(0.1) and result.std == 0.0
    assert math.isnan(result.mean_standard_error) and math.isnan(result.kurtosis)


def test_a_mask_of_another_shape_or_type_is_refused():
    weight = np.zeros((3, 4), np.float32)
    for mask in (np.ones((4, 3), bool), np.ones((3, 4), np.uint8)):
        with pytest.raises(ValueError, match="boolean mask of the weights' shape"):
            statistics.weight_statistics(weight, mask, fan_in=4)
    with pytest.raises(ValueError, match="fan_in is 0"):
        statistics.weight_statistics(weight, None, fan_in=0)


# Change in training


def test_weights_that_only_shrink_are_correlated_and_keep_their_signs(rng):
    initial = rng.normal(size=(30, 40)).astype(np.float32)
    change = statistics.training_change(initial, initial / 2, np.ones(initial.shape, bool))
    assert change.correlation == pytest.approx(1) and change.sign_flip_fraction == 0


def test_sign_flips_are_counted_among_weights_that_had_a_sign():
    initial = np.array([[1.0, -1.0, 0.0, 2.0, 5.0]], np.float32)
    trained = np.array([[-1.0, -2.0, 3.0, 0.0, -5.0]], np.float32)
    mask = np.array([[True, True, True, True, False]])
    change = statistics.training_change(initial, trained, mask)
    assert change.count == 4
    assert change.sign_flip_fraction == pytest.approx(1 / 3)


def test_correlation_recovers_the_one_that_was_planted(rng):
    initial = rng.normal(size=(300, 300))
    trained = 0.6 * initial + 0.8 * rng.normal(size=initial.shape)
    mask = rng.random(initial.shape) < 0.5
    change = statistics.training_change(initial, trained, mask)
    assert change.correlation == pytest.approx(0.6, abs=0.01)
    kept = np.corrcoef(initial[mask], trained[mask])[0, 1]
    assert change.correlation == pytest.approx(kept, abs=1e-12)


def test_weights_of_different_layers_are_not_compared():
    with pytest.raises(ValueError, match="both belong to one layer"):
        statistics.training_change(np.zeros((2, 3)), np.zeros((3, 2)), None)


# Histograms


@claim(st.floats(0.1, 20), st.integers(1, 300))
def test_common_edges_are_exactly_symmetric(limit, bins):
    edges = statistics.common_edges(limit, bins)
    assert edges.size == bins + 1
    assert (edges == -edges[::-1]).all()
    assert edges[-1] == pytest.approx(limit)


def test_default_bins_have_zero_at_a_centre():
    edges = statistics.common_edges()
    centres = (edges[:-1] + edges[1:]) / 2
    assert centres[80] == 0.0 and edges.size == 162


@claim(
    hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-3, 3, width=32)),
    st.integers(0, 3),
)
def test_a_histogram_loses_no_value(values, not_numbers):
    values = np.concatenate([values, np.full(not_numbers, np.nan, np.float32)])
    result = statistics.histogram(values, statistics.common_edges(2.0, 7))
    assert result.counts.dtype == np.int64 and result.not_a_number == not_numbers
    assert result.counts.sum() + result.below + result.above + not_numbers == values.size
    assert result.below == np.sum(values < -2) and result.above == np.sum(values > 2)


def test_bins_hold_their_lower_edge_and_the_last_one_its_upper_edge():
    result = statistics.histogram(np.array([-1.0, 0.0, 1.0, 1.5, -np.inf]), np.array([-1.0, 0, 1]))
    assert result.counts.tolist() == [1, 2]
    assert (result.below, result.above) == (1, 1)


@pytest.mark.parametrize("edges", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan]])
def test_edges_increase(edges):
    with pytest.raises(ValueError, match="edges"):
        statistics.histogram(np.zeros(3), np.array(edges))


@pytest.mark.parametrize("arguments", [(0.0,), (math.inf,), (8.0, 0)])
def test_senseless_bins_are_refused(arguments):
    with pytest.raises(ValueError, match="limit is"):
        statistics.common_edges(*arguments)


# One peak or two


def two_peaks(rng, n, width=0.6):
    """Peaks at ±1.2 of the given width."""
    return rng.choice([-1.2, 1.2], n) + width * rng.normal(size=n)


def test_the_dip_test_tells_one_peak_from_two(rng):
    one = statistics.dip_test(rng.normal(size=5000), rng)
    two = statistics.dip_test(two_peaks(rng, 5000), rng)
    assert one.p_value > 0.05 and two.p_value < 0.001 and one.dip < two.dip


def test_the_dip_test_subsamples_large_layers_with_the_given_generator(rng):
    values = rng.normal(size=100_000).astype(np.float32)
    one, other = (statistics.dip_test(values, np.random.default_rng(5), 1000) for _ in "ab")
    assert one == other and one.n == 1000
    assert statistics.dip_test(values, rng).n == 72_000
    assert statistics.dip_test(values[:999], rng, 1000).n == 999


@pytest.mark.parametrize("max_points", [3, 72_001])
def test_the_dip_test_stays_within_its_table(rng, max_points):
    with pytest.raises(ValueError, match="max_points"):
        statistics.dip_test(np.zeros(10), rng, max_points)


def test_three_values_have_no_dip(rng):
    assert math.isnan(statistics.dip_test(np.arange(3.0), rng).p_value)


def test_bimodality_coefficient_of_known_laws(rng):
    n = 200_000
    assert statistics.bimodality_coefficient(rng.normal(size=n)) == pytest.approx(1 / 3, abs=0.01)
    assert statistics.bimodality_coefficient(rng.random(n)) == pytest.approx(5 / 9, abs=0.01)
    assert statistics.bimodality_coefficient(np.array([-1.0, 1.0] * 10)) == pytest.approx(1)
    assert math.isnan(statistics.bimodality_coefficient(np.ones(5)))


@claim(hnp.arrays(np.float64, st.integers(2, 30), elements=st.integers(-50, 50)))
def test_bimodality_coefficient_is_at_most_one(values):
    coefficient = statistics.bimodality_coefficient(values)
    assert math.isnan(coefficient) if np.ptp(values) == 0 else 0 < coefficient <= 1


@claim(hnp.arrays(np.float64, st.integers(2, 40), elements=st.integers(-50, 50)))
def test_distance_to_normal_is_the_ks_statistic_of_the_fit(values):
    distance = statistics.distance_to_normal(values)
    if np.ptp(values) == 0:
        assert math.isnan(distance)
        return
    fitted = stats.norm(values.mean(), values.std())
    assert distance == pytest.approx(stats.kstest(values, fitted.cdf).statistic, abs=1e-12)


def test_distance_to_normal_vanishes_for_a_gaussian_only(rng):
    assert statistics.distance_to_normal(rng.normal(3, 2, size=100_000)) < 0.005
    assert statistics.distance_to_normal(two_peaks(rng, 100_000)) > 0.05


@pytest.mark.parametrize("n", [500, 20_000, 800_000])
def test_density_at_zero_of_a_gaussian_is_its_peak(rng, n):
    ratio = statistics.density_at_zero_over_peak(rng.normal(0, 0.02, size=n).astype(np.float32))
    assert ratio == pytest.approx(1, abs=0.15 if n == 500 else 0.02)


@pytest.mark.parametrize(("n", "tolerance"), [(2000, 0.15), (50_000, 0.05), (800_000, 0.02)])
def test_density_at_zero_of_two_peaks_is_recovered(rng, n, tolerance):
    x = np.linspace(0, 3, 3001)
    density = stats.norm.pdf(x, 1.2, 0.6) + stats.norm.pdf(x, -1.2, 0.6)
    ratio = statistics.density_at_zero_over_peak(two_peaks(rng, n))
    assert ratio == pytest.approx(density[0] / density.max(), abs=tolerance)


def test_fifty_weights_tell_one_peak_from_a_gap(rng):
    one = [statistics.density_at_zero_over_peak(rng.normal(size=50)) for _ in range(200)]
    two = [statistics.density_at_zero_over_peak(two_peaks(rng, 50, 0.3)) for _ in range(200)]
    assert np.mean(np.array(one) > 0.5) > 0.95
    assert np.mean(np.array(two) < 0.5) > 0.95


def test_survivors_of_pruning_at_init_have_no_density_at_zero(rng):
    weights = rng.normal(size=100_000)
    survivors = weights[np.abs(weights) > selection_null.threshold(0.21)]
    assert statistics.density_at_zero_over_peak(survivors) < 1e-6


@claim(
    hnp.arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.floats(-9, 9).filter(lambda x: x == 0 or abs(x) > 1e-250),
    ),
    st.sampled_from([2.0**-40, 2.0, 2.0**40]),
)
def test_density_at_zero_is_a_share_without_units(values, factor):
    ratio = statistics.density_at_zero_over_peak(values)
    assert 0 <= ratio <= 1
    assert statistics.density_at_zero_over_peak(values * factor) == pytest.approx(ratio, rel=1e-6)
    assert statistics.density_at_zero_over_peak(-values) == ratio


def test_one_far_outlier_does_not_hide_the_peak(rng):
    values = rng.normal(size=5000)
    plain = statistics.density_at_zero_over_peak(values)
    values[0] = 1e6
    assert statistics.density_at_zero_over_peak(values) == pytest.approx(plain, abs=0.05)


@pytest.mark.parametrize(("values", "ratio"), [([0.0] * 5, 1.0), ([0.3, -0.3], 0.0), ([2.0], 0.0)])
def test_equal_magnitudes_have_density_at_zero_only_if_they_are_zero(values, ratio):
    assert statistics.density_at_zero_over_peak(np.array(values)) == ratio


def test_exact_zeros_among_the_kept_weights_are_a_peak_at_zero(rng):
    # Delta-orthogonal kernels: eight of nine kernel positions are zero and count as weights.
    kernel = np.zeros((64, 64, 3, 3))
    kernel[:, :, 1, 1] = rng.normal(size=(64, 64))
    assert statistics.density_at_zero_over_peak(kernel) == 1.0

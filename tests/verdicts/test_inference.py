"""Inference over seeds: every number against a closed form, another library or simulation."""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ticketlens.verdicts import inference

# Hundredths of a point, as accuracies on 10,000 images are.
finite = st.integers(-5000, 5000).map(lambda hundredths: hundredths / 100)
seeds_of_differences = st.lists(finite, min_size=2, max_size=12)


def claim(*strategies, max_examples=100):
    """`given` without a deadline: a busy machine is no reason to fail."""
    return lambda test: settings(deadline=None, max_examples=max_examples)(given(*strategies)(test))


# Intervals


@claim(seeds_of_differences, st.floats(0.5, 0.999))
def test_t_interval_agrees_with_scipy(values, confidence):
    interval = inference.t_interval(values, confidence)
    assert interval.n == len(values)
    if np.ptp(values) == 0:
        assert interval.lower == interval.mean == interval.upper == values[0]
        return
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.lower == pytest.approx(expected.low, abs=1e-9)
    assert interval.upper == pytest.approx(expected.high, abs=1e-9)


def test_t_interval_covers_the_true_mean_95_times_in_100(rng):
    intervals = [inference.t_interval(rng.normal(2.0, 0.7, size=3)) for _ in range(4000)]
    covered = np.mean([i.lower <= 2.0 <= i.upper for i in intervals])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_one_seed_has_a_mean_but_no_bounds():
    interval = inference.t_interval([52.1])
    assert interval.mean == 52.1 and interval.n == 1
    assert math.isnan(interval.lower) and math.isnan(interval.upper)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan], [1.0, math.inf]])
def test_values_that_are_not_one_finite_number_per_seed_are_refused(values):
    with pytest.raises(ValueError, match="values"):
        inference.t_interval(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, math.nan])
def test_confidence_is_a_fraction(confidence):
    with pytest.raises(ValueError, match="confidence"):
        inference.t_interval([1.0, 2.0], confidence)


# Pairing


@claim(st.dictionaries(st.integers(0, 99), st.tuples(finite, finite), min_size=1, max_size=8))
def test_pairing_ignores_the_order_of_seeds(pairs):
    a = {seed: pair[0] for seed, pair in pairs.items()}
    b = {seed: pairs[seed][1] for seed in reversed(list(pairs))}
    expected = [pairs[seed][0] - pairs[seed][1] for seed in sorted(pairs)]
    assert inference.paired_difference(a, b).tolist() == expected
    assert inference.paired_difference(b, a).tolist() == [-d for d in expected]


def test_mappings_series_and_aligned_arrays_pair_alike():
    expected = [-1.0, 0.5]  # seeds 1, 2
    a, b = {2: 50.5, 1: 49.0}, {1: 50.0, 2: 50.0}
    assert inference.paired_difference(a, b).tolist() == expected
    assert inference.paired_difference(pd.Series(a), pd.Series(b)).tolist() == expected
    aligned = inference.paired_difference([50.5, 49.0], np.array([50.0, 50.0]), seeds=[2, 1])
    assert aligned.tolist() == expected


def test_seeds_that_do_not_match_are_listed():
    with pytest.raises(ValueError, match=r"only in a: \[3\], only in b: \[5, 7\]"):
        inference.paired_difference({0: 1.0, 3: 1.0}, {7: 1.0, 0: 1.0, 5: 1.0})


def test_a_seed_that_occurs_twice_is_refused():
    repeated = pd.Series([1.0, 2.0, 3.0], index=[0, 4, 4])
    with pytest.raises(ValueError, match=r"seeds \[4\] more than once"):
        inference.paired_difference(repeated, repeated)


def test_arrays_without_their_seeds_are_refused():
    with pytest.raises(ValueError, match="without seeds"):
        inference.paired_difference([1.0], [2.0])
    with pytest.raises(ValueError, match="2 values for 1 seeds"):
        inference.paired_difference([1.0, 2.0], [2.0], seeds=[0])


def test_a_missing_value_is_refused_rather_than_dropped():
    with pytest.raises(ValueError, match="finite"):
        inference.paired_difference({0: 1.0, 1: math.nan}, {0: 1.0, 1: 2.0})


# Equivalence


@claim(seeds_of_differences, st.floats(0.01, 60))
def test_equivalence_is_the_larger_of_two_one_sided_t_tests(values, margin):
    result = inference.equivalence(values, margin)
    if np.ptp(values) == 0:
        return
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert result.p_value == pytest.approx(max(above, below), abs=1e-9)
    assert result.equivalent == (result.p_value < 0.05)


@claim(seeds_of_differences, st.floats(0.01, 60))
def test_equivalence_at_5_percent_is_a_90_percent_interval_within_the_margin(values, margin):
    interval = inference.t_interval(values, 0.9)
    distance = margin - max(abs(interval.lower), abs(interval.upper))
    if abs(distance) > 1e-9:
        assert inference.equivalence(values, margin).equivalent == (distance > 0)


@pytest.mark.parametrize(
    ("mean", "equivalent"), [(0.0, True), (0.4, True), (0.5, False), (-2, False)]
)
def test_equal_differences_are_judged_by_their_mean(mean, equivalent):
    result = inference.equivalence([mean] * 3, margin=0.5)
    assert result.equivalent is equivalent
    assert result.p_value == (0.0 if equivalent else 1.0)


def test_a_p_value_at_the_level_itself_is_not_below_it():
    values = [0.1, 0.3, -0.1, 0.2]
    p_value = inference.equivalence(values).p_value
    assert 0 < p_value < 0.05 and inference.equivalence(values).equivalent
    assert not inference.equivalence(values, alpha=p_value).equivalent


def test_rounding_residue_is_not_taken_for_spread():
    differences = [50.1 - 50.0, 6.1 - 6.0, 0.1]
    assert 0 < np.std(differences) < 1e-12
    assert inference.equivalence(differences).p_value == 0.0
    assert inference.equivalence([0.0, 1e-295]).equivalent


def test_a_single_seed_is_never_equivalent():
    result = inference.equivalence([0.0])
    assert math.isnan(result.p_value) and not result.equivalent


@pytest.mark.parametrize("margin", [0, -0.5, math.nan, math.inf])
def test_a_margin_is_positive_and_finite(margin):
    with pytest.raises(ValueError, match="margin"):
        inference.equivalence([0.1, 0.2], margin)


# Sample size


@pytest.mark.parametrize(("n", "sd"), [(2, 0.05), (3, 0.3), (5, 0.5), (12, 0.6)])
def test_power_of_the_equivalence_test_agrees_with_simulation(rng, n, sd):
    draws = 200_000
    sample = rng.normal(0, sd, size=(draws, n))
    reach = stats.t.ppf(0.95, n - 1) * sample.std(axis=1, ddof=1) / math.sqrt(n)
    simulated = np.mean(np.abs(sample.mean(axis=1)) + reach < 0.5)
    exact = inference.equivalence_power(n, sd, margin=0.5)
    assert exact == pytest.approx(simulated, abs=4.5 * math.sqrt(0.25 / draws))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("margin", [0.3, 1.5])
def test_power_of_the_equivalence_test_agrees_with_adaptive_integration_over_the_spread(n, margin):
    reach = stats.t.ppf(0.95, n - 1) / math.sqrt(n)

    def density_times_power(s):
        inside = 2 * stats.norm.cdf((margin - reach * s) * math.sqrt(n)) - 1
        return stats.chi(n - 1, scale=1 / math.sqrt(n - 1)).pdf(s) * inside

    expected, _ = integrate.quad(density_times_power, 0, margin / reach, epsabs=1e-12)
    found = inference.equivalence_power(n, 1.0, margin)
    assert found == pytest.approx(expected, abs=1e-7)


def test_the_least_n_is_a_whole_number_and_an_infinite_spread_has_none():
    assert type(inference.required_n(1.0, 0.5)) is int
    for senseless in (float("inf"), np.float64("inf"), -0.1):
        with pytest.raises(ValueError, match="sd is"):
            inference.equivalence_power(4, senseless, 0.5)


def test_holm_refuses_a_level_that_is_none():
    with pytest.raises(ValueError, match="alpha"):
        inference.holm({"a": 0.01}, alpha=0.6)


def test_power_of_the_equivalence_test_approaches_its_noncentral_t_bound():
    # 2 P(noncentral t > t_crit) − 1 is exact up to the chance that both tests fail at once.
    for n, sd in [(30, 0.7), (200, 2.0)]:
        shift = 0.5 * math.sqrt(n) / sd
        bound = 2 * stats.nct.sf(stats.t.ppf(0.95, n - 1), n - 1, shift) - 1
        assert inference.equivalence_power(n, sd, 0.5) == pytest.approx(bound, abs=1e-4)


@claim(st.floats(0.01, 20), st.floats(0.05, 5), st.sampled_from([0.5, 0.8, 0.95]))
def test_required_n_is_the_least_that_has_the_power(sd, margin, power):
    n = inference.required_n(sd, margin, power)
    assert inference.equivalence_power(n, sd, margin) >= power
    assert n == 2 or inference.equivalence_power(n - 1, sd, margin) < power


def test_required_n_approaches_the_normal_formula():
    normal = (stats.norm.ppf(0.95) + stats.norm.ppf(0.9)) ** 2 * (5 / 0.5) ** 2
    assert inference.required_n(5.0, 0.5) == pytest.approx(normal, abs=3)


def test_required_n_depends_on_the_ratio_of_sd_to_margin_only():
    assert inference.required_n(1.0, 0.5) == inference.required_n(2.0, 1.0)
    assert inference.required_n(0.0, 0.5) == inference.required_n(1e-300, 0.5) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1.0, 0.5), "sd"),
        ((math.nan, 0.5), "sd"),
        ((1.0, 0.0), "margin"),
        ((1.0, 0.5, 1.0), "power"),
        ((1.0, 0.5, 0.8, 0.0), "alpha"),
        ((1.0, 0.5, 0.8, 0.5), "alpha"),
    ],
)
def test_required_n_names_a_senseless_argument(arguments, named):
    with pytest.raises(ValueError, match=named):
        inference.required_n(*arguments)


@pytest.mark.parametrize("n", [1, 2.5])
def test_power_needs_a_whole_number_of_seeds_and_two(n):
    with pytest.raises(ValueError, match=f"n is {n}: "):
        inference.equivalence_power(n, 0.5, 0.5)


# Verdicts


def compare(differences, margin=0.5):
    """The verdict on a planned set of one, to which Holm's correction does nothing."""
    return inference.planned_comparisons({"only": differences}, margin)["only"]


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([2.0, 2.1, 1.9], "greater"),
        ([-2.0, -2.1, -1.9], "less"),
        ([0.01, -0.02, 0.03], "equal"),
        ([0.20, 0.21, 0.22], "equal"),  # significant, yet surely inside the margin
        ([1.0, -0.8, 0.4], "inconclusive"),
        ([3.0], "inconclusive"),
        ([0.0, 0.0, 0.0], "equal"),
        ([1.0, 1.0, 1.0], "greater"),
        ([-1.0, -1.0], "less"),
        ([0.5, 0.5], "greater"),  # on the margin is not inside it
    ],
)
def test_verdicts(differences, verdict):
    comparison = compare(differences, margin=0.5)
    assert comparison.verdict == verdict
    assert comparison.interval == inference.t_interval(differences) or len(differences) == 1


@claim(seeds_of_differences)
def test_reversing_the_differences_reverses_the_verdict(values):
    reversed_verdict = {"greater": "less", "less": "greater"}
    one, other = compare(values), compare([-v for v in values])
    assert other.verdict == reversed_verdict.get(one.verdict, one.verdict)


@claim(seeds_of_differences)
def test_greater_means_that_the_interval_lies_above_zero(values):
    comparison = compare(values)
    if comparison.verdict == "greater":
        assert comparison.interval.lower > -1e-9 and comparison.interval.mean > 0
    if comparison.verdict == "inconclusive":
        assert comparison.interval.lower <= 1e-9 and comparison.interval.upper >= -1e-9


def test_an_inconclusive_comparison_says_how_many_seeds_are_needed():
    comparison = compare([1.0, -0.8, 0.4])
    assert comparison.sd == pytest.approx(np.std([1.0, -0.8, 0.4], ddof=1))
    assert comparison.n_needed == inference.required_n(comparison.sd, 0.5)
    assert comparison.n_needed > 3
    assert compare([1.0]).n_needed is None


def test_a_difference_of_zero_is_called_different_5_times_in_100(rng):
    p = np.array([compare(rng.normal(size=4)).p_difference for _ in range(1000)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 1000))


# Planned sets


@claim(st.lists(st.floats(0, 1), min_size=1, max_size=6), max_examples=25)
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    # Adjusted p = the largest Bonferroni p of all subsets that contain the contrast.
    named = {f"contrast {i}": p for i, p in enumerate(p_values)}
    for i, contrast in enumerate(inference.holm(named).values()):
        others = [p for j, p in enumerate(p_values) if j != i]
        subsets = itertools.chain.from_iterable(
            itertools.combinations(others, k) for k in range(len(others) + 1)
        )
        closed = max(min(1.0, (len(s) + 1) * min((*s, p_values[i]))) for s in subsets)
        assert contrast.p_adjusted == pytest.approx(closed)
        assert contrast.rejected == (contrast.p_adjusted < 0.05)


def test_more_than_six_contrasts_are_not_a_plan():
    with pytest.raises(ValueError, match="7 contrasts: plan 1 to 6"):
        inference.holm({str(i): 0.01 for i in range(7)})
    with pytest.raises(ValueError, match="0 contrasts"):
        inference.holm({})


def test_contrasts_have_names():
    with pytest.raises(ValueError, match="name"):
        inference.holm([0.01, 0.02])


def test_a_p_value_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"'rewire' is 1\.2"):
        inference.holm({"imp": 0.1, "rewire": 1.2})


def test_a_contrast_without_a_p_value_still_counts():
    result = inference.holm({"known": 0.02, "single seed": math.nan})
    assert result["known"].p_adjusted == pytest.approx(0.04)
    assert math.isnan(result["single seed"].p_adjusted) and not result["single seed"].rejected


def test_a_planned_set_is_judged_by_holms_p_values():
    values = {"a": [0.7, 1.4, 0.9], "b": [0.5, -0.9, 0.1], "c": [5.0, 5.1, 5.2]}
    together = inference.planned_comparisons(values)
    alone = {name: compare(each) for name, each in values.items()}
    holm = inference.holm({name: each.p_difference for name, each in alone.items()})
    for name in values:
        assert together[name].p_difference == pytest.approx(holm[name].p_adjusted)
        assert together[name].interval == alone[name].interval
        strictest = inference.required_n(alone[name].sd, 0.5, alpha=0.05 / 3)
        assert together[name].n_needed == strictest >= alone[name].n_needed
    assert alone["a"].verdict == "greater" and together["a"].verdict == "inconclusive"
    assert together["c"].verdict == "greater"


# Bootstrap


def test_bootstrap_is_refused_below_eight_seeds(rng):
    with pytest.raises(ValueError, match="7 seeds: a bootstrap interval needs at least 8"):
        inference.bootstrap_interval(np.arange(7.0), rng)


def test_bootstrap_agrees_with_the_t_interval_on_many_normal_values(rng):
    values = rng.normal(1.0, 0.5, size=200)
    bootstrap = inference.bootstrap_interval(values, rng)
    t = inference.t_interval(values)
    assert bootstrap.mean == t.mean and bootstrap.n == 200
    assert bootstrap.lower == pytest.approx(t.lower, abs=0.01)
    assert bootstrap.upper == pytest.approx(t.upper, abs=0.01)


def test_bootstrap_is_reproducible_from_its_generator():
    values = np.arange(8.0) ** 2
    one, other = (inference.bootstrap_interval(values, np.random.default_rng(3)) for _ in "ab")
    assert one == other


def test_bootstrap_of_equal_values_has_no_width(rng):
    interval = inference.bootstrap_interval([2.0] * 8, rng)
    assert (interval.lower, interval.mean, interval.upper) == (2.0, 2.0, 2.0)


def test_results_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        inference.t_interval([1.0, 2.0]).mean = 3.0

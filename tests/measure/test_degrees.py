"""Degrees and live paths: closed forms, Monte Carlo, and brute force on small graphs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ticketlens.measure import graph as degrees


@st.composite
def masks(draw, max_units=6, kernel=None):
    shape = (draw(st.integers(1, max_units)), draw(st.integers(1, max_units)))
    if kernel is None:
        kernel = draw(st.sampled_from([(), (3, 3)]))
    return draw(hnp.arrays(bool, shape + kernel))


@st.composite
def chains(draw):
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    return [draw(hnp.arrays(bool, (n_out, n_in))) for n_in, n_out in itertools.pairwise(widths)]


@given(masks())
def test_degrees_count_every_kept_weight_once(mask):
    assert degrees.in_degrees(mask).sum() == degrees.out_degrees(mask).sum() == mask.sum()
    assert degrees.in_degrees(mask).shape == mask.shape[:1]
    assert degrees.out_degrees(mask).shape == mask.shape[1:2]
    assert degrees.in_degrees(mask)[0] == mask[0].sum()
    assert degrees.out_degrees(mask)[-1] == mask[:, -1].sum()


@given(masks(), st.sampled_from(["in", "out"]))
def test_degree_summary_describes_its_degrees(mask, direction):
    values = degrees.in_degrees(mask) if direction == "in" else degrees.out_degrees(mask)
    summary = degrees.degree_summary(mask, direction)
    assert summary.units == values.size
    assert summary.capacity * summary.units == mask.size
    assert summary.mean == pytest.approx(values.mean())
    assert summary.sd == pytest.approx(values.std(), abs=1e-12)
    assert summary.maximum == values.max() and summary.unconnected == np.sum(values == 0)
    p = mask.mean()
    assert summary.binomial_sd == pytest.approx(math.sqrt(summary.capacity * p * (1 - p)))


@pytest.mark.parametrize(("shape", "kept"), [((6, 5), 9), ((4, 3, 3, 3), 40), ((30, 8), 20)])
@pytest.mark.parametrize("direction", ["in", "out"])
def test_degrees_of_a_random_mask_have_the_stated_moments(rng, shape, kept, direction):
    """Over random masks with a fixed number of weights: ratio 1, z of mean 0 and variance 1."""
    size, draws = math.prod(shape), 3000
    summaries = []
    for _ in range(draws):
        mask = np.zeros(size, bool)
        mask[rng.choice(size, kept, replace=False)] = True
        summaries.append(degrees.degree_summary(mask.reshape(shape), direction))
    z = np.array([s.dispersion_z for s in summaries])
    ratio = np.array([s.variance_ratio for s in summaries])
    unconnected = np.array([s.unconnected for s in summaries])
    assert z.mean() == pytest.approx(0, abs=4.5 / math.sqrt(draws))
    assert z.var() == pytest.approx(1, abs=4.5 * (z**2).std() / math.sqrt(draws))
    assert ratio.mean() == pytest.approx(1, abs=4.5 * ratio.std() / math.sqrt(draws))
    tolerance = 4.5 * unconnected.std() / math.sqrt(draws) + 3 / draws  # or too rare to be drawn
    assert unconnected.mean() == pytest.approx(summaries[0].random_unconnected, abs=tolerance)


def test_random_degrees_have_the_hypergeometric_variance_and_zero_probability():
    mask = np.zeros((7, 9), bool)
    mask.ravel()[:20] = True
    summary = degrees.degree_summary(mask, "in")
    law = stats.hypergeom(63, 20, 9)
    assert summary.random_sd == pytest.approx(law.std())
    assert summary.random_unconnected == pytest.approx(7 * law.pmf(0))
    assert summary.random_sd < summary.binomial_sd == pytest.approx(stats.binom(9, 20 / 63).std())


def test_a_layer_of_the_study_shows_hubs_that_a_random_mask_lacks(rng):
    random = rng.random((256, 3072)) < 0.21
    summary = degrees.degree_summary(random, "out")
    assert abs(summary.dispersion_z) < 4.5 and summary.variance_ratio == pytest.approx(1, abs=0.15)
    hubs = rng.random((256, 3072)) < np.linspace(0.02, 0.4, 3072)
    assert degrees.degree_summary(hubs, "out").dispersion_z > 100
    assert degrees.degree_summary(hubs, "out").coefficient_of_variation > 0.4


def test_equal_degrees_are_too_regular_for_a_random_mask():
    ring = np.eye(50, dtype=bool) | np.roll(np.eye(50, dtype=bool), 1, axis=1)
    summary = degrees.degree_summary(ring, "in")
    assert summary.sd == 0 and summary.variance_ratio == 0 and summary.dispersion_z < -3


@pytest.mark.parametrize("fill", [False, True])
def test_a_mask_without_freedom_gives_nan_and_no_warning(fill):
    for shape in [(4, 5), (3, 2, 3, 3), (1, 1)]:
        for direction in ("in", "out"):
            summary = degrees.degree_summary(np.full(shape, fill), direction)
            assert math.isnan(summary.variance_ratio) and math.isnan(summary.dispersion_z)
            assert summary.sd == 0 and summary.unconnected == (0 if fill else summary.units)
            assert summary.random_unconnected == summary.unconnected


def test_masks_and_directions_are_checked():
    with pytest.raises(ValueError, match="direction is 'up'"):
        degrees.degree_summary(np.ones((2, 2), bool), "up")
    for mask in (np.ones((2, 2)), np.ones(4, bool), np.ones((0, 3), bool)):
        with pytest.raises(ValueError, match="boolean array"):
            degrees.in_degrees(mask)


# Correlation of degrees


def test_independent_masks_have_uncorrelated_degrees(rng):
    values = [
        degrees.degree_correlation(rng.random((60, 80)) < 0.3, rng.random((40, 60)) < 0.3)
        for _ in range(300)
    ]
    assert np.mean(values) == pytest.approx(0, abs=4.5 / math.sqrt(59 * 300))
    assert np.std(values) == pytest.approx(1 / math.sqrt(59), rel=0.2)


def test_neurons_that_collect_much_and_send_much_are_correlated(rng):
    importance = np.linspace(0.05, 0.9, 60)
    mask = rng.random((60, 80)) < importance[:, None]
    next_mask = rng.random((40, 60)) < importance
    assert degrees.degree_correlation(mask, next_mask) > 0.9
    assert degrees.degree_correlation(mask, next_mask[:, ::-1]) < -0.9


# Paths


def brute_force_effective(chain):
    """Mark the weights of every path from an input to an output, by walking all paths."""
    live = [np.zeros_like(mask) for mask in chain]

    def walk(layer, unit, path):
        if layer == len(chain):
            for depth, (target, source) in enumerate(path):
                live[depth][target, source] = True
            return
        for target in np.flatnonzero(chain[layer][:, unit]):
            walk(layer + 1, target, [*path, (target, unit)])

    for unit in range(chain[0].shape[1]):
        walk(0, unit, [])
    return live


@given(chains())
def test_effective_masks_keep_exactly_the_weights_on_some_path(chain):
    expected = brute_force_effective(chain)
    for mask, reference in zip(degrees.effective_masks(chain), expected, strict=True):
        np.testing.assert_array_equal(mask, reference)
    kept, total = sum(m.sum() for m in expected), sum(m.size for m in chain)
    assert degrees.effective_density(chain) == pytest.approx(kept / total)


@given(chains())
def test_connectivity_counts_agree_with_the_effective_masks(chain):
    live = degrees.effective_masks(chain)
    rows = degrees.connectivity(chain)
    assert [row.layer for row in rows] == list(range(1, len(chain) + 1))
    for index, row in enumerate(rows):
        assert row.connected == live[index].sum() <= row.kept == chain[index].sum()
        assert row.dead == np.sum(~live[index].any(axis=1))
        assert row.dead >= max(row.no_path_from_input, row.no_path_to_output)
        assert row.no_path_from_input >= row.zero_in_degree
        assert row.no_path_to_output >= row.zero_out_degree
    assert degrees.effective_masks(live)[0].sum() == live[0].sum()  # nothing is left to remove


def test_death_spreads_along_a_chain():
    # Input -> a -> b -> output, and a side unit c that is fed by nothing but feeds b.
    first = np.array([[True], [False]])  # a, c from the input
    second = np.array([[True, True]])  # b from a, c
    third = np.array([[True]])
    rows = degrees.connectivity([first, second, third])
    assert [row.dead for row in rows] == [1, 0, 0]
    assert [row.kept for row in rows] == [1, 2, 1]
    assert [row.connected for row in rows] == [1, 1, 1]
    cut = degrees.connectivity([first, second, ~third])
    assert [row.no_path_to_output for row in cut] == [2, 1, 0]
    assert [row.dead for row in cut] == [2, 1, 1]
    assert degrees.effective_density([first, second, ~third]) == 0.0


def test_channels_are_linked_by_any_kernel_position(rng):
    convolution = np.zeros((3, 2, 3, 3), bool)
    convolution[0, 0, 0, 2] = convolution[1, 1, 1, 1] = convolution[1, 1, 2, 2] = True
    readout = np.array([[False, True, True]])
    live = degrees.effective_masks([convolution, readout])
    assert live[0].sum() == 2 and live[0][1, 1].sum() == 2
    assert live[1].tolist() == [[False, True, False]]
    assert degrees.effective_density([convolution, readout]) == pytest.approx(3 / (54 + 3))


def test_a_dense_network_is_fully_connected():
    chain = [np.ones((5, 4), bool), np.ones((3, 5), bool)]
    assert degrees.effective_density(chain) == 1.0
    assert all(row.dead == 0 for row in degrees.connectivity(chain))


def test_layers_that_do_not_follow_one_another_are_refused():
    chain = [np.ones((5, 4), bool), np.ones((3, 6), bool)]
    for function in (degrees.effective_density, degrees.connectivity, degrees.effective_masks):
        with pytest.raises(ValueError, match=r"masks 0 and 1 have shapes \(5, 4\) and \(3, 6\)"):
            function(chain)
        with pytest.raises(ValueError, match="no masks"):
            function([])

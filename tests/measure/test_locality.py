"""Locality of first-layer masks against a walk over all pairs of inputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ticketlens.measure import locality


def brute_force_distance(pairs, image_shape):
    _, rows, columns = np.unravel_index(np.array(pairs).T, image_shape)
    return np.mean(np.hypot(np.diff(rows, axis=0), np.diff(columns, axis=0)))


@given(st.data())
def test_distances_agree_with_a_walk_over_all_pairs(data):
    image_shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))
    inputs = math.prod(image_shape)
    mask = data.draw(hnp.arrays(bool, (data.draw(st.integers(1, 3)), inputs)))
    result = locality.input_locality(mask, image_shape)

    def mean_distance(pairs):
        pairs = [(i, j) for i, j in pairs if i != j]
        return brute_force_distance(pairs, image_shape) if pairs else math.nan

    kept = [np.flatnonzero(row) for row in mask]
    for value, row in zip(result.within, kept, strict=True):
        assert value == pytest.approx(
            mean_distance([(i, j) for i in row for j in row]), nan_ok=True
        )
    anything = mean_distance([(i, j) for i in range(inputs) for j in range(inputs)])
    assert result.random == pytest.approx(anything, nan_ok=True)
    across = mean_distance(
        [
            (i, j)
            for a, one in enumerate(kept)
            for b, other in enumerate(kept)
            if a != b
            for i in one
            for j in other
        ]
    )
    assert result.between == pytest.approx(across, nan_ok=True)


def test_random_inputs_are_as_far_apart_as_expected(rng):
    mask = rng.random((256, 3 * 32 * 32)) < 0.1
    result = locality.input_locality(mask, (3, 32, 32))
    error = result.within.std() / 16
    assert result.mean == pytest.approx(result.random, abs=4.5 * error)
    assert result.between == pytest.approx(result.random, rel=0.01)


def test_a_preference_shared_by_all_neurons_is_not_taken_for_locality(rng):
    y, x = np.mgrid[:16, :16]
    middle = np.exp(-((y - 7.5) ** 2 + (x - 7.5) ** 2) / 20).ravel()
    shared = locality.input_locality(rng.random((200, 256)) < middle, (1, 16, 16))
    assert shared.mean < 0.8 * shared.random
    assert shared.mean == pytest.approx(shared.between, rel=0.02)


def test_a_receptive_field_is_closer_within_than_between_neurons(rng):
    y, x = np.mgrid[:16, :16]
    centres = rng.integers(0, 16, size=(100, 2))
    mask = np.array([((np.abs(y - a) < 3) & (np.abs(x - b) < 3)).ravel() for a, b in centres])
    local = locality.input_locality(mask, (1, 16, 16))
    assert local.mean < 0.4 * local.between


def test_one_row_may_be_given_alone():
    row = np.zeros(27, bool)
    row[[0, 9, 18]] = True  # one pixel in three channels
    result = locality.input_locality(row, (3, 3, 3))
    assert result.within.tolist() == [0.0] and math.isnan(result.between)
    empty = locality.input_locality(np.zeros((2, 27), bool), (3, 3, 3))
    assert empty.neurons == 0 and math.isnan(empty.mean)


def test_locality_is_for_the_fully_connected_first_layer():
    with pytest.raises(ValueError, match="fully connected first layer"):
        locality.input_locality(np.ones((4, 100), bool), (3, 32, 32))

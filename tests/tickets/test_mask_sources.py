"""Randomised masks: what each keeps, that it changes the rest, and that a broken one is caught."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from ticketlens.checkpoint import Layer
from ticketlens.tickets import random_masks
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable

MASK_SOURCES = {
    function.__name__: function
    for function in (
        random_masks.shuffle_layer,
        random_masks.shuffle_in_degree,
        random_masks.rewire,
        random_masks.uniform,
    )
}


def make_layers(*masks):
    """Layers with these masks and no weights; the last one is the readout."""
    names = [f"hidden{i}" for i in range(1, len(masks))] + ["readout"]
    kinds = ["linear" if mask.ndim == 2 else "conv" for mask in masks]
    return tuple(Layer(n, k, None, None, m) for n, k, m in zip(names, kinds, masks, strict=True))


def random_layers(rng, density=0.4, shapes=((9, 12), (7, 9), (4, 7))):
    return make_layers(*(rng.random(shape) < density for shape in shapes))


def in_degrees(mask):
    return np.count_nonzero(mask.reshape(len(mask), -1), axis=1)


def out_degrees(mask):
    return np.count_nonzero(mask.reshape(len(mask), -1), axis=0)


def staircase(n):
    """The only matrix with its row and column sums."""
    return np.tri(n, dtype=bool)


@st.composite
def networks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shapes = st.one_of(
        st.tuples(st.integers(1, 8), st.integers(1, 8)),
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.just(3), st.just(3)),
    )
    density = st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9, 1.0])
    masks = [rng.random(draw(shapes)) < draw(density) for _ in range(draw(st.integers(1, 3)))]
    return make_layers(*masks), rng


KEPT = {
    "shuffle_layer": [np.count_nonzero],
    "shuffle_in_degree": [in_degrees],
    "rewire": [in_degrees, out_degrees],
}


# What is kept


@pytest.mark.parametrize("name", KEPT)
@given(networks())
@settings(max_examples=60, deadline=None)
def test_a_source_keeps_its_counts_and_differs_wherever_it_can(name, network):
    layers, rng = network
    before = [layer.mask.copy() for layer in layers]
    try:
        masks = MASK_SOURCES[name](layers, rng)
    except NotApplicable:
        assume(False)
    changed = [not np.array_equal(m, layer.mask) for m, layer in zip(masks, layers, strict=True)]
    assert any(changed)
    for mask, layer, original in zip(masks, layers, before, strict=True):
        assert mask.shape == layer.mask.shape and mask.dtype == bool
        assert not np.shares_memory(mask, layer.mask)
        np.testing.assert_array_equal(layer.mask, original)  # the source is left untouched
        for count in KEPT[name]:
            np.testing.assert_array_equal(count(mask), count(layer.mask))


@given(networks())
@settings(max_examples=60, deadline=None)
def test_uniform_keeps_the_total_and_levels_the_hidden_densities(network):
    layers, rng = network
    try:
        masks = random_masks.uniform(layers, rng)
    except NotApplicable:
        assume(False)
    assert sum(mask.sum() for mask in masks) == sum(layer.mask.sum() for layer in layers)
    assert masks[-1].sum() == layers[-1].mask.sum()
    hidden = masks[:-1]
    if hidden:
        density = sum(mask.sum() for mask in hidden) / sum(mask.size for mask in hidden)
        assert all(abs(mask.sum() - density * mask.size) < 1 for mask in hidden)
    assert not all(map(np.array_equal, masks, [layer.mask for layer in layers]))


@pytest.mark.parametrize("name", MASK_SOURCES)
def test_the_same_stream_gives_the_same_masks_and_another_one_others(name):
    layers = random_layers(np.random.default_rng(0))
    one, same, other = (MASK_SOURCES[name](layers, np.random.default_rng(i)) for i in (1, 1, 2))
    assert all(map(np.array_equal, one, same))
    assert not all(map(np.array_equal, one, other))


def test_rewiring_a_convolution_keeps_the_out_degree_per_channel_and_kernel_position():
    rng = np.random.default_rng(3)
    mask = rng.random((6, 4, 3, 3)) < 0.4
    (rewired,) = random_masks.rewire(make_layers(mask), rng)
    np.testing.assert_array_equal(rewired.sum(axis=0), mask.sum(axis=0))
    np.testing.assert_array_equal(rewired.sum(axis=(1, 2, 3)), mask.sum(axis=(1, 2, 3)))


# What is random


def test_rewiring_is_uniform_over_all_masks_with_the_same_degrees():
    start = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]], dtype=bool)
    grid = itertools.product([False, True], repeat=start.size)
    masks = [np.reshape(bits, start.shape) for bits in grid]
    allowed = [
        mask.tobytes()
        for mask in masks
        if (in_degrees(mask) == in_degrees(start)).all()
        and (out_degrees(mask) == out_degrees(start)).all()
    ]
    rng = np.random.default_rng(4)
    found = [random_masks.rewired(start, rng).tobytes() for _ in range(2000)]
    counts = np.array([found.count(key) for key in allowed])
    assert counts.sum() == len(found) and len(allowed) > 10
    assert stats.chisquare(counts).pvalue > 0.001


def test_rewiring_forgets_its_source():
    """The overlap falls to that of two independent rewirings, from 100 % at the start."""
    rng = np.random.default_rng(5)
    columns, rows = np.meshgrid(np.arange(300), np.arange(100))
    banded = (columns // 3 - rows) % 100 < 12
    one, two = (random_masks.rewired(banded, rng) for _ in range(2))
    kept = banded.sum()
    chance, noise = 0.12, 4 * np.sqrt(0.12 * 0.88 / kept)
    assert (banded & one).sum() / kept == pytest.approx(chance, abs=noise)
    assert (one & two).sum() / kept == pytest.approx(chance, abs=noise)


def test_a_shuffled_layer_overlaps_its_source_by_chance_only():
    rng = np.random.default_rng(6)
    layers = random_layers(rng, 0.2, ((80, 100), (80, 80)))
    for name in ("shuffle_layer", "shuffle_in_degree"):
        for mask, layer in zip(MASK_SOURCES[name](layers, rng), layers, strict=True):
            noise = 4 * np.sqrt(0.2 * 0.8 / mask.sum())
            assert (mask & layer.mask).sum() / mask.sum() == pytest.approx(layer.density, abs=noise)


@pytest.mark.parametrize("keys", [1, 200, 1 << 15])
def test_rewiring_draws_the_same_however_many_keys_are_held_at_once(keys, monkeypatch):
    mask = np.random.default_rng(8).random((41, 60)) < 0.3
    expected = random_masks.rewired(mask, np.random.default_rng(9))
    monkeypatch.setattr(random_masks, "_BLOCK", keys)
    np.testing.assert_array_equal(random_masks.rewired(mask, np.random.default_rng(9)), expected)


def test_rewiring_the_widest_layer_of_the_study_takes_less_than_two_seconds():
    rng = np.random.default_rng(7)
    mask = rng.random((256, 3072)) < 0.5
    start = time.process_time()
    random_masks.rewired(mask, rng)
    assert time.process_time() - start < 2


# Where there is nothing to draw


@pytest.mark.parametrize("name", MASK_SOURCES)
def test_a_dense_network_has_nothing_to_shuffle(name):
    layers = make_layers(np.ones((4, 6), dtype=bool), np.ones((3, 4), dtype=bool))
    with pytest.raises(NotApplicable, match=r"does not apply.*dense"):
        MASK_SOURCES[name](layers, np.random.default_rng(0))


@pytest.mark.parametrize("name", KEPT)
def test_a_full_layer_is_left_alone_where_others_are_not_full(name):
    rng = np.random.default_rng(8)
    layers = make_layers(np.ones((4, 6), dtype=bool), rng.random((8, 8)) < 0.5)
    full, shuffled = MASK_SOURCES[name](layers, rng)
    assert full.all() and not np.array_equal(shuffled, layers[1].mask)


def test_not_applicable_can_be_caught_as_a_value_error():
    assert issubclass(NotApplicable, ValueError)


def test_a_mask_that_is_alone_with_its_degrees_cannot_be_rewired():
    with pytest.raises(NotApplicable):
        random_masks.rewire(make_layers(staircase(5)), np.random.default_rng(0))
    (shuffled,) = random_masks.shuffle_layer(make_layers(staircase(5)), np.random.default_rng(0))
    assert not np.array_equal(shuffled, staircase(5))


def test_no_swap_agrees_with_a_search_for_checkerboards_on_all_small_masks():
    for bits in itertools.product([False, True], repeat=9):
        mask = np.reshape(bits, (3, 3))
        swaps = any(
            mask[a, c] and mask[b, d] and not mask[a, d] and not mask[b, c]
            for a, b in itertools.permutations(range(3), 2)
            for c, d in itertools.permutations(range(3), 2)
        )
        assert random_masks.no_swap(mask) == (not swaps)


# What breaks is caught


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("shuffle_layer", "_permuted"),
        ("shuffle_in_degree", "_permuted_rows"),
        ("rewire", "rewired"),
    ],
)
def test_a_shuffle_that_is_the_identity_is_caught(monkeypatch, name, function):
    monkeypatch.setattr(random_masks, function, lambda matrix, rng: matrix.copy())
    with pytest.raises(InvariantError, match="own mask"):
        MASK_SOURCES[name](random_layers(np.random.default_rng(0)), np.random.default_rng(1))


@pytest.mark.parametrize(
    ("name", "function", "broken"),
    [
        ("shuffle_layer", "_permuted", lambda matrix, rng: rng.random(matrix.shape) < 0.5),
        ("shuffle_in_degree", "_permuted_rows", lambda matrix, rng: rng.permuted(matrix, axis=0)),
        ("rewire", "rewired", lambda matrix, rng: rng.permuted(matrix, axis=1)),
        ("rewire", "rewired", lambda matrix, rng: rng.permuted(matrix, axis=0)),
    ],
)
def test_a_shuffle_that_keeps_less_than_it_claims_is_caught(monkeypatch, name, function, broken):
    monkeypatch.setattr(random_masks, function, broken)
    with pytest.raises(InvariantError, match="counts"):
        MASK_SOURCES[name](random_layers(np.random.default_rng(0)), np.random.default_rng(1))


def test_a_uniform_mask_that_loses_weights_or_repeats_the_source_is_caught(monkeypatch):
    layers, rng = random_layers(np.random.default_rng(0)), np.random.default_rng(1)
    with monkeypatch.context() as patch:
        patch.setattr(random_masks, "_permuted", lambda matrix, rng: np.zeros_like(matrix))
        with pytest.raises(InvariantError, match="0 weights kept"):
            random_masks.uniform(layers, rng)
    first = make_layers(np.arange(6).reshape(2, 3) < 4, np.arange(4).reshape(2, 2) < 2)
    monkeypatch.setattr(random_masks, "_permuted", lambda matrix, rng: matrix)
    with pytest.raises(InvariantError, match="own masks"):
        random_masks.uniform(first, rng)


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (64, 129)])
def test_keys_of_a_rewiring_are_those_of_numpys_bounded_draw(shape: tuple[int, int]) -> None:
    """The short cut gives the same numbers, and leaves the stream where the plain call does."""
    short, plain = (np.random.default_rng(7) for _ in range(2))
    found = random_masks._below_2_to_63(short, shape)
    assert np.array_equal(found, plain.integers(0, 2**63, size=shape, dtype=np.uint64))
    assert short.bit_generator.state == plain.bit_generator.state

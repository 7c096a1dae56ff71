"""Pruning: exact counts, nested masks, ties by index, and the checks that would notice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.checkpoint import Layer
from ticketlens.spec import PruningSpec
from ticketlens.tickets import pruning
from ticketlens.tickets.pruning import (
    InvariantError,
    check_lowest,
    check_nested,
    check_pruned,
    named,
    prune,
    removed_count,
)

RATES = st.integers(1, 99).map(lambda percent: percent / 100)
SIZES = ((6, 7), (5, 6), (3, 5))
NAMES = ("hidden1", "hidden2", "readout")


def network(seed=0, masks_=None, sizes=SIZES):
    """Return layers with normal weights, on the masks if there are any."""
    rng = np.random.default_rng(seed)
    found = []
    for index, (name, shape) in enumerate(zip(NAMES, sizes, strict=True)):
        mask = np.ones(shape, bool) if masks_ is None else masks_[index]
        weight = np.where(mask, rng.standard_normal(shape), 0).astype(np.float32)
        found.append(Layer(name, "linear", weight, np.zeros(shape[0], np.float32), mask))
    return tuple(found)


def counts(found):
    return [int(np.count_nonzero(mask)) for mask in found]


# --- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "rate", "removed"),
    [(10, 0.2, 2), (12, 0.2, 2), (13, 0.2, 3), (5, 0.1, 1), (15, 0.1, 2), (2, 0.2, 0), (0, 0.2, 0),
     (25, 0.1, 3), (3, 0.5, 2), (1, 0.5, 1), (786432, 0.2, 157286), (10**9 + 5, 0.1, 100000001),
     (3, 1e-7, 0), (7, 0.0, 0), (50, 0.29, 15), (45, 0.7, 32)],  # in floats 14.49… and 31.49…
)  # fmt: skip
def test_removed_counts_round_to_the_nearest_integer_halves_up(kept, rate, removed):
    assert removed_count(kept, rate) == removed


@given(st.integers(0, 10**7), RATES)
def test_removed_counts_take_the_decimal_of_the_config_exactly(kept, rate):
    exact = Fraction(round(rate * 100), 100) * kept
    assert abs(removed_count(kept, rate) - exact) <= Fraction(1, 2)
    assert removed_count(kept, np.float64(rate)) == removed_count(kept, rate)


def test_fifteen_rounds_reach_the_densities_of_the_study():
    kept = 256 * 256
    for _ in range(15):
        kept -= removed_count(kept, 0.2)
    assert kept / 256**2 == pytest.approx(0.8**15, abs=2e-5)


# --- one round -----------------------------------------------------------------------------------


def test_each_layer_loses_its_weakest_weights_and_the_readout_fewer():
    trained = network()
    found = prune(trained, network(1), PruningSpec(rate=0.2, readout_rate=0.1), 0, 1)
    assert counts(found) == [42 - 8, 30 - 6, 15 - 2]
    for layer, mask in zip(trained, found, strict=True):
        magnitude = np.abs(layer.weight)
        assert magnitude[~mask].max() < magnitude[mask].min()


@given(st.permutations(range(12)), st.integers(0, 12))
def test_ties_are_broken_by_index(values, count):
    # Only three different magnitudes, in any order: the earlier of two equal weights goes first.
    scores = np.array([value % 3 for value in values], np.float32).reshape(3, 4)
    pruned = pruning.remove_lowest(scores, np.ones((3, 4), bool), count)
    removed = sorted(range(12), key=lambda i: (scores.flat[i], i))[:count]
    assert np.flatnonzero(~pruned).tolist() == sorted(removed)


def test_equal_weights_are_removed_in_order_of_index():
    layers = tuple(replace(layer, weight=np.ones_like(layer.weight)) for layer in network())
    found = prune(layers, layers, PruningSpec(rate=0.5, readout_rate=0.5), 0, 1)
    for mask in found:
        removed = removed_count(mask.size, 0.5)
        assert np.array_equal(mask.ravel(), np.arange(mask.size) >= removed)


def test_a_weight_of_zero_magnitude_counts_as_kept_until_it_is_pruned():
    # Weights that training drove to ±0.0 are on the mask; those off it are never counted again.
    layer = network()[0]
    weight = layer.weight.copy()
    weight.ravel()[[3, 5]] = [-0.0, 0.0]
    pruned = pruning.remove_lowest(np.abs(weight), layer.mask, 1)
    assert np.flatnonzero(~pruned).tolist() == [3]
    again = pruning.remove_lowest(np.abs(weight), pruned, 1)
    assert np.flatnonzero(~again).tolist() == [3, 5]


def test_the_trained_mask_itself_is_left_alone():
    trained = network()
    prune(trained, network(1), PruningSpec(), 0, 1)
    assert all(layer.mask.all() for layer in trained)


def test_global_scope_pools_the_hidden_layers_and_leaves_the_readout_its_own_rate():
    trained = network()
    weak = replace(trained[0], weight=trained[0].weight * np.float32(1e-3))
    layers = (weak, *trained[1:])
    found = prune(layers, layers, PruningSpec(0.2, 0.1, scope="global"), 0, 1)
    assert counts(found) == [42 - removed_count(42 + 30, 0.2), 30, 15 - 2]
    pooled = np.concatenate([np.abs(layer.weight).ravel() for layer in layers[:-1]])
    kept = np.concatenate([mask.ravel() for mask in found[:-1]])
    assert pooled[~kept].max() < pooled[kept].min()


def test_a_readout_rate_of_zero_spares_the_readout():
    layers = network()
    assert counts(prune(layers, layers, PruningSpec(0.2, 0.0), 0, 1))[-1] == 15


# --- criteria ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "score"),
    [
        ("magnitude", lambda after, before: np.abs(after)),
        ("magnitude-at-init", lambda after, before: np.abs(before)),
        ("magnitude-increase", lambda after, before: np.abs(after) - np.abs(before)),
    ],
)
def test_criteria_rank_by_what_they_say(criterion, score):
    trained, initial = network(0), network(1)
    found = prune(trained, initial, PruningSpec(0.3, 0.3, criterion=criterion), 0, 1)
    for after, before, mask in zip(trained, initial, found, strict=True):
        scores = score(after.weight, before.weight)
        assert scores[~mask].max() < scores[mask].min()


def test_random_pruning_depends_on_seed_round_and_layer_but_not_on_weights():
    pruning = PruningSpec(0.5, 0.5, criterion="random")
    square = ((6, 6), (6, 6), (6, 6))
    layers, others = network(0, sizes=square), network(5, sizes=square)
    found = prune(layers, layers, pruning, 0, 1)
    again, moved = prune(others, others, pruning, 0, 1), prune(layers, layers, pruning, 0, 2)
    reseeded = prune(layers, layers, pruning, 1, 1)
    assert all(np.array_equal(*pair) for pair in zip(found, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(found, moved, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(found, reseeded, strict=True))
    assert not np.array_equal(found[0], found[1])


# --- many rounds ---------------------------------------------------------------------------------


@given(
    st.integers(0, 9), RATES, RATES, st.sampled_from(["layer", "global"]),
    st.sampled_from(sorted(pruning.CRITERIA)),
)  # fmt: skip
def test_masks_are_nested_over_many_rounds_with_exact_counts(seed, rate, readout, scope, criterion):
    pruning = PruningSpec(rate, readout, scope, criterion)
    found = [np.ones(shape, bool) for shape in SIZES]
    for round_ in range(1, 9):
        trained, initial = network(10 * seed + round_, found), network(seed, found)
        before = found
        try:
            found = prune(trained, initial, pruning, seed, round_)
        except ValueError as error:
            assert "would remove all" in str(error)  # noqa: PT017 (rates near 1 empty a layer)
            return
        assert all(not (new & ~old).any() for old, new in zip(before, found, strict=True))
        hidden, kept = sum(counts(before)[:-1]), counts(found)
        if scope == "global":
            assert sum(kept[:-1]) == hidden - removed_count(hidden, rate)
        else:
            assert kept[:-1] == [n - removed_count(n, rate) for n in counts(before)[:-1]]
        last = counts(before)[-1]
        assert kept[-1] == last - removed_count(last, readout)


# --- errors --------------------------------------------------------------------------------------


def test_emptying_a_layer_is_an_error_that_names_it():
    layers = network(sizes=((6, 7), (1, 2), (3, 5)))
    with pytest.raises(
        ValueError, match="round 4 would remove all 2 kept weights of layer hidden2"
    ):
        prune(layers, layers, PruningSpec(rate=0.8), 0, 4)


def test_global_pruning_that_empties_a_layer_names_it_as_well():
    weak, *others = network()
    layers = (replace(weak, weight=weak.weight * np.float32(1e-6)), *others)
    with pytest.raises(ValueError, match="would remove all 42 kept weights of layer hidden1"):
        prune(layers, layers, PruningSpec(rate=0.6, scope="global"), 0, 1)


def test_unknown_criteria_and_scopes_are_refused():
    with pytest.raises(ValueError, match=r"criterion is 'hessian'; allowed: .*'magnitude'"):
        prune(network(), network(), PruningSpec(criterion="hessian"), 0, 1)
    unknown = PruningSpec()
    object.__setattr__(unknown, "scope", "neuron")  # what the class itself refuses
    with pytest.raises(ValueError, match=r"pruning\.scope is 'neuron'; allowed: .'global', 'lay"):
        prune(network(), network(), unknown, 0, 1)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (lambda weight: weight.sum(1), "hidden1: scores of shape .*; allowed: one per weight"),
        (lambda weight: np.full(weight.shape, np.nan), "hidden1: .* of kept weights are NaN"),
    ],
)
def test_scores_that_are_no_number_per_weight_are_refused(monkeypatch, scores, message):
    """Sorting puts NaN last, so that such weights would be kept without a word."""
    criterion = lambda trained, initial, rng: scores(trained)  # noqa: E731
    monkeypatch.setitem(pruning.CRITERIA, "mine", criterion)
    with pytest.raises(ValueError, match=f"criterion 'mine': layer {message}"):
        prune(network(), network(), PruningSpec(criterion="mine"), 0, 1)


def test_networks_that_do_not_belong_together_are_refused():
    other = [np.arange(prod(shape)).reshape(shape) % 2 == 0 for shape in SIZES]
    with pytest.raises(
        InvariantError, match="hidden1: trained with another mask than its ticket's"
    ):
        prune(network(), network(0, other), PruningSpec(), 0, 1)
    with pytest.raises(ValueError, match="zip"):
        prune(network(), network()[:-1], PruningSpec(), 0, 1)


# --- broken on purpose: the checks notice ------------------------------------------------------


def one_too_many(scores, mask, count):
    return REMOVE_LOWEST(scores, mask, count + 1)


def one_revived(scores, mask, count):
    pruned = REMOVE_LOWEST(scores, mask, count + 1)
    pruned.ravel()[np.flatnonzero(~mask)[0]] = True
    return pruned


def forgotten(scores, mask, count):
    return mask.copy()


def highest_instead(scores, mask, count):
    return REMOVE_LOWEST(-scores, mask, count)


REMOVE_LOWEST = pruning.remove_lowest


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (one_too_many, "weights kept; expected .* by the pruning rule"),
        (one_revived, "layer hidden1: 1 pruned weights came back"),
        (forgotten, "weights kept; expected .* by the pruning rule"),
        (highest_instead, "weights removed or kept against their rank"),
    ],
)
def test_a_pruning_step_that_breaks_an_invariant_stops(monkeypatch, scope, broken, message):
    previous = [np.arange(prod(shape)).reshape(shape) % 7 != 0 for shape in SIZES]
    layers = network(0, previous)
    monkeypatch.setattr(pruning, "remove_lowest", broken)
    with pytest.raises(InvariantError, match=message):
        prune(layers, layers, PruningSpec(scope=scope), 0, 1)


def test_counts_of_any_size_and_of_layers_of_any_name_obey_the_rule():
    """Names behind `readout` in the alphabet are hidden layers as well."""
    rule = PruningSpec(rate=0.2, readout_rate=0.1)
    before = {"hidden1": 10_000, "stem": 1000, "readout": 500}
    pruning.check_counts(before, {"hidden1": 8000, "stem": 800, "readout": 450}, rule)
    with pytest.raises(InvariantError, match="layer stem: 900 weights kept; expected 800, by"):
        pruning.check_counts(before, {"hidden1": 8000, "stem": 900, "readout": 450}, rule)


def test_revived_weights_are_counted_and_named():
    old, new = np.zeros((2, 2), bool), np.eye(2, dtype=bool)
    with pytest.raises(InvariantError, match="layer readout: 2 pruned weights came back"):
        check_nested([new, old], [new, new], ["hidden1", "readout"])


@given(st.integers(-3, 3).filter(bool), st.sampled_from([0, 1, 2]))
def test_any_wrong_count_in_any_layer_is_noticed(offset, layer):
    trained = network()
    found = list(prune(trained, trained, PruningSpec(0.5, 0.5), 0, 1))
    check_pruned(trained, found, PruningSpec(0.5, 0.5))
    wrong = found[layer].copy()
    wrong.ravel()[np.flatnonzero(wrong if offset < 0 else ~wrong)[: abs(offset)]] = offset > 0
    found[layer] = wrong
    with pytest.raises(InvariantError, match=f"layer {NAMES[layer]}: .* by the pruning rule"):
        check_pruned(trained, found, PruningSpec(0.5, 0.5))


@pytest.mark.parametrize(
    ("after", "wrong"),
    [
        ([0, 0, 1, 1, 0], 0),  # the lowest, and of the two equal ones the first
        ([0, 1, 0, 1, 0], 1),  # of the two equal ones the second
        ([0, 1, 1, 0, 0], 2),  # the highest: two lower ones are kept
        ([0, 1, 1, 1, 0], 0),
    ],
)
def test_weights_removed_against_their_rank_are_counted(after: list[int], wrong: int) -> None:
    before = np.array([1, 1, 1, 1, 0], dtype=bool)  # the last one was removed earlier
    scores = np.array([0.1, 0.2, 0.2, 0.9, 0.0])
    if not wrong:
        check_lowest(before, np.array(after, dtype=bool), scores, "hidden1")
        return
    with pytest.raises(InvariantError, match=f"hidden1: {wrong} weights removed or kept against"):
        check_lowest(before, np.array(after, dtype=bool), scores, "hidden1")


def test_an_invariant_that_breaks_in_a_job_names_the_file_found_and_expected() -> None:
    kept = np.array([True, False])
    with pytest.raises(InvariantError) as error, named("results/mask.h5"):
        check_nested([kept], [~kept], ["hidden1"])
    assert (
        str(error.value) == "results/mask.h5: layer hidden1: 1 pruned weights came back; expected 0"
    )

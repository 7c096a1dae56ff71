"""Stability to the order of the data: barriers against closed forms, orders that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core_tools import same_bits
from ticketlens.checkpoint import Layer
from ticketlens.files.dataset import read_part
from ticketlens.measure.connectivity import barrier, between, distance, errors, pruned_to
from ticketlens.networks import build
from ticketlens.seeds import stream
from ticketlens.spec import TrainingSpec
from ticketlens.tables.stability import rows
from ticketlens.tickets.construction import construct
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_weights import rewind
from ticketlens.tickets.recipe import Arm, Material
from ticketlens.training.loop import Batches, data_order, evaluate, train


def network(weights, masks=None):
    """Return layers with these weight matrices and biases of 0."""
    made = []
    for number, weight in enumerate(weights):
        weight = np.asarray(weight, np.float32)
        mask = np.ones(weight.shape, bool) if masks is None else masks[number]
        bias = np.zeros(len(weight), np.float32)
        made.append(Layer(f"hidden{number + 1}", "linear", weight, bias, mask))
    return tuple(made)


def squared(target):
    """Return a convex error: half the squared distance of the first weight matrix to `target`."""
    return lambda layers: float(np.sum((layers[0].weight - target) ** 2) / 2)


# --- the line ------------------------------------------------------------------------------------


def test_two_equal_networks_have_no_barrier_and_no_distance(rng):
    one = network([rng.normal(size=(4, 3)), rng.normal(size=(2, 4))])
    along = errors(one, one, squared(0))
    assert along == pytest.approx(np.full(11, along[0])) and len(along) == 11
    assert barrier(along) == pytest.approx(0, abs=1e-12)
    assert distance(one, one) == 0


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_a_convex_error_has_a_barrier_of_half_the_difference_of_its_ends(a, b, target):
    ends = [(x - target) ** 2 / 2 for x in (a, b)]
    found = barrier(errors(network([[[a]]]), network([[[b]]]), squared(target)))
    assert found == pytest.approx(abs(ends[0] - ends[1]) / 2, abs=1e-5)


def test_the_barrier_of_a_double_well_is_the_height_between_its_wells():
    well = lambda layers: float((layers[0].weight[0, 0] ** 2 - 1) ** 2)  # noqa: E731
    along = errors(network([[[-1]]]), network([[[1]]]), well)
    assert along[[0, 5, 10]] == pytest.approx([0, 1, 0])
    assert barrier(along) == pytest.approx(1)


def test_the_line_runs_through_weights_and_biases_and_holds_the_mask(rng):
    mask = [rng.random((4, 3)) < 0.5]
    one, other = (network([np.where(mask[0], rng.normal(size=(4, 3)), 0)], mask) for _ in range(2))
    other = (replace(other[0], bias=np.full(4, 2, np.float32)),)
    middle = between(one, other, 0.25)[0]
    assert not middle.weight[~mask[0]].any() and (middle.bias == 0.5).all()
    assert middle.weight == pytest.approx(0.75 * one[0].weight + 0.25 * other[0].weight, abs=1e-6)
    assert same_bits(between(one, other, 0)[0].weight, one[0].weight)
    assert same_bits(between(one, other, 1)[0].weight, other[0].weight)
    with pytest.raises(ValueError, match="hidden1: the two networks do not hold the same mask"):
        between(one, network([other[0].weight]), 0.5)


def test_the_distance_is_relative_to_the_first_and_pruning_leaves_what_the_mask_keeps():
    one, other = network([[[3, 4]]]), network([[[3, 1]]])
    assert distance(one, other) == pytest.approx(3 / 5)
    assert np.isnan(distance(network([[[0, 0]]]), other))
    pruned = pruned_to(one, [np.array([[True, False]])])
    assert pruned[0].weight.tolist() == [[3, 0]]
    assert distance(one, pruned) == pytest.approx(4 / 5)


# --- the order of the data -----------------------------------------------------------------------


def test_order_0_is_the_order_of_all_runs_before_and_leaves_the_spec_alone():
    for epoch in (0, 7):
        ours, theirs = data_order(3, 0, epoch), stream(3, "data-order", epoch)
        assert ours.integers(2**62) == theirs.integers(2**62)
    drawn = {
        data_order(s, order, e).integers(2**62)
        for s in (0, 1)
        for order in range(3)
        for e in range(3)
    }
    assert len(drawn) == 18


def test_a_ticket_in_another_order_is_the_same_ticket_and_trains_otherwise(
    make_ticket, make_spec, prepared
):
    assert "data_order" not in make_spec().to_json()
    assert '"data_order":2' in make_spec(training={"data_order": 2}).to_json()
    assert TrainingSpec().data_order == 0
    theta = make_ticket()
    masks = [stream(0, "test", layer.name).random(layer.mask.shape) < 0.5 for layer in theta.layers]
    ticket = replace(make_ticket(round_=3), layers=rewind(masks, theta.layers))
    made = [
        construct(f"order-{order}", Material(Arm("imp", "rewind", data_order=order), ticket, theta))
        for order in (1, 2)
    ]
    for arm in made:
        for ours, theirs in zip(arm.layers, ticket.layers, strict=True):
            assert same_bits(ours.weight, theirs.weight) and same_bits(ours.bias, theirs.bias)
    with pytest.raises(InvariantError, match="is the IMP ticket itself"):
        construct("again", Material(Arm("imp", "rewind"), ticket, theta))
    trained = [train(arm, prepared)[0] for arm in made]
    assert not same_bits(trained[0].layers[0].weight, trained[1].layers[0].weight)

    table = rows(prepared, *trained)
    assert [row["part"] for row in table] == ["train"] * 11 + ["test"] * 11
    # The ends of the line are the two networks, by PyTorch.
    for part, own in (("train", table[:11]), ("test", table[11:])):
        images, labels = map(torch.from_numpy, read_part(prepared, part))
        for end, network_ in ((own[0], trained[0]), (own[-1], trained[1])):
            _, accuracy = evaluate(build(network_), Batches(images, labels))
            assert end["error"] == pytest.approx(1 - accuracy, abs=1e-9)
        assert own[0]["barrier"] == barrier(np.array([row["error"] for row in own]))
    assert 0 < table[0]["distance"] < 2 and np.isnan(table[0]["distance_to_pruned"])
    with pytest.raises(ValueError, match=r"data_order 1, beside .* allowed: two trainings of one"):
        rows(prepared, trained[0], trained[0])

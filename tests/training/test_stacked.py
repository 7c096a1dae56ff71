"""Networks trained together end where each ends alone, and stay independent of one another."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from ticketlens.checkpoint import read, write
from ticketlens.study import stacks
from ticketlens.study.training_problems import STACKED_FAMILIES
from ticketlens.tickets.pruning import InvariantError
from ticketlens.training import stacked
from ticketlens.training.loop import DivergedError, train
from ticketlens.training.stacked import train_stacked

RESIDUAL = {"family": "resnet-fc", "hidden_layers": 3, "width": 8}
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.01, "schedule": "cosine"}
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@pytest.fixture
def tickets_of(make_ticket):
    """Return a function that makes tickets of one spec: seeds, densities and arms differ."""

    def make(kernel="stacked", training=(), **parts):
        own = {"kernel": kernel, **dict(training)}
        return [
            make_ticket(density, seed=seed, round_=round_, arm=arm, training=own, **parts)
            for density, seed, round_, arm in (
                (1.0, 0, 0, "imp"), (0.5, 0, 3, "imp"), (0.2, 7, 7, "uniform"), (0.5, 7, 3, "imp"),
            )
        ]  # fmt: skip

    return make


def arrays(checkpoint):
    return [array for layer in checkpoint.layers for array in (layer.weight, layer.bias)]


@pytest.mark.parametrize(
    ("network", "training"),
    [({}, {}), ({}, {"batch_size": 20, "data_order": 2}), ({"activation": "relu"}, ADAM),
     (RESIDUAL, {"warmup_epochs": 1})],
    ids=["SGD", "another order", "Adam, decay, cosine, ReLU", "skips"],
)  # fmt: skip
def test_each_network_of_a_stack_is_the_one_that_trains_alone(
    tickets_of, prepared, network, training
):
    pruning = {"rewind_epoch": 2}
    together = train_stacked(
        tickets_of(network=network, training=training, pruning=pruning), prepared
    )
    alone = [
        train(ticket, prepared)
        for ticket in tickets_of("aten", network=network, training=training, pruning=pruning)
    ]
    for (found, late), (expected, expected_late) in zip(together, alone, strict=True):
        for one, other in ((found, expected), (late, expected_late)):
            for a, b in zip(arrays(one), arrays(other), strict=True):
                np.testing.assert_allclose(a, b, atol=2e-5)
        assert found.history.keys() == expected.history.keys()
        for name, values in expected.history.items():
            np.testing.assert_allclose(found.history[name], values, atol=1e-5, err_msg=name)
        for pair, other_pair in zip(found.best_validation, expected.best_validation, strict=True):
            for a, b in zip(pair, other_pair, strict=True):
                np.testing.assert_allclose(a, b, atol=2e-5)
        assert late.extra["epoch"] == 2


def test_the_config_and_the_plan_know_what_can_be_stacked() -> None:
    """They must not import torch, so that families and kernel stand there, too."""
    assert tuple(stacked.CHAINS) == STACKED_FAMILIES
    assert stacked.KERNEL == stacks.KERNEL


def test_a_network_does_not_depend_on_its_companions(tickets_of, prepared):
    tickets = tickets_of()
    together = train_stacked(tickets, prepared)
    of_two = train_stacked([tickets[2], tickets[1]], prepared)
    for at, there in ((2, 0), (1, 1)):
        for a, b in zip(arrays(together[at][0]), arrays(of_two[there][0]), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
        assert not np.array_equal(arrays(together[0][0])[0], arrays(of_two[there][0])[0])


@pytest.mark.parametrize("more", [{}, ADAM], ids=["SGD", "Adam with cosine"])
def test_learning_rate_order_of_the_data_and_rewinding_are_each_networks_own(
    tickets_of, prepared, more
):
    specs = [
        {"training": {**more, "data_order": order, "learning_rate": step},
         "pruning": {"rewind_epoch": late}, "init": {"sigma_w": sigma}}
        for order, late, step, sigma in (
            (0, 0, 0.03, 1.4), (1, 1, 0.02, 1.4), (0, 0, 0.02, 1.4), (2, 3, 0.03, 2.0),
        )
    ]  # fmt: skip
    together = train_stacked([tickets_of(**parts)[1] for parts in specs], prepared)
    alone = [train(tickets_of("aten", **parts)[1], prepared) for parts in specs]
    for (found, late), (expected, expected_late) in zip(together, alone, strict=True):
        for a, b in zip(arrays(found), arrays(expected), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
        assert (late is None) == (expected_late is None)
        if late is not None:
            assert late.extra["epoch"] == expected_late.extra["epoch"]
            for a, b in zip(arrays(late), arrays(expected_late), strict=True):
                np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_same_stack_has_the_same_bits_and_says_how_it_was_trained(
    tickets_of, prepared, tmp_path
):
    one, other = (train_stacked(tickets_of(), prepared) for _ in range(2))
    for (first, _), (second, _) in zip(one, other, strict=True):
        for a, b in zip(arrays(first), arrays(second), strict=True):
            assert np.array_equal(a.view(np.uint32), b.view(np.uint32))
    trained = one[2][0]
    write(tmp_path / "trained.h5", trained)  # asserts what a trained network must be
    extra = read(tmp_path / "trained.h5").extra
    assert extra["stacked"] == 4 and extra["device"] == "cpu" and extra["cpu_capability"]
    for layer in trained.layers:
        assert not layer.weight.view(np.uint32)[~layer.mask].any()  # 0.0, never −0.0


@pytest.mark.parametrize("options", [{}, ADAM], ids=["SGD", "Adam with decay"])
def test_a_mask_that_is_not_held_stops_the_stack(tickets_of, prepared, monkeypatch, options):
    monkeypatch.setattr(torch, "_foreach_mul_", lambda *_: None)
    message = r"tiny-normal seed 0 round 3 arm imp, epoch 1, layer hidden1: \d+ weights off"
    with pytest.raises(InvariantError, match=message):
        train_stacked(tickets_of(training=options), prepared)


def broken(ticket, arm):
    """The ticket with a weight so large that its loss is not finite."""
    weight = ticket.layers[-1].weight.copy()
    weight[0] = np.float32(np.inf)
    layers = (*ticket.layers[:-1], replace(ticket.layers[-1], weight=weight))
    return replace(ticket, arm=arm, layers=layers)


def test_a_network_that_diverges_is_a_result_and_leaves_the_others_alone(
    tickets_of, prepared, caplog
):
    tickets = tickets_of()
    with caplog.at_level(logging.WARNING):
        found = train_stacked([broken(tickets[0], "wide"), *tickets[1:]], prepared)
    expected = train_stacked(tickets, prepared)
    for (one, _), (other, _) in zip(found[1:], expected[1:], strict=True):
        for a, b in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
    lost = found[0][0].history
    assert lost["diverged"] == 1 and lost["best_epoch"] == 0 and np.isnan(lost["train_loss"]).all()
    assert lost["final_test_accuracy"] == pytest.approx(1 / 3)
    assert np.array_equal(found[0][0].layers[0].weight, tickets[0].layers[0].weight)
    assert "training diverged: tiny-normal seed 0 round 0 arm wide, epoch 1" in caplog.text
    with pytest.raises(DivergedError, match="try a lower training"):
        train_stacked([broken(tickets[0], "imp"), tickets[1]], prepared)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"kernel": "aten"}, "training.kernel is 'aten'; allowed: 'stacked'"),
        ({"training": {"sparse_below": 0.5}}, "training.sparse_below is 0.5; allowed: 0.0"),
        ({"training": {"precision": "bfloat16"}}, "precision is 'bfloat16'; allowed: 'float32'"),
        ({"training": {"batch_size": 1000}}, "batch_size is 1000, more than the 96 training"),
        ({"network": {"family": "convolutional", "width": 4}}, "family is 'convolutional'; allow"),
        ({"pruning": {"rewind_epoch": 9}}, "rewind_epoch is 9; allowed: at most"),
    ],
    ids=["kernel", "sparse", "bfloat16", "batch", "family", "rewinding"],
)
def test_what_a_stack_cannot_do_is_refused(tickets_of, prepared, parts, message):
    with pytest.raises(ValueError, match=message):
        train_stacked(tickets_of(**parts), prepared)


def test_tickets_of_other_specs_and_other_data_are_refused(tickets_of, prepared):
    tickets = tickets_of()
    other = replace(tickets[2].spec, training=replace(tickets[2].spec.training, epochs=2))
    with pytest.raises(ValueError, match="seed 7 round 7 arm uniform differs from the first in"):
        train_stacked([*tickets[:2], replace(tickets[2], spec=other)], prepared)
    data = replace(tickets[0].spec.dataset, sha256="f" * 64)
    others = [replace(t, spec=t.spec.replace(dataset=data)) for t in tickets]
    with pytest.raises(ValueError, match="not the one that the tickets were made for"):
        train_stacked(others, prepared)


def test_a_recorded_stack_takes_the_steps_of_a_plain_one(tickets_of, prepared, monkeypatch):
    plain = train_stacked(tickets_of(), prepared)
    recorded = []

    class Recorded(stacked.Captured):
        def __init__(self, step):
            super().__init__(step, lambda body: (body(), recorded.append(1), body)[-1])

    monkeypatch.setattr(stacked, "Captured", Recorded)
    monkeypatch.setattr(stacked, "is_captured", lambda device: True)
    captured = train_stacked(tickets_of(), prepared)
    assert recorded == [1]
    for (one, _), (other, _) in zip(captured, plain, strict=True):
        for a, b in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-7)

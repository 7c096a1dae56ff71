"""Training: masks that hold, orders that depend on seed and epoch, what is kept and reported."""

from __future__ import annotations

import itertools
import logging
import re

import numpy as np
import pytest
import torch

from core_tools import same_bits
from ticketlens.checkpoint import read, read_summary, write
from ticketlens.files.dataset import prepare, read_part
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec
from ticketlens.tables.runs import accuracy
from ticketlens.tickets.pruning import InvariantError
from ticketlens.training import cpu, loop
from ticketlens.training.loop import Batches, DivergedError, evaluate, train

CONV = {"family": "convolutional", "width": 4}
SPARSE = {"sparse_below": 0.99}
BFLOAT16 = {"precision": "bfloat16"}
DECAY = {"optimizer": "adam", "weight_decay": 0.1, "learning_rate": 0.01}


def parameters(trained):
    return [array for layer in trained.layers for array in (layer.weight, layer.bias)]


def best_arrays(trained):
    return [array for pair in trained.best_validation for array in pair]


def all_same(one, other):
    return all(same_bits(a, b) for a, b in zip(one, other, strict=True))


# --- masks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, DECAY], ids=["SGD", "Adam with decay"])
@pytest.mark.parametrize(
    ("network", "more"), [({}, {}), (CONV, {}), ({}, SPARSE), (CONV, BFLOAT16), ({}, BFLOAT16)],
    ids=["fcnet", "convnet", "sparse", "convnet, bfloat16", "fcnet, bfloat16"],
)  # fmt: skip
def test_weights_off_the_mask_stay_exactly_zero(
    make_ticket, prepared, network, more, options, tmp_path
):
    options = {**options, **more}
    ticket = make_ticket(0.3, network=network, training=options, pruning={"rewind_epoch": 2})
    trained, theta_k = train(ticket, prepared)
    sets = [parameters(trained), parameters(theta_k), best_arrays(trained)]
    for weights in (arrays[::2] for arrays in sets):
        for weight, layer in zip(weights, ticket.layers, strict=True):
            assert not weight.view(np.uint32)[~layer.mask].any()  # 0.0, never −0.0
            assert (weight[layer.mask] != layer.weight[layer.mask]).any()
    for checkpoint in (trained, theta_k):
        write(tmp_path / "file.h5", checkpoint)


@pytest.mark.parametrize("options", [{}, DECAY], ids=["SGD", "Adam with decay"])
def test_a_mask_that_is_not_held_stops_the_run(make_ticket, prepared, monkeypatch, options):
    monkeypatch.setattr(torch, "_foreach_mul_", lambda *_: None)
    message = r"tiny-normal seed 0 round 3 arm imp, epoch 1, layer hidden1: \d+ weights off"
    with pytest.raises(InvariantError, match=message):
        train(make_ticket(0.3, round_=3, training=options), prepared)


def test_a_mask_that_slips_late_is_noticed_in_that_epoch(make_ticket, prepared, monkeypatch):
    take_step = loop._Run.take_step

    def slipping(run, *batch):
        take_step(run, *batch)
        if run.epoch == 1:
            with torch.no_grad():
                run.model.layers[1].weight[~run.masks[1]] = 1e-30

    monkeypatch.setattr(loop._Run, "take_step", slipping)
    with pytest.raises(InvariantError, match=r"epoch 2, layer hidden2: \d+ weights off the mask"):
        train(make_ticket(0.3), prepared)


def test_a_dense_ticket_trains_all_its_weights(make_ticket, prepared):
    trained, _ = train(make_ticket(), prepared)
    for layer, before in zip(trained.layers, make_ticket().layers, strict=True):
        assert (layer.weight != before.weight).mean() > 0.9
        assert (layer.bias != before.bias).all()


# --- the order of the data ---------------------------------------------------------------------


@pytest.fixture
def batches_of(prepared, monkeypatch):
    """Return a function: ticket → per epoch, the indices of the training images in order of use."""
    images = read_part(prepared, "train")[0]
    index = {image.tobytes(): number for number, image in enumerate(images)}

    def record(ticket):
        seen = []
        take_step = loop._Run.take_step

        def recording(run, batch, labels, rate):
            if run.step == 0:
                seen.append([])
            seen[-1] += [index[image.numpy().tobytes()] for image in batch]
            take_step(run, batch, labels, rate)

        with monkeypatch.context() as patch:
            patch.setattr(loop._Run, "take_step", recording)
            train(ticket, prepared)
        return seen

    return record


def test_the_order_depends_on_seed_and_epoch_alone(make_ticket, batches_of):
    reference = batches_of(make_ticket())
    assert reference[0] != reference[1] != reference[2]
    assert batches_of(make_ticket(0.3, round_=7, arm="random-mask", study="other")) == reference
    assert batches_of(make_ticket(network=CONV, init={"scheme": "orthogonal"})) == reference
    assert batches_of(make_ticket(training={**DECAY, "epochs": 2})) == reference[:2]
    assert batches_of(make_ticket(seed=1)) != reference


def test_an_epoch_visits_images_once_in_another_order_and_drops_the_incomplete_batch(
    make_ticket, batches_of
):
    full = batches_of(make_ticket(training={"batch_size": 16}))
    assert all(sorted(epoch) == list(range(96)) != epoch for epoch in full)
    short = batches_of(make_ticket(training={"batch_size": 20}))
    assert all(len(epoch) == len(set(epoch)) == 80 for epoch in short)
    assert [epoch[:80] for epoch in full] == short


# --- what is kept ------------------------------------------------------------------------------


def test_theta_k_equals_the_weights_after_k_epochs_of_a_run(make_ticket, prepared):
    late = make_ticket(training={"epochs": 4}, pruning={"rewind_epoch": 2})
    trained, theta_k = train(late, prepared)
    shorter, none = train(make_ticket(training={"epochs": 2}), prepared)
    assert none is None
    assert all_same(parameters(theta_k), parameters(shorter))
    assert not all_same(parameters(theta_k), parameters(trained))
    assert (theta_k.kind, theta_k.extra) == ("trained", {"epoch": 2})
    assert trained.extra == {"device": "cpu", **cpu.machine()}


def test_rewinding_beyond_the_run_is_refused_rather_than_theta_0_returned(make_ticket, prepared):
    ticket = make_ticket(training={"epochs": 2}, pruning={"rewind_epoch": 3})
    with pytest.raises(ValueError, match=r"rewind_epoch is 3; allowed: at most .*epochs \(2\)"):
        train(ticket, prepared)


def test_best_weights_are_those_of_the_highest_validation_accuracy_earliest_on_ties(
    make_ticket, prepared, monkeypatch
):
    validation = iter([0.9, 0.3, 0.7, 0.7, 0.6])  # before training, then four epochs
    evaluated = loop.evaluate

    def scripted(model, data):
        loss, found = evaluated(model, data)
        return loss, next(validation, found)

    monkeypatch.setattr(loop, "evaluate", scripted)
    ticket = make_ticket(training={"epochs": 4}, pruning={"rewind_epoch": 2})
    trained, theta_k = train(ticket, prepared)
    assert trained.history["best_epoch"] == 2
    assert trained.history["untrained_accuracy"] == 0.9
    assert trained.history["validation_accuracy"].tolist() == [0.3, 0.7, 0.7, 0.6]
    best = best_arrays(trained)
    assert all_same(best, parameters(theta_k))
    assert not all_same(best, parameters(trained))


def test_results_belong_to_the_weights_that_they_are_said_to_belong_to(make_ticket, prepared):
    ticket = make_ticket(0.5)
    trained, _ = train(ticket, prepared)
    history = trained.history
    parts = {
        part: Batches(*map(torch.from_numpy, read_part(prepared, part)))
        for part in ("train", "validation", "test")
    }
    untrained = evaluate(build(ticket), parts["validation"])
    assert (history["untrained_loss"], history["untrained_accuracy"]) == untrained
    best_layers = [
        type(layer)(layer.name, layer.kind, *pair, layer.mask)
        for layer, pair in zip(trained.layers, trained.best_validation, strict=True)
    ]
    for suffix, layers in (("", trained.layers), ("_best_validation", best_layers)):
        network = build(type(trained)("trained", "s", 0, 0, "imp", trained.spec, tuple(layers)))
        for part, data in parts.items():
            found = [history[f"final_{part}_{name}{suffix}"] for name in ("loss", "accuracy")]
            assert found == pytest.approx(evaluate(network, data), abs=1e-6)
    assert history["final_validation_accuracy"] == history["validation_accuracy"][-1]
    best = history["validation_accuracy"].max()
    assert history["final_validation_accuracy_best_validation"] == best
    assert history["diverged"] == 0


def test_test_images_are_read_once_at_the_end(make_ticket, prepared, monkeypatch):
    events = []
    load, finish = loop.load, loop._Run.finish_epoch
    monkeypatch.setattr(
        loop,
        "load",
        lambda data, part, device: (events.append(part), load(data, part, device))[1],
    )
    monkeypatch.setattr(
        loop._Run, "finish_epoch", lambda *args: (events.append("epoch"), finish(*args))[1]
    )
    train(make_ticket(), prepared)
    assert events == ["train", "validation", "epoch", "epoch", "epoch", "test"]


def test_training_learns_and_repeats_itself_bit_for_bit(make_ticket, prepared):
    ticket = make_ticket(0.7, training={"epochs": 6})
    (one, _), (other, _) = (train(ticket, prepared) for _ in range(2))
    assert all_same(parameters(one), parameters(other))
    assert all(np.array_equal(one.history[name], other.history[name]) for name in one.history)
    assert one.history["train_loss"][-1] < 0.8 * one.history["train_loss"][0]
    assert one.history["final_test_accuracy"] > 0.5 > 1 / 3


def test_the_ticket_itself_is_left_alone(make_ticket, prepared):
    ticket = make_ticket(0.5)
    digest = ticket.content_sha256
    train(ticket, prepared)
    assert ticket.content_sha256 == digest


def test_the_log_counts_parameters_and_names_the_run(make_ticket, prepared, caplog):
    with caplog.at_level(logging.INFO, logger="ticketlens"):
        train(make_ticket(seed=4, round_=2), prepared)
    count = 108 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    assert f"tiny-normal seed 4 round 2 arm imp: {count} parameters, density 1.0000" in caplog.text
    assert "test accuracy" in caplog.text and "best validation" in caplog.text


def test_the_log_has_the_first_and_the_last_epoch_and_the_seconds_of_one(
    make_ticket, prepared, caplog, monkeypatch
):
    """By a clock that says so: every look at it is a second later, so that an epoch takes one."""
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(ticks)))
    with caplog.at_level("INFO"):
        train(make_ticket(training={"epochs": 5}), prepared)
    assert re.findall(r"epoch (\d)/5,", caplog.text) == ["1", "5"]
    assert float(re.search(r"([\d.]+) s an epoch", caplog.text)[1]) == 1


def test_an_epoch_s_loss_and_accuracy_are_means_over_its_images(make_ticket, prepared):
    """Where weights stand still, they are those of the final network on all training images."""
    history = train(make_ticket(training={"learning_rate": 1e-30}), prepared)[0].history
    for name in ("loss", "accuracy"):
        final = history[f"final_train_{name}"]
        assert history[f"train_{name}"] == pytest.approx(np.full(3, final), rel=1e-5)
    assert 0 < history["final_train_accuracy"] < 1


# --- divergence --------------------------------------------------------------------------------

HOT = {"learning_rate": 1e38, "epochs": 5}


@pytest.mark.parametrize(
    ("warmup", "epoch_and_rate"),
    [(0, r"epoch 1, learning rate 1e\+38"), (4, r"epoch 2, learning rate 5e\+37")],
)
def test_divergence_on_imp_names_study_seed_round_epoch_and_rate(
    make_ticket, prepared, warmup, epoch_and_rate
):
    """The rate is that of the epoch's last step: after two of four epochs of warm-up, half."""
    ticket = make_ticket(0.5, seed=2, round_=4, training={**HOT, "warmup_epochs": warmup})
    message = f"diverged: tiny-normal seed 2 round 4 arm imp, {epoch_and_rate}: loss"
    with pytest.raises(DivergedError, match=message):
        train(ticket, prepared)


def test_divergence_on_another_arm_is_a_result_with_chance_accuracy(
    make_ticket, prepared, tmp_path
):
    ticket = make_ticket(0.5, arm="random-mask", training=HOT)
    trained, theta_k = train(ticket, prepared)
    assert theta_k is None
    assert trained.history["diverged"] == 1 and trained.history["best_epoch"] == 0
    assert all_same(parameters(trained), parameters(ticket))
    write(tmp_path / "trained.h5", trained)
    assert read(tmp_path / "trained.h5").history["diverged"] == 1
    row = accuracy([read_summary(tmp_path / "trained.h5")]).iloc[0]
    assert bool(row["diverged"]) and row["test_accuracy"] == 1 / 3
    assert row["test_accuracy_best_validation"] == 1 / 3
    assert np.isnan(row["test_loss"]) and np.isfinite(row["untrained_loss"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_validation_loss_that_is_not_finite_is_divergence_too(
    make_ticket, prepared, monkeypatch, value
):
    losses = iter([1.0, 1.0, value])
    evaluated = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda *args: (next(losses, 1.0), evaluated(*args)[1]))
    with pytest.raises(DivergedError, match=r"epoch 2, learning rate 0\.05"):
        train(make_ticket(), prepared)


# --- what is refused ---------------------------------------------------------------------------


def test_another_data_set_than_the_tickets_own_is_refused(make_ticket, image_folder, tmp_path):
    other = prepare(tmp_path / "o.h5", "tiny", "folder", image_folder, validation=24, split_seed=1)
    with pytest.raises(
        ValueError, match=r"o\.h5: data set tiny \(.*is not the one that the ticket"
    ):
        train(make_ticket(), other)


def test_another_name_or_shape_of_data_is_refused_as_well(make_ticket, prepared):
    ticket = make_ticket()
    spec = ticket.spec.replace(dataset=DatasetSpec("other", prepared.sha256, prepared.shape, 3))
    with pytest.raises(ValueError, match="is not the one that the ticket was made for: other"):
        train(type(ticket)("ticket", "s", 0, 0, "imp", spec, ticket.layers), prepared)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 97}, "training.batch_size is 97, more than the 96 training images"),
        ({"optimizer": "lion"}, r"training.optimizer is 'lion'; allowed: \['adam', 'sgd'\]"),
        ({"schedule": "step"}, "training.schedule is 'step'"),
        ({"kernel": "cublas"}, "training.kernel is 'cublas'"),
    ],
)
def test_options_that_cannot_work_are_refused(make_ticket, prepared, options, message):
    with pytest.raises(ValueError, match=message):
        train(make_ticket(training=options), prepared)


def test_a_gpu_that_is_not_there_is_refused_not_replaced(make_ticket, prepared, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"training\.device is 'cuda', but torch sees no GPU"):
        train(make_ticket(training={"device": "cuda"}), prepared)
    train(make_ticket(training={"device": "auto", "epochs": 1}), prepared)

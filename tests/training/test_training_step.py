"""The masked training step against autograd of weight × mask and optimisers by the book."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from core_tools import kernels
from ticketlens.files.dataset import read_part
from ticketlens.networks import build
from ticketlens.seeds import stream
from ticketlens.spec import TrainingSpec
from ticketlens.training import evaluation, loop
from ticketlens.training.loop import learning_rate, train

CONV = {"family": "convolutional", "width": 4}
OPTIMIZERS = {
    "plain SGD": {"momentum": 0.0},
    "SGD with momentum": {"momentum": 0.9},
    "SGD with momentum and decay": {"momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"optimizer": "adam", "momentum": 0.9},
    "Adam with decay": {"optimizer": "adam", "momentum": 0.8, "weight_decay": 0.01},
}


class Reference:
    """A dense network in float64 whose weights are multiplied by the mask in the graph."""

    def __init__(self, ticket):
        self.spec, self.network = ticket.spec.training, build(ticket, masked=False).double()
        self.masks = [torch.from_numpy(layer.mask).double() for layer in ticket.layers]
        self.values = [
            torch.from_numpy(array).double()
            for layer in ticket.layers
            for array in (layer.weight, layer.bias)
        ]
        self.slots = [{} for _ in self.values]

    def logits(self, images, values):
        parameters = {}
        for index, mask in enumerate(self.masks):
            parameters[f"layers.{index}.weight"] = values[2 * index] * mask
            parameters[f"layers.{index}.bias"] = values[2 * index + 1]
        return torch.func.functional_call(self.network, parameters, (images,))

    def step(self, images, labels, rate):
        leaves = [value.clone().requires_grad_() for value in self.values]
        logits = self.logits(images, leaves)
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        for index, (leaf, slot) in enumerate(zip(leaves, self.slots, strict=True)):
            gradient = leaf.grad + self.spec.weight_decay * self.values[index]
            update = self.adam if self.spec.optimizer == "adam" else self.momentum
            self.values[index] = self.values[index] - rate * update(slot, gradient)
        return loss.item(), (logits.argmax(1) == labels).sum().item()

    def momentum(self, slot, gradient):
        slot["v"] = self.spec.momentum * slot["v"] + gradient if slot else gradient
        return slot["v"]

    def adam(self, slot, gradient):
        first, second = self.spec.momentum, 0.999
        slot["t"] = slot.get("t", 0) + 1
        slot["m"] = first * slot.get("m", 0) + (1 - first) * gradient
        slot["v"] = second * slot.get("v", 0) + (1 - second) * gradient**2
        mean = slot["m"] / (1 - first ** slot["t"])
        return mean / ((slot["v"] / (1 - second ** slot["t"])).sqrt() + 1e-8)


def batches(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        images = torch.from_numpy(rng.standard_normal((10, 3, 6, 6)))
        yield images, torch.from_numpy(rng.integers(0, 3, 10))


def run_in_float64(ticket):
    return loop._Run(
        ticket, ticket.spec.training, build(ticket, masked=False).double(), torch.device("cpu")
    )


@pytest.mark.parametrize("network", [{}, CONV], ids=["fcnet", "convnet"])
def test_gradients_of_the_masked_step_are_those_of_weight_times_mask(make_ticket, network):
    ticket = make_ticket(0.4, network=network, training={"momentum": 0.0})
    run, reference = run_in_float64(ticket), Reference(ticket)
    images, labels = next(batches(1))
    before = [p.detach().clone() for p in run.parameters]
    run.take_step(images, labels, 1.0)
    leaves = [value.clone().requires_grad_() for value in reference.values]
    functional.cross_entropy(reference.logits(images, leaves), labels).backward()
    for parameter, start, leaf in zip(run.parameters, before, leaves, strict=True):
        assert torch.allclose(start - parameter, leaf.grad, rtol=1e-12, atol=1e-14)
    for layer, mask in zip(run.model.layers, run.masks, strict=True):
        assert not layer.weight[~mask].any() and mask.any() and not mask.all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("network", [{}, CONV], ids=["fcnet", "convnet"])
def test_several_masked_steps_equal_a_plain_optimiser_on_weight_times_mask(
    make_ticket, network, optimizer
):
    ticket = make_ticket(0.4, network=network, training=optimizer)
    run, reference = run_in_float64(ticket), Reference(ticket)
    for number, (images, labels) in enumerate(batches(8)):
        rate = 0.05 / (1 + number)
        run.take_step(images, labels, rate)
        reference.step(images, labels, rate)
    for found, expected in zip(run.parameters, reference.values, strict=True):
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
    for layer, mask in zip(run.model.layers, run.masks, strict=True):
        assert not layer.weight.detach()[~mask].numpy().view(np.uint64).any()  # nor −0.0


def reference_run(ticket, data):
    """Train by the definition alone, in float64; return weights, curves and final results."""
    spec, reference = ticket.spec.training, Reference(ticket)
    parts = {part: read_part(data, part) for part in ("train", "validation", "test")}
    parts = {
        part: (torch.from_numpy(images).double(), torch.from_numpy(labels))
        for part, (images, labels) in parts.items()
    }
    images, labels = parts["train"]
    steps, curves = len(labels) // spec.batch_size, []
    for epoch in range(spec.epochs):
        order = stream(ticket.seed, "data-order", epoch).permutation(len(labels))
        loss = correct = 0.0
        for step in range(steps):
            chosen = order[step * spec.batch_size : (step + 1) * spec.batch_size]
            rate = learning_rate(spec, epoch * steps + step, steps)
            one_loss, one_correct = reference.step(images[chosen], labels[chosen], rate)
            loss, correct = loss + one_loss, correct + one_correct
        curves.append(
            (
                loss / steps,
                correct / (steps * spec.batch_size),
                *naive(reference, *parts["validation"]),
            )
        )
    return reference.values, np.array(curves), {p: naive(reference, *v) for p, v in parts.items()}


def naive(reference, images, labels):
    """Return mean loss and accuracy, one image at a time."""
    losses, hits = [], 0
    for image, label in zip(images, labels, strict=True):
        logits = reference.logits(image[None], reference.values)[0]
        losses.append((torch.logsumexp(logits, 0) - logits[label]).item())
        hits += int(logits.argmax()) == int(label)
    return math.fsum(losses) / len(labels), hits / len(labels)


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 20},
        {"optimizer": "adam", "learning_rate": 0.01, "schedule": "cosine", "warmup_epochs": 1},
        {"batch_size": 20, "sparse_below": 0.99},
        {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.01, "sparse_below": 0.99},
    ],
    ids=["SGD", "Adam, cosine, warm-up", "sparse SGD", "sparse Adam with decay"],
)
def test_a_whole_run_equals_the_reference_run(make_ticket, prepared, options, kernel):
    ticket = make_ticket(0.5, training={**options, "kernel": kernel})
    trained, _ = train(ticket, prepared)
    values, curves, final = reference_run(ticket, prepared)
    found = [array for layer in trained.layers for array in (layer.weight, layer.bias)]
    for one, other in zip(found, values, strict=True):
        assert np.allclose(one, other, atol=2e-5)
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    for name, expected in zip(names, curves.T, strict=True):
        assert np.allclose(trained.history[name], expected, atol=1e-5), name
    for part, (loss, accuracy) in final.items():
        assert trained.history[f"final_{part}_loss"] == pytest.approx(loss, abs=1e-5)
        assert trained.history[f"final_{part}_accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("batch", [1, 7, 24, 1000])
def test_evaluation_equals_a_naive_loop_whatever_the_batch(
    make_ticket, prepared, monkeypatch, batch
):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    ticket = make_ticket(0.5)
    images, labels = (torch.from_numpy(array) for array in read_part(prepared, "test"))
    loss, accuracy = evaluation.evaluate(
        build(ticket, masked=False), evaluation.Batches(images, labels)
    )
    expected = naive(Reference(ticket), images.double(), labels)
    assert (loss, accuracy) == (pytest.approx(expected[0], abs=1e-6), expected[1])


@pytest.mark.parametrize("count", [300, evaluation.PIECE + 1])
@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize(
    "network",
    [{"width": 8}, {"width": 33, "stride": [1, 2]}, {"family": "resnet-conv", "hidden_layers": 3}],
    ids=["chain", "strides", "skips"],
)
def test_convolutions_take_a_few_images_at_a_time_and_have_the_bits_of_one_pass(
    make_ticket, network, kernel, count
):
    model = build(make_ticket(0.5, network={**CONV, **network}), kernel, masked=False)
    sizes = []
    model.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    maps = []
    model.layers[-1].register_forward_pre_hook(lambda module, given: maps.append(given[0]))
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((count, 3, 6, 6)))
    few = evaluation._logits(model, images.float())
    assert evaluation.PIECE / 2 < min(sizes) <= max(sizes) <= evaluation.PIECE
    assert sum(sizes) == count
    pieces = torch.cat(maps)
    maps.clear()
    at_once = model(images.float())
    assert torch.equal(pieces, torch.cat(maps))
    # The readout by BLAS: last bits may depend on how many rows it has (AMD EPYC, PyTorch 2.13).
    assert torch.allclose(few, at_once, rtol=0, atol=1e-6)
    assert kernel == "aten" or torch.equal(few, at_once)


def test_linear_layers_take_all_images_of_a_batch_at_once(make_ticket):
    model = build(make_ticket(0.5), masked=False)
    sizes = []
    model.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    evaluation._logits(model, torch.zeros(300, 3, 6, 6))
    assert sizes == [300]


# --- the schedule ------------------------------------------------------------------------------


def rates(steps=4, **options):
    spec = TrainingSpec(learning_rate=0.1, **options)
    return [learning_rate(spec, step, steps) for step in range(spec.epochs * steps)]


def test_a_constant_rate_is_constant():
    assert rates(epochs=3) == [0.1] * 12


def test_warm_up_rises_linearly_and_then_stays():
    assert rates(epochs=3, warmup_epochs=2) == pytest.approx(
        [0.1 * step / 8 for step in range(1, 9)] + [0.1] * 4
    )


def test_a_cosine_falls_from_the_full_rate_towards_zero_at_the_end_of_the_run():
    found = rates(epochs=5, schedule="cosine")
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * t / 20)) for t in range(20)])
    assert found[0] == 0.1 and found[10] == pytest.approx(0.05) and 0 < found[-1] < 1e-3
    assert found == sorted(found, reverse=True)


def test_warm_up_and_cosine_meet_at_the_full_rate():
    found = rates(epochs=6, schedule="cosine", warmup_epochs=2)
    assert found[7] == found[8] == pytest.approx(0.1)
    assert found[8:] == pytest.approx([0.05 * (1 + math.cos(math.pi * t / 16)) for t in range(16)])


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match=r"training\.schedule is 'step'; allowed: constant"):
        rates(epochs=1, schedule="step")

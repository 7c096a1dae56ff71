"""bfloat16 as docs/precision.md defines it: the same bits by every way, and close to float64."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional

import bfloat16_tools as plain
from bfloat16_networks import arrays_of, batch, cases, network
from bfloat16_tools import WAYS
from core_tools import same_bits
from ticketlens.checkpoint import read, write
from ticketlens.networks import Convolutional, ResidualConvolutional, build
from ticketlens.spec import NetworkSpec
from ticketlens.training import bfloat16, bfloat16_convnet, ways
from ticketlens.training.bfloat16_library import KINDS, at, library
from ticketlens.training.evaluation import load
from ticketlens.training.loop import evaluate, train


def computed(model, images, labels, way):
    """Return loss, logits and gradients by one way."""
    loss, logits, found = bfloat16.network(model, way).gradients(images, labels)
    return [loss, logits, *(one.clone() for one in found)]


def by_float64(model, images, labels):
    """Return autograd's gradients in float64."""
    exact = type(model)([*model.layers], NetworkSpec()).double()
    exact.activation = model.activation
    loss = functional.cross_entropy(exact(images.double()), labels)
    found = torch.autograd.grad(loss, list(exact.parameters()))
    model.float()
    return found


def assert_emulated(model, images, labels, activation, padding, reference):
    """Assert that what `computed` returned has the bits of the emulation in numpy."""
    layers = [
        plain.Layer(*(p.detach().numpy() for p in (layer.weight, layer.bias)), layer.stride[0])
        for layer in model.layers[:-1]
    ]
    *_, y = plain.maps(layers, images.numpy(), activation, padding)
    pixels = y.shape[2] * y.shape[3]
    mean = plain.in_turn(y.reshape(*y.shape[:2], -1)) / np.float32(pixels)
    read = [p.detach().numpy() for p in model.layers[-1].parameters()]
    logits = plain.in_turn(mean[:, None] * read[0][None]) + read[1]
    assert np.array_equal(reference[1].numpy(), logits)
    # The kernels' own gradient by the logits, so that the rest can be compared bit for bit.
    grad, losses = np.empty_like(logits), np.empty(len(logits), np.float32)
    library("plain").cross_entropy(
        *logits.shape, logits.ctypes.data, at(labels), losses.ctypes.data,
        ctypes.c_int64(), grad.ctypes.data,
    )  # fmt: skip
    exact = plain.by_logits(logits, labels.numpy())
    np.testing.assert_allclose(grad, exact, rtol=1e-5, atol=1e-6)
    by_weight = plain.in_turn(grad[:, :, None] * mean[:, None], 0)
    assert np.array_equal(reference[-2].numpy(), by_weight)
    assert np.array_equal(reference[-1].numpy(), plain.in_turn(grad, 0))
    slope = plain.in_turn(grad[:, :, None] * read[0][None], 1) / np.float32(pixels)
    emulated = plain.gradients(layers, images.numpy(), activation, padding, slope)
    for index, (one, other) in enumerate(zip(reference[2:-2], emulated, strict=True)):
        assert np.array_equal(one.numpy(), other), index


@settings(max_examples=25, deadline=None)
@given(cases())
def test_every_way_has_the_bits_of_the_plain_emulation(case):
    shapes, strides, padding, activation, scale, (height, width), seed = case
    model = network(shapes, strides, padding, activation, seed, scale)
    images, labels = batch(2, shapes[0][1], height, width)
    results = {way: computed(model, images, labels, way) for way in ways.available()}
    reference = results.pop("plain")
    for way, found in results.items():
        assert [torch.equal(a, b) for a, b in zip(reference, found, strict=True)] == (
            [True] * len(found)
        ), way
    assert_emulated(model, images, labels, activation, padding, reference)


@pytest.mark.parametrize(
    ("count", "size", "kernel", "stride"),
    [(1, (10, 32), 5, 1), (1, (9, 64), 3, 1), (1, (9, 20), 3, 1), (2, (18, 16), 3, 1),
     (1, (18, 32), 3, 2), (6, (8, 8), 3, 1), (9, (4, 4), 3, 1)],
)  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_parts_of_large_images_and_several_small_ones_have_the_bits_of_the_emulation(
    count, size, kernel, stride, way
):
    """A map is cut into groups of 8 blocks of 32 pixels; small maps are taken together."""
    model = network([(4, 1, 3), (3, 4, kernel)], [1, stride])
    images, labels = batch(count, 1, *size)
    found = computed(model, images, labels, way)
    assert_emulated(model, images, labels, "tanh", "circular", found)


@pytest.mark.parametrize("scale", [1.4, 1e-19])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_is_within_1e_5_of_the_sum_of_its_products_sizes(stride, scale):
    generator = np.random.default_rng(0)
    x, w, g = (
        plain.rounded(generator.standard_normal(shape) * scale)
        for shape in ((2, 64, 8, 8), (32, 64, 3, 3), (2, 32, 8 // stride, 8 // stride))
    )

    def exact(x, w, g):
        x, w, g = (torch.from_numpy(one).double() for one in (x, w, g))
        padded = functional.pad(x, (1, 1, 1, 1), mode="circular").requires_grad_()
        x.requires_grad_()
        padded = functional.pad(x, (1, 1, 1, 1), mode="circular")
        h = functional.conv2d(padded, w.requires_grad_(), stride=stride)
        return h.detach(), *torch.autograd.grad((h * g).sum(), (x, w))

    found = (
        plain.forward(x, w, stride, "circular"),
        plain.input_gradient(g, w, stride, "circular", (8, 8)),
        plain.weight_gradient(x, g, 3, stride, "circular"),
    )
    sizes = exact(*(np.abs(one) for one in (x, w, g)))
    for one, true, size in zip(found, exact(x, w, g), sizes, strict=True):
        assert np.all(np.abs(one - true.numpy()) <= 1e-5 * size.numpy() + 2.0**-120)


NAMED = {
    "convnet": (Convolutional, [1] * 8),
    "convnet, strided": (Convolutional, [1, 2, 2, 1, 1, 1, 1, 1]),
    "resnet-conv": (ResidualConvolutional, [1] * 9),
}


@pytest.mark.parametrize("round_", [0, 5])
@pytest.mark.parametrize("name", NAMED)
def test_gradients_of_whole_networks_are_within_one_and_a_half_percent(name, round_):
    family, strides = NAMED[name]
    shapes = [(24, 3, 3), *[(24, 24, 3)] * (len(strides) - 1)]
    model = network(shapes, strides, family=family)
    if round_:  # the mask of magnitude pruning at initialisation
        with torch.no_grad():
            for layer in model.layers[:-1]:
                size = layer.weight.abs()
                layer.weight[size < size.quantile(1 - 0.8**round_)] = 0.0
    images, labels = batch(8, 3, 16, 16)
    *_, found = bfloat16.network(model).gradients(images, labels)
    for one, true in zip(found, by_float64(model, images, labels), strict=True):
        assert (one - true).norm() <= 0.015 * true.norm()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", KINDS)
def test_ways_agree_for_every_activation_and_residual_blocks(way, activation):
    model = network([(33, 3, 3), (33, 33, 3), (33, 33, 3)], [1, 1, 1], activation=activation,
                    family=ResidualConvolutional)  # fmt: skip
    images, labels = batch(3, 3, 6, 10)
    for one, other in zip(
        computed(model, images, labels, way), computed(model, images, labels, "plain"), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("width", [16, 32, 48, 64])
@pytest.mark.parametrize("way", WAYS)
def test_ways_agree_on_wide_maps(way, width):
    model = network([(33, 3, 3), (32, 33, 3)], [1, 1])
    images, labels = batch(1, 3, 4, width)
    for one, other in zip(
        computed(model, images, labels, way), computed(model, images, labels, "plain"), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_an_evaluation_has_the_logits_of_a_step_whatever_its_batches(way, monkeypatch):
    model = network([(33, 3, 3), (40, 33, 3)], [1, 2])
    images, labels = batch(7, 3, 8, 8)
    one = bfloat16.network(model, way)
    _, logits, _ = one.gradients(images, labels)
    monkeypatch.setattr(bfloat16_convnet, "EVALUATED", 3)
    assert torch.equal(one.logits(images), logits)
    loss, accuracy = one.evaluate(images, labels)
    assert loss == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-6)
    assert accuracy == float((logits.argmax(1) == labels).double().mean())


@pytest.mark.parametrize("way", WAYS)
def test_two_calls_have_the_same_bits(way):
    model = network([(32, 3, 3), (32, 32, 3)], [1, 1])
    images, labels = batch(4, 3, 8, 8)
    one = bfloat16.network(model, way)
    first = [found.clone() for found in one.gradients(images, labels)[2]]
    one.evaluate(*batch(5, 3, 8, 8, seed=2))
    assert all(map(torch.equal, first, one.gradients(images, labels)[2]))


@pytest.mark.parametrize("way", WAYS)
def test_a_nan_is_seen_in_the_loss(way):
    model = network([(32, 3, 3), (32, 32, 3)], [1, 1])
    images, labels = batch(4, 3, 8, 8)
    with torch.no_grad():
        model.layers[1].weight[0, 0, 0, 0] = torch.nan
    assert torch.isnan(bfloat16.network(model, way).gradients(images, labels)[0])


def test_what_the_definition_leaves_out_is_refused():
    odd = network([(4, 3, 3), (4, 4, 3)], [1, 2])
    with pytest.raises(ValueError, match="stride 2 on a map of 7x8 pixels, padded circularly"):
        bfloat16.network(odd).gradients(*batch(2, 3, 7, 8))
    with pytest.raises(ValueError, match="allowed behind the first layer: 1, 2"):
        bfloat16.network(network([(4, 3, 3), (4, 4, 3)], [1, 3])).gradients(*batch(2, 3, 9, 9))


# --- whole trainings -----------------------------------------------------------------------------


@pytest.mark.parametrize("network", [
    {"family": "convolutional", "width": 5, "hidden_layers": 3},
    {"family": "resnet-conv", "width": 5, "hidden_layers": 3},
    {"width": 33, "hidden_layers": 3},
    {"family": "resnet-fc", "width": 33, "hidden_layers": 3},
], ids=["convnet", "resnet-conv", "fcnet", "resnet-fc"])  # fmt: skip
@pytest.mark.parametrize("options", [
    {}, {"optimizer": "adam", "weight_decay": 0.1, "learning_rate": 0.01},
], ids=["SGD", "Adam"])  # fmt: skip
def test_a_training_has_the_same_bytes_by_every_way(
    make_ticket, prepared, monkeypatch, caplog, tmp_path, network, options
):
    ticket = make_ticket(0.3, network=network, training={"precision": "bfloat16", **options})
    results = {}
    for way in ways.available():
        monkeypatch.setenv(ways.VARIABLE, way)
        with caplog.at_level("INFO"):
            results[way], _ = train(ticket, prepared)
        assert f"bfloat16 by {way}" in caplog.text
        write(tmp_path / "trained.h5", results[way])
        assert read(tmp_path / "trained.h5").extra["bfloat16_way"] == way
    reference = arrays_of(results["plain"])
    for way, trained in results.items():
        assert all(map(same_bits, reference, arrays_of(trained))), way


def test_final_accuracies_are_those_of_float32(make_ticket, prepared, monkeypatch):
    seen = []

    def counted(*arguments):
        seen.append(1)
        return evaluate(*arguments)

    monkeypatch.setattr("ticketlens.training.loop.evaluate", counted)
    network = {"family": "convolutional", "width": 4}
    train(make_ticket(network=network, training={"precision": "bfloat16"}), prepared)
    assert len(seen) == 6  # three parts, for the last and for the best weights; no epoch


@pytest.mark.parametrize(("density", "activation", "is_sparse"), [
    (0.3, "tanh", True), (0.3, "erf", False), (0.8, "tanh", False),
])  # fmt: skip
def test_final_accuracies_of_sparse_convolutions_are_those_of_the_dense_network(
    make_ticket, prepared, monkeypatch, density, activation, is_sparse
):
    kinds = set()

    def noted(model, data):
        kinds.add(type(model).__name__)
        return evaluate(model, data)

    monkeypatch.setattr("ticketlens.training.loop.evaluate", noted)
    network = {"family": "convolutional", "width": 6, "activation": activation}
    ticket = make_ticket(density, network=network, training={"precision": "bfloat16"})
    trained, _ = train(ticket, prepared)
    assert kinds == {"SparseConvolutional" if is_sparse else "Convolutional"}
    weights = [(layer.weight, layer.bias) for layer in trained.layers]
    for suffix, values in (("", weights), ("_best_validation", trained.best_validation)):
        layers = tuple(
            replace(layer, weight=weight, bias=bias)
            for layer, (weight, bias) in zip(trained.layers, values, strict=True)
        )
        loss, accuracy = evaluate(
            build(replace(ticket, layers=layers), "onednn"),
            load(prepared, "test", torch.device("cpu")),
        )
        assert trained.history[f"final_test_loss{suffix}"] == pytest.approx(loss, rel=1e-5)
        assert trained.history[f"final_test_accuracy{suffix}"] == accuracy


def test_a_family_that_the_page_does_not_define_is_refused():
    class Recurrent(Convolutional):
        """A plug-in's."""

    model = network([(4, 3, 3), (4, 4, 3)], [1, 1], family=Recurrent)
    with pytest.raises(ValueError, match="for a Recurrent; allowed: the families fully-connected"):
        bfloat16.network(model)


@pytest.mark.parametrize(("options", "message"), [
    ({"precision": "half"}, "training.precision is 'half'; allowed: float32, bfloat16"),
    ({"precision": "bfloat16", "bfloat16_kernel": 2}, "is 2 with precision 'bfloat16'; allowed: 1"),
    ({"precision": "bfloat16", "sparse_below": 0.4}, "sparse_below 0.4; allowed: sparse_below 0"),
    ({"bfloat16_kernel": 1}, "is 1 with precision 'float32'; allowed: 0"),
])  # fmt: skip
def test_an_unknown_precision_or_version_is_refused(make_ticket, prepared, options, message):
    with pytest.raises(ValueError, match=message):
        train(make_ticket(network={"family": "convolutional"}, training=options), prepared)

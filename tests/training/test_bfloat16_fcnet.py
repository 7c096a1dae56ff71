"""Fully connected networks in bfloat16: the same bits by every way, and close to float64."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import bfloat16_tools as plain
from bfloat16_tools import WAYS
from ticketlens.networks import FullyConnected, ResidualFullyConnected
from ticketlens.spec import NetworkSpec
from ticketlens.training import bfloat16, bfloat16_fcnet, ways
from ticketlens.training.bfloat16_library import KINDS, at, library


def network(widths, activation="tanh", seed=0, scale=1.4, density=1.0, family=FullyConnected):
    """Return a model of inputs, hidden widths and 10 classes, masked at random."""
    generator, layers = torch.Generator().manual_seed(seed), []
    for inputs, outputs in zip(widths, [*widths[1:], 10], strict=True):
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.normal_(0, scale / inputs**0.5, generator=generator)
            layer.bias.normal_(0, 0.3 * scale, generator=generator)
            layer.weight[torch.rand(layer.weight.shape, generator=generator) >= density] = 0.0
        layers.append(layer)
    return family(layers, NetworkSpec(activation=activation))


def batch(count, inputs, seed=1):
    """Return images and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, inputs, generator=generator)
    return images, torch.randint(0, 10, (count,), generator=generator)


def computed(model, images, labels, way):
    """Return loss, logits and gradients by one way."""
    loss, logits, found = bfloat16.network(model, way).gradients(images, labels)
    return [loss, logits, *(one.clone() for one in found)]


@st.composite
def cases(draw):
    """Draw widths, samples, activation, scale, density, skips."""
    is_residual = draw(st.booleans())
    width = st.integers(1, 70)
    if is_residual:
        widths = [draw(width), *[draw(width)] * draw(st.sampled_from([1, 3]))]
    else:
        widths = draw(st.lists(width, min_size=2, max_size=4))
    activation = draw(st.sampled_from(["tanh", "relu", "linear"]))
    scale = draw(st.sampled_from([1.4, 1.4, 6.0, 1e-19]))
    samples, density = draw(st.integers(1, 70)), draw(st.sampled_from([1.0, 0.1]))
    return widths, samples, activation, scale, density, is_residual, draw(st.integers(0, 99))


@settings(max_examples=25, deadline=None)
@given(cases())
def test_every_way_has_the_bits_of_the_plain_emulation(case):
    widths, samples, activation, scale, density, is_residual, seed = case
    family = ResidualFullyConnected if is_residual else FullyConnected
    model = network(widths, activation, seed, scale, density, family)
    images, labels = batch(samples, widths[0])
    results = {way: computed(model, images, labels, way) for way in ways.available()}
    reference = results.pop("plain")
    for way, found in results.items():
        assert all(map(torch.equal, reference, found)), way
    *layers, readout = [
        [p.detach().numpy() for p in (layer.weight, layer.bias)] for layer in model.layers
    ]
    *_, y = plain.linear_maps(layers, images.numpy(), activation, is_residual)
    logits = plain.in_turn(y[:, None] * readout[0][None]) + readout[1]
    assert np.array_equal(reference[1].numpy(), logits)
    # The kernels' own gradient by the logits, so that the rest can be compared bit for bit.
    grad, losses = np.empty_like(logits), np.empty(len(logits), np.float32)
    library("plain").cross_entropy(
        *logits.shape, logits.ctypes.data, at(labels), losses.ctypes.data, ctypes.c_int64(),
        grad.ctypes.data,
    )  # fmt: skip
    assert np.array_equal(reference[-2].numpy(), plain.in_turn(grad[:, :, None] * y[:, None], 0))
    assert np.array_equal(reference[-1].numpy(), plain.in_turn(grad, 0))
    slope = plain.in_turn(grad[:, :, None] * readout[0][None], 1)
    emulated = plain.linear_gradients(layers, images.numpy(), activation, is_residual, slope)
    for index, (one, other) in enumerate(zip(reference[2:-2], emulated, strict=True)):
        assert np.array_equal(one.numpy(), other), index


@pytest.mark.parametrize("scale", [1.4, 1e-19])
def test_a_layer_is_within_1e_5_of_the_sum_of_its_products_sizes(scale):
    generator = np.random.default_rng(0)
    x, w, g = (
        plain.rounded(generator.standard_normal(shape) * scale)
        for shape in ((50, 300), (70, 300), (50, 70))
    )
    found = (
        plain.linear(x, w), plain.linear_input_gradient(g, w), plain.linear_weight_gradient(x, g)
    )  # fmt: skip
    x, w, g = (one.astype(np.float64) for one in (x, w, g))
    for one, (left, right) in zip(found, ((x, w.T), (g, w), (g.T, x)), strict=True):
        size = np.abs(left) @ np.abs(right)
        assert np.all(np.abs(one - left @ right) <= 1e-5 * size + 2.0**-120)


@pytest.mark.parametrize("round_", [0, 5])
@pytest.mark.parametrize("family", [FullyConnected, ResidualFullyConnected])
def test_gradients_of_whole_networks_are_within_one_and_a_half_percent(family, round_):
    model = network([3072, *[256] * (9 if family is ResidualFullyConnected else 8)], family=family)
    if round_:  # the mask of magnitude pruning at initialisation
        with torch.no_grad():
            for layer in model.layers[:-1]:
                size = layer.weight.abs()
                cut = size.flatten().sort().values[int((1 - 0.8**round_) * size.numel())]
                layer.weight[size < cut] = 0.0
    images, labels = batch(128, 3072)
    *_, found = bfloat16.network(model).gradients(images, labels)
    exact = family([*model.layers], NetworkSpec()).double()
    loss = functional.cross_entropy(exact(images.double()), labels)
    true = torch.autograd.grad(loss, list(exact.parameters()))
    for one, other in zip(found, true, strict=True):
        assert (one - other).norm() <= 0.015 * other.norm()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", KINDS)
def test_ways_agree_for_every_activation_on_the_studys_shapes(way, activation):
    model = network([100, 96, 96, 96], activation, family=ResidualFullyConnected)
    images, labels = batch(128, 100)
    for one, other in zip(
        computed(model, images, labels, way), computed(model, images, labels, "plain"), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_an_evaluation_has_the_logits_of_a_step_whatever_its_batches(way, monkeypatch):
    images, labels = batch(45, 40)
    one = bfloat16.network(network([40, 33, 64]), way)
    _, logits, _ = one.gradients(images, labels)
    monkeypatch.setattr(bfloat16_fcnet, "EVALUATED", 7)
    assert torch.equal(one.logits(images), logits)
    loss, accuracy = one.evaluate(images, labels)
    assert loss == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-6)
    assert accuracy == float((logits.argmax(1) == labels).double().mean())


@pytest.mark.parametrize("way", WAYS)
def test_gathered_images_give_the_gradients_of_the_chosen_ones_again_and_again(way):
    images, labels = batch(60, 40)
    images = images.view(60, 2, 4, 5)  # flattened by channel, row, column
    chosen = torch.tensor([59, 0, 7, 7, 31])
    one = bfloat16.network(network([40, 33, 64]), way)
    gathered = one.gather(images, chosen)
    first = [found.clone() for found in one.gradients(gathered, labels[chosen])[2]]
    one.evaluate(images, labels)
    one.gradients(*batch(33, 40, seed=2))
    again = one.gradients(images[chosen], labels[chosen])[2]
    assert all(map(torch.equal, first, again))
    with pytest.raises(IndexError, match="images are numbered 0 to 59"):
        one.gather(images, torch.tensor([60]))


@pytest.mark.parametrize("way", WAYS)
def test_a_nan_is_seen_in_the_loss(way):
    model = network([40, 33, 64])
    with torch.no_grad():
        model.layers[1].weight[0, 0] = torch.nan
    assert torch.isnan(bfloat16.network(model, way).gradients(*batch(5, 40))[0])

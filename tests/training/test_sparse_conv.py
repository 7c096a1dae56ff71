"""Sparse convolutions: the numbers of autograd in float64, with bits that no machine changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core_tools import same_bits
from ticketlens.checkpoint import check
from ticketlens.networks import build
from ticketlens.training import evaluation, sparse, sparse_conv, ways
from ticketlens.training.loop import train

CONV = {"family": "convolutional", "hidden_layers": 3, "width": 6}
RESIDUAL = {"family": "resnet-conv", "hidden_layers": 5, "width": 6}
SPARSE = {"sparse_below": 0.99}
ACTIVATIONS = {torch.tanh: "tanh", torch.relu: "relu", nn.functional.hardtanh: "hard_tanh"}


def network(rng, channels, kernels, strides, density, circular, skips, phi):
    """Return a network of random sparse convolutions and three classes."""
    layers = []
    for number, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
        shape = (channels[number + 1], channels[number], kernel, kernel)
        layer = sparse_conv.SparseConvolution(rng.random(shape) < density, stride, circular)
        scale = 1.4 / np.sqrt(np.prod(shape[1:]) * density)
        layer.set_weight(torch.from_numpy(rng.standard_normal(shape).astype(np.float32) * scale))
        layer.bias.copy_(torch.from_numpy(0.3 * rng.standard_normal(shape[0]).astype(np.float32)))
        layers.append(layer)
    readout = nn.Linear(channels[-1], 3)
    with torch.no_grad():
        readout.weight.copy_(torch.from_numpy(rng.standard_normal((3, channels[-1]))))
        readout.bias.zero_()
    return sparse_conv.SparseConvolutional(layers, readout, sparse_conv.KINDS[phi], skips)


def batch(rng, count, channels, height, width):
    images = rng.standard_normal((count, channels, height, width)).astype(np.float32)
    return torch.from_numpy(images), torch.from_numpy(rng.integers(0, 3, count))


def by_autograd(model, images, labels, phi):
    """Return (logits, gradients by the weights and biases of all layers) in float64."""
    parameters = [
        one.detach().double().requires_grad_()
        for layer in model.layers
        for one in (layer.weight, layer.bias)
    ]

    def convolved(number, x):
        layer, (weight, bias) = model.convolutions[number], parameters[2 * number : 2 * number + 2]
        if layer.margin:
            mode = "circular" if layer.circular else "constant"
            x = nn.functional.pad(x, (layer.margin,) * 4, mode=mode)
        return nn.functional.conv2d(x, weight, bias, stride=layer.stride)

    h = convolved(0, images.double())
    for number in range(1, len(model.convolutions), 2 if model.skips else 1):
        if model.skips:
            h = h + convolved(number + 1, phi(convolved(number, phi(h))))
        else:
            h = convolved(number, phi(h))
    logits = nn.functional.linear(phi(h).mean((2, 3)), *parameters[-2:])
    loss = nn.functional.cross_entropy(logits, labels)
    return logits, torch.autograd.grad(loss, parameters)


def assert_close(found, exact, scale):
    """Assert float32 rounding: 1e-5 of the scale that a network's numbers have."""
    assert found.shape == exact.shape
    if exact.numel():
        assert (found.double() - exact).abs().max() <= 1e-5 * scale


# --- numbers -----------------------------------------------------------------------------------


@st.composite
def cases(draw):
    """Kernels, strides, sides and channels of chains and of residual networks."""
    skips, circular = draw(st.booleans()), draw(st.booleans())
    count = draw(st.sampled_from([1, 3, 5])) if skips else draw(st.integers(1, 4))
    sides = draw(st.tuples(st.integers(3, 21), st.integers(3, 21)))
    if skips:
        channels = [draw(st.integers(1, 4)), *[draw(st.integers(1, 7))] * count]
        kernels, strides = [draw(st.sampled_from([1, 3, 5]))] * count, [1] * count
    else:
        channels = [draw(st.integers(1, 7)) for _ in range(count + 1)]
        kernels = [draw(st.sampled_from([1, 3, 5])) for _ in range(count)]
        strides = [draw(st.integers(1, 3)) for _ in range(count)]
    smallest = min(sides) // max(1, int(np.prod(strides[:-1])))
    kernels = [kernel if kernel // 2 <= smallest else 1 for kernel in kernels]
    return {
        "channels": channels, "kernels": kernels, "strides": strides, "skips": skips,
        "circular": circular, "density": draw(st.sampled_from([0.02, 0.2, 0.6, 1.0])),
        "phi": draw(st.sampled_from(list(ACTIVATIONS))),
    }, sides, draw(st.sampled_from([1, 5, 16, 37]))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(case=cases(), seed=st.integers(0, 99))
def test_logits_and_gradients_are_those_of_autograd_in_float64(case, seed):
    options, sides, count = case
    rng = np.random.default_rng(seed)
    model = network(rng, **options)
    images, labels = batch(rng, count, options["channels"][0], *sides)
    logits, exact = by_autograd(model, images, labels, options["phi"])
    _, found_logits, found = sparse_conv.gradients(model)(images, labels)
    assert_close(found_logits, logits, logits.abs().max())
    # Sums may cancel in one layer; the largest gradient of all says what rounding can be.
    scale = max(float(one.abs().max()) for one in exact if one.numel())
    parts = found[0].split(model.sizes)
    for number, layer in enumerate(model.convolutions):
        assert_close(parts[2 * number], exact[2 * number].flatten()[layer.support], scale)
        assert_close(parts[2 * number + 1], exact[2 * number + 1], scale)
    assert_close(found[1], exact[-2], scale)
    assert_close(found[2], exact[-1], scale)


@pytest.mark.parametrize("way", [way for way in ways.FLAGS if way != "avx512"])
@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 2)])
@pytest.mark.parametrize("skips", [False, True])
def test_bits_do_not_depend_on_the_width_of_vectors(monkeypatch, way, strides, skips):
    if way not in ways.available() or "avx512" not in ways.available():
        pytest.skip(f"this machine lacks {way} or AVX-512")
    if skips:
        strides = (1, 1, 1)
    found = []
    for own in ("avx512", way):
        monkeypatch.setenv(ways.VARIABLE, own)
        rng = np.random.default_rng(3)
        model = network(rng, (3, 6, 6, 6), (3,) * 3, strides, 0.4, True, skips, torch.tanh)
        images, _ = batch(rng, 21, 3, 10, 13)
        pooled = model.pooled(images)
        found.append([pooled, model.backward(torch.ones_like(pooled))])
    for one, other in zip(*found, strict=True):
        assert same_bits(one.numpy(), other.numpy())


def test_a_call_leaves_no_trace_in_the_next(make_ticket):
    # Maps are kept between steps, and may be larger than a batch needs.
    rng = np.random.default_rng(4)
    model = network(rng, (3, 6, 6), (3, 3), (1, 2), 0.4, True, False, torch.tanh)
    images, labels = batch(rng, 40, 3, 8, 8)
    found = sparse_conv.gradients(model)
    first = found(images[:5], labels[:5])
    found(images, labels)
    model(images)
    again = found(images[:5], labels[:5])
    for one, other in zip([*first[:2], *first[2]], [*again[:2], *again[2]], strict=True):
        assert same_bits(one.numpy(), other.numpy())


def test_float64_is_refused_rather_than_misread():
    model = network(
        np.random.default_rng(5), (3, 4), (3,), (1,), 0.5, True, False, torch.tanh
    )  # fmt: skip
    with pytest.raises(TypeError, match=r"float32, not torch\.float64"):
        model(torch.zeros(2, 3, 4, 4, dtype=torch.float64))


# --- the training step ---------------------------------------------------------------------------


def compressed(ticket, below=0.99):
    masks = [layer.mask for layer in ticket.layers]
    spec = replace(ticket.spec.training, sparse_below=below)
    return sparse.compressed(build(ticket, masked=False), masks, ticket.spec.network, spec)


@pytest.mark.parametrize("given", [{**CONV, "stride": [1, 2, 1]}, RESIDUAL])
def test_the_masked_dense_step_and_the_sparse_one_agree(make_ticket, prepared, given):
    ticket = make_ticket(0.3, network=given)
    dense, _ = train(ticket, prepared)
    kept = replace(
        ticket, spec=ticket.spec.replace(training=replace(ticket.spec.training, **SPARSE))
    )
    found, _ = train(kept, prepared)
    check(found)
    for one, other in zip(found.layers, dense.layers, strict=True):
        assert (one.weight[~one.mask] == 0).all()
        np.testing.assert_allclose(one.weight, other.weight, atol=1e-4)
        np.testing.assert_allclose(one.bias, other.bias, atol=1e-4)


def test_two_runs_have_the_same_bits(make_ticket, prepared):
    ticket = make_ticket(0.3, network={**CONV, "stride": [1, 2, 1]}, training=SPARSE)
    (one, _), (other, _) = train(ticket, prepared), train(ticket, prepared)
    assert one.content_sha256 == other.content_sha256


def test_weights_round_trip_between_kernels_and_values(make_ticket):
    ticket = make_ticket(0.3, network=CONV)
    model = compressed(ticket)
    assert [sparse.is_sparse(layer) for layer in model.layers] == [True] * 3 + [False]
    for layer, told in zip(model.convolutions, ticket.layers[:-1], strict=True):
        assert same_bits(layer.weight.numpy(), told.weight)
        assert same_bits(layer.bias.numpy(), told.bias)


def test_convolutions_are_compressed_together_or_not_at_all(make_ticket):
    ticket = make_ticket(0.3, network=CONV)
    kept = sum(int(layer.mask.sum()) for layer in ticket.layers[:-1])
    density = kept / sum(layer.mask.size for layer in ticket.layers[:-1])
    assert not any(map(sparse.is_sparse, compressed(ticket, density).layers))
    assert all(map(sparse.is_sparse, compressed(ticket, density + 1e-6).layers[:-1]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**CONV, "activation": "erf"}, "'erf'; allowed: tanh, relu, hard_tanh"),
        ({"family": "resnet-fc", "hidden_layers": 3}, "network.family is 'resnet-fc'; allowed"),
    ],
)
def test_what_has_no_compressed_form_is_refused(make_ticket, prepared, given, message):
    with pytest.raises(ValueError, match=f"sparse_below is 0.99.*{message}"):
        train(make_ticket(0.3, network=given, training=SPARSE), prepared)


def test_evaluation_takes_the_memory_of_a_batch(make_ticket):
    ticket = make_ticket(0.3, network=CONV)
    model = compressed(ticket)
    images = torch.zeros(1000, 3, 6, 6)
    with torch.inference_mode():
        model(images)
    assert evaluation.EVALUATION_BATCH >= len(images) > sparse_conv.CHUNK
    assert len(model.memory["last"]) == 6 * 6 * 6 * sparse_conv.CHUNK

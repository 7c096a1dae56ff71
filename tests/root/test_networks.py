"""Networks: the forward pass against plain formulas, whichever kernel computes it."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import erf, prod

import numpy as np
import pytest
import torch
from torch import nn

from core_tools import kernels, same_bits
from ticketlens.architecture import layer_shapes
from ticketlens.networks import ACTIVATIONS, build, linear_kernel
from ticketlens.spec import Spec

FORMULAS = {
    "tanh": np.tanh,
    "erf": np.vectorize(erf),
    "relu": lambda h: np.maximum(h, 0),
    "hard_tanh": lambda h: np.clip(h, -1, 1),
    "linear": lambda h: h,
}
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((5, 3, 6, 6)).astype(np.float32)


def naive_convolution(images, weight, bias, padding, stride):
    """Return the cross-correlation by its definition, in float64."""
    count, _, height, width = images.shape
    half = weight.shape[2] // 2
    rows, columns = range(0, height, stride), range(0, width, stride)
    output = np.zeros((count, len(weight), len(rows), len(columns)))
    for a, row in enumerate(rows):
        for b, column in enumerate(columns):
            output[:, :, a, b] = bias
            for i in range(weight.shape[2]):
                for j in range(weight.shape[3]):
                    y, x = row + i - half, column + j - half
                    if padding == "zeros" and not (0 <= y < height and 0 <= x < width):
                        continue
                    seen = images[:, :, y % height, x % width].astype(float)
                    output[:, :, a, b] += seen @ weight[:, :, i, j].astype(float).T
    return output


def outputs(network, images=IMAGES):
    with torch.no_grad():
        tensor = torch.from_numpy(images)
        return [h.numpy() for h in network.preactivations(tensor)], network(tensor).numpy()


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("activation", sorted(FORMULAS))
def test_fully_connected_networks_follow_the_formula(make_ticket, activation, kernel):
    ticket = make_ticket(0.6, network={"activation": activation})
    hidden, logits = outputs(build(ticket, kernel))
    x = IMAGES.reshape(5, -1).astype(float)  # channel-first, as the docs say
    for layer, found in zip(ticket.layers[:-1], hidden, strict=True):
        h = x @ layer.weight.T.astype(float) + layer.bias
        assert np.allclose(found, h, atol=1e-5)
        x = FORMULAS[activation](h)
    readout = ticket.layers[-1]
    assert np.allclose(logits, x @ readout.weight.T + readout.bias, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_convolutional_networks_follow_the_formula(make_ticket, padding, stride, kernel_size):
    network = {
        "family": "convolutional", "width": 4, "padding": padding, "stride": stride,
        "kernel": kernel_size,
    }  # fmt: skip
    ticket = make_ticket(0.6, network=network)
    hidden, logits = outputs(build(ticket))
    x = IMAGES
    for layer, found in zip(ticket.layers[:-1], hidden, strict=True):
        h = naive_convolution(x, layer.weight, layer.bias, padding, stride)
        assert found.shape == h.shape
        assert np.allclose(found, h, atol=1e-5)
        x = np.tanh(h)
    readout = ticket.layers[-1]
    pooled = x.mean(axis=(2, 3))
    assert np.allclose(logits, pooled @ readout.weight.T + readout.bias, atol=1e-5)


@pytest.mark.parametrize("family", ["fully-connected", "convolutional"])
def test_networks_have_the_parameters_that_the_architecture_counts(make_ticket, family):
    ticket = make_ticket(network={"family": family})
    network = build(ticket)
    layers = layer_shapes(ticket.spec)
    expected = sum(prod(layer.shape) + layer.shape[0] for layer in layers)
    assert sum(p.numel() for p in network.parameters()) == expected
    for module, layer in zip(network.layers, ticket.layers, strict=True):
        assert same_bits(module.weight.detach().numpy(), layer.weight)
        assert same_bits(module.bias.detach().numpy(), layer.bias)


def test_parameters_are_copies_that_leave_the_ticket_alone(make_ticket):
    ticket = make_ticket()
    before = [layer.weight.copy() for layer in ticket.layers]
    network = build(ticket)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(same_bits(a, b.weight) for a, b in zip(before, ticket.layers, strict=True))


def test_every_activation_of_the_registry_is_tested_here():
    assert set(ACTIVATIONS) == set(FORMULAS)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"family": "recurrent"}, r"network family is 'recurrent'; allowed: \['convolutional', "),
        ({"activation": "sine"}, r"activation is 'sine'; allowed: \['erf', "),
    ],
)
def test_unknown_families_and_activations_are_refused(make_ticket, part, message):
    ticket = make_ticket()
    mapping = {"network": {"hidden_layers": 2, "width": 8, **part}}
    with pytest.raises(ValueError, match=message):
        build(replace(ticket, spec=Spec.from_mapping(mapping)))


# --- the mask is held --------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.001, momentum=0.9, weight_decay=0.1),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.001),
}


def trained_by(make_optimizer, network, steps=100, images=IMAGES):
    optimizer = make_optimizer(network.parameters())
    labels = torch.arange(len(images)) % 3
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(torch.from_numpy(images)), labels).backward()
        optimizer.step()
    return network


def weights_of(network):
    return [layer.weight.detach().numpy() for layer in network.layers]


@pytest.mark.parametrize("family", ["fully-connected", "convolutional"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_built_network_holds_its_mask_through_any_optimiser(make_ticket, name, family):
    ticket = make_ticket(0.4, network={"family": family, "width": 6})
    network = trained_by(OPTIMIZERS[name], build(ticket))
    for found, layer in zip(weights_of(network), ticket.layers, strict=True):
        assert same_bits(found[~layer.mask], np.zeros(np.count_nonzero(~layer.mask), np.float32))
        assert not np.array_equal(found, layer.weight)  # it learnt
    # The parameters themselves stay there as well, for those who look at these.
    for (key, parameter), mask in zip(
        ((k, p) for k, p in network.named_parameters() if p.ndim > 1),
        (layer.mask for layer in ticket.layers),
        strict=True,
    ):
        assert not parameter.detach().numpy()[~mask].any(), key


def test_noise_on_all_parameters_does_not_reach_pruned_weights(make_ticket):
    ticket = make_ticket(0.4)
    network = build(ticket)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn_like(parameter)
        network.layers[0].weight = torch.ones_like(network.layers[0].weight)
    for found, layer in zip(weights_of(network), ticket.layers, strict=True):
        assert not found[~layer.mask].any() and found[layer.mask].all()


def test_a_copy_another_type_and_a_loaded_state_hold_the_mask_too(make_ticket):
    ticket = make_ticket(0.4)
    copied = trained_by(OPTIMIZERS["adamw"], copy.deepcopy(build(ticket)), 3)
    loaded = build(ticket)
    loaded.load_state_dict(copied.state_dict())
    for network in (copied, loaded, build(ticket).double()):
        for found, layer in zip(weights_of(network), ticket.layers, strict=True):
            assert not found[~layer.mask].any()
    assert all(
        np.array_equal(a, b) for a, b in zip(weights_of(copied), weights_of(loaded), strict=True)
    )


def test_without_masked_false_the_mask_would_be_lost(make_ticket):
    """What the default is for: plain layers lose the mask in one step."""
    ticket = make_ticket(0.4)
    network = trained_by(OPTIMIZERS["sgd"], build(ticket, masked=False), 1)
    assert any(
        found[~layer.mask].any()
        for found, layer in zip(weights_of(network), ticket.layers, strict=True)
    )
    assert all(isinstance(layer.weight, nn.Parameter) for layer in network.layers)


@pytest.mark.parametrize("density", [1.0, 0.4])
def test_masked_and_plain_networks_have_the_same_outputs(make_ticket, density):
    ticket = make_ticket(density)
    for masked, plain in zip(
        outputs(build(ticket))[0], outputs(build(ticket, masked=False))[0], strict=True
    ):
        assert same_bits(masked, plain)


def test_layers_without_biases_are_built_without(make_ticket):
    ticket = make_ticket(0.5)
    layers = tuple(replace(layer, bias=None) for layer in ticket.layers)
    without = build(replace(ticket, layers=layers))
    zeros = tuple(replace(layer, bias=np.zeros_like(layer.bias)) for layer in ticket.layers)
    assert all(layer.bias is None for layer in without.layers)
    expected = outputs(build(replace(ticket, layers=zeros)))[1]
    assert np.allclose(outputs(without)[1], expected, atol=1e-6)


# --- kernels -----------------------------------------------------------------------------------


def linear_gradients(kernel, dtype, needs_input_grad=True):
    rng = np.random.default_rng(1)
    shapes = {"x": (7, 12), "weight": (5, 12), "bias": (5,)}
    values = {
        name: torch.tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=True)
        for name, shape in shapes.items()
    }
    values["x"].requires_grad_(needs_input_grad)
    output = linear_kernel(kernel)(*values.values())
    (output * torch.tensor(rng.standard_normal((7, 5)), dtype=dtype)).sum().backward()
    return [output.detach(), *(value.grad for value in values.values())]


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("needs_input_grad", [True, False])
def test_kernels_agree_with_float64_in_value_and_gradients(kernel, needs_input_grad):
    exact = linear_gradients("aten", torch.float64, needs_input_grad)
    found = linear_gradients(kernel, torch.float32, needs_input_grad)
    for one, other in zip(found, exact, strict=True):
        if other is None:
            assert one is None
        else:
            assert one.dtype == torch.float32
            assert torch.allclose(one.double(), other, atol=1e-5)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match=r"training.kernel is 'cublas'; allowed: \['aten', "):
        linear_kernel("cublas")


def test_a_kernel_that_this_pytorch_lacks_is_refused_not_replaced(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'onednn', which this PyTorch lacks; allowed: aten"):
        linear_kernel("onednn")

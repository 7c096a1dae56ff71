"""What measurements take: tensors, modules, layers without biases; never weights off the mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from ticketlens import ladder
from ticketlens.checkpoint import Layer
from ticketlens.measure import jacobian, sign_null, signal
from ticketlens.measure.conv import signal as signal_conv
from ticketlens.measure.layers import of_module, plain
from ticketlens.networks import build

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 3, 6, 6))


def leaky(ticket):
    """Layers with the weights of the dense network under the ticket's mask."""
    return tuple(
        replace(layer, weight=RNG.standard_normal(layer.mask.shape).astype(np.float32))
        for layer in ticket.layers
    )


MEASURES = {
    "signal": lambda layers, spec: signal.measure(layers, "tanh", IMAGES, np.random.default_rng(0)),
    "predict": lambda layers, spec: ladder.predict("second_moment", layers, IMAGES),
    "measured_q": lambda layers, spec: ladder.measured_q(layers, IMAGES),
    "chi": lambda layers, spec: ladder.chi("naive", layers, IMAGES),
    "hidden spectrum": lambda layers, spec: jacobian.hidden_spectrum(layers, "tanh", IMAGES),
    "logit spectrum": lambda layers, spec: jacobian.logit_spectrum(layers, "tanh", IMAGES),
    "signs": lambda layers, spec: sign_null.decompose(layers, IMAGES),
}


@pytest.mark.parametrize("name", MEASURES)
def test_weights_off_the_mask_are_refused_by_layer(make_ticket, name):
    ticket = make_ticket(0.4)
    MEASURES[name](ticket.layers, ticket.spec)
    with pytest.raises(ValueError, match=r"layer hidden1: \d+ weights off its mask are not zero"):
        MEASURES[name](leaky(ticket), ticket.spec)


def test_convolutions_refuse_them_too(make_ticket):
    ticket = make_ticket(0.4, network={"family": "convolutional", "width": 4})
    with pytest.raises(ValueError, match="weights off its mask are not zero"):
        signal_conv.measure(leaky(ticket), ticket.spec, IMAGES, np.random.default_rng(0))


def test_apply_mask_measures_the_pruned_network(make_ticket):
    ticket = make_ticket(0.4)
    layers = leaky(ticket)
    masked = tuple(replace(x, weight=np.where(x.mask, x.weight, np.float32(0))) for x in layers)
    for apply in (
        lambda x, **k: signal.measure(x, "tanh", IMAGES, np.random.default_rng(0), **k).q,
        lambda x, **k: ladder.predict("degree", x, IMAGES, **k),
        lambda x, **k: ladder.measured_q(x, IMAGES, **k),
    ):
        assert np.array_equal(apply(layers, apply_mask=True), apply(masked))


def test_tensors_and_layers_without_biases_are_measured_as_arrays_and_zeros(make_ticket):
    ticket = make_ticket(0.4)
    expected = ladder.measured_q(
        [replace(x, bias=np.zeros_like(x.bias)) for x in ticket.layers], IMAGES
    )
    tensors = [
        Layer(x.name, x.kind, torch.from_numpy(x.weight).requires_grad_(), None,
              torch.from_numpy(x.mask).float())
        for x in ticket.layers
    ]  # fmt: skip
    assert np.array_equal(ladder.measured_q(tensors, IMAGES), expected)
    assert np.allclose(signal.measure(tensors, "tanh", IMAGES, RNG).q, expected, rtol=1e-12)
    assert repr(tensors[0]) == repr(ticket.layers[0])


def test_layers_that_are_ready_come_back_as_they_are(make_ticket):
    ticket = make_ticket(0.4)
    assert all(a is b for a, b in zip(plain(ticket.layers), ticket.layers, strict=True))


def test_modules_are_measured_as_they_compute(make_ticket):
    """torch's prune keeps weight_orig and weight_mask: measured is their product (case: q of the
    unpruned network)."""
    ticket = make_ticket(1.0)
    model = build(ticket, masked=False)
    for layer in model.layers:
        prune.random_unstructured(layer, "weight", 0.7)
    expected = ladder.measured_q(
        [replace(x, weight=(m.weight_orig * m.weight_mask).detach().numpy(),
                 mask=m.weight_mask.numpy() == 1)
         for x, m in zip(ticket.layers, model.layers, strict=True)], IMAGES
    )  # fmt: skip
    assert np.allclose(ladder.measured_q(model, IMAGES), expected, rtol=1e-12)
    assert not np.allclose(ladder.measured_q(ticket.layers, IMAGES), expected, rtol=0.1)


@pytest.mark.parametrize("masked", [True, False])
def test_a_built_network_gives_its_ticket_back(make_ticket, masked):
    ticket = make_ticket(0.4)
    for found, layer in zip(of_module(build(ticket, masked=masked)), ticket.layers, strict=True):
        assert np.array_equal(found.weight, layer.weight)
        assert np.array_equal(found.mask, layer.mask) and np.array_equal(found.bias, layer.bias)


def test_a_module_with_nothing_to_measure_says_so():
    with pytest.raises(ValueError, match="Sequential has no linear or convolutional layer"):
        of_module(nn.Sequential(nn.Tanh()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": None}, "has no weights"),
        ({"mask": np.ones((2, 2), bool)}, r"mask has shape \(2, 2\)"),
        ({"mask": "halves"}, "values other than 0 and 1"),
    ],
)
def test_what_is_not_a_layer_is_refused(make_ticket, change, message):
    layer = make_ticket().layers[0]
    if isinstance(change.get("mask"), str):
        change = {"mask": np.full(layer.mask.shape, 0.5)}
    with pytest.raises(ValueError, match=message):
        plain([replace(layer, **change)])

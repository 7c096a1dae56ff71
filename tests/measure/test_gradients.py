"""Gradients at every layer: against autograd, finite differences, and a closed form."""

import dataclasses

import numpy as np
import pytest
import torch

from jacobian_networks import CONVS, DENSE, RESIDUAL, make_images, make_ticket, module
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import gradients, jacobian, nulls, signal
from ticketlens.measure.conv import gradients as gradients_conv
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tables import gradients as table
from ticketlens.tables import gradients_conv as table_conv

FAMILIES = [DENSE, CONVS[0], CONVS[3], *RESIDUAL]


def labels_of(images):
    return np.arange(len(images)) % 4


def by_autograd(layers, spec, images, labels):
    """Squared gradients from one image and one logit at a time."""
    model = module(layers, spec)
    logits, loss = [], []
    for image, label in zip(images, labels, strict=True):
        x = torch.from_numpy(image[None]).requires_grad_(True)
        h = model.preactivations(x)
        last = model.activation(h[-1])
        y = model.layers[-1](last.mean(dim=(2, 3)) if last.ndim == 4 else last)
        assert torch.allclose(y, model(x))
        points = [x, *h]
        squares = [
            [float((g**2).sum()) for g in torch.autograd.grad(c, points, retain_graph=True)]
            for c in y[0]
        ]
        logits.append(np.mean(squares, axis=0))
        nll = -torch.log_softmax(y, 1)[0, label]
        loss.append([float((g**2).sum()) for g in torch.autograd.grad(nll, points)])
    return np.array(logits), np.array(loss)


@pytest.mark.parametrize("spec", FAMILIES, ids=lambda spec: spec.network.family)
def test_gradients_of_every_family_are_autograds(spec):
    layers, images = make_ticket(spec), make_images(spec, 9)
    found = gradients_conv.backward(layers, spec, images, labels_of(images))
    logits, loss = by_autograd(layers, spec, images, labels_of(images))
    np.testing.assert_allclose(found.logits, logits, rtol=1e-10)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf"])
def test_numpy_and_torch_agree_on_fully_connected_layers(activation, monkeypatch):
    spec = DENSE.replace(network=dataclasses.replace(DENSE.network, activation=activation))
    layers, images = make_ticket(spec), make_images(spec, 7)
    monkeypatch.setattr(gradients, "CHUNK", 3)
    found = gradients.backward(layers, activation, images, labels_of(images))
    other = gradients_conv.backward(layers, spec, images, labels_of(images))
    np.testing.assert_allclose(found.logits, other.logits, rtol=1e-10)
    np.testing.assert_allclose(found.loss, other.loss, rtol=1e-10)
    assert found.logits.shape == (7, spec.network.hidden_layers + 1)


def test_pixels_have_the_frobenius_norm_of_the_input_output_jacobian():
    layers, images = make_ticket(DENSE), make_images(DENSE)
    found = gradients.backward(layers, "tanh", images, labels_of(images))
    h = signal.preactivations(layers, "tanh", images)
    whole = jacobian.logit_jacobians(layers, "tanh", h)
    np.testing.assert_allclose(found.logits[:, 0], np.sum(whole**2, (1, 2)) / 4, rtol=1e-12)


def test_loss_gradient_is_the_slope_of_the_loss_along_its_own_direction():
    layers, images = make_ticket(DENSE), make_images(DENSE, 1)
    labels = np.array([2])
    found = gradients.backward(layers, "tanh", images, labels).loss[0, 0]
    model = module(layers, DENSE)
    x = torch.from_numpy(images).requires_grad_(True)
    direction = torch.autograd.grad(-torch.log_softmax(model(x), 1)[0, 2], x)[0]
    step = 1e-5 * direction / direction.norm()
    with torch.no_grad():
        up, down = (-torch.log_softmax(model(x + s * step), 1)[0, 2] for s in (1, -1))
    assert float((up - down) / 2e-5) ** 2 == pytest.approx(found, rel=1e-5)


def test_an_orthogonal_linear_network_keeps_its_gradients_at_every_hidden_layer():
    spec = Spec(
        network=NetworkSpec(hidden_layers=5, width=8, activation="linear"),
        init=InitSpec(scheme="orthogonal", sigma_w=1.0, sigma_b=0.0),
        dataset=DatasetSpec(shape=(4, 2, 1), classes=8),
    )
    layers = make_ticket(spec, density=1.1)
    images = make_images(spec, 3)
    found = gradients.backward(layers, "linear", images, labels_of(images))
    np.testing.assert_allclose(found.log_logits, 0, atol=1e-6)
    np.testing.assert_allclose(found.log_loss, found.log_loss[0], atol=1e-6)


def test_a_disconnected_network_has_no_gradient_before_the_cut():
    layers = list(make_ticket(DENSE))
    cut = layers[2]
    layers[2] = Layer(cut.name, cut.kind, cut.weight * 0, cut.bias, cut.mask)
    images = make_images(DENSE)
    found = gradients.backward(layers, "tanh", images, labels_of(images))
    assert np.isneginf(found.log_logits[:3]).all() and np.isfinite(found.log_logits[3:]).all()


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.full(4, 4), np.full(4, -1)])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        gradients.backward(make_ticket(DENSE), "tanh", make_images(DENSE), labels)


def test_a_network_without_readout_is_refused():
    with pytest.raises(ValueError, match="readout"):
        gradients.backward(make_ticket(DENSE)[:-1], "tanh", make_images(DENSE), np.zeros(4, int))


def test_whole_spectrum_of_a_convolutions_input_output_jacobian():
    spec = CONVS[1]
    layers, images = make_ticket(spec), make_images(spec, 3)
    s = gradients_conv.logit_singular_values(layers, spec, images)
    found = gradients_conv.backward(layers, spec, images, np.zeros(3, int))
    assert s.shape == (3, 4) and (np.diff(s) <= 0).all()
    np.testing.assert_allclose(np.sum(s**2, axis=1) / 4, found.logits[:, 0], rtol=1e-10)


def checkpoint(spec, kind="ticket"):
    return Checkpoint(kind, "study", 0, 1, "imp", spec, make_ticket(spec))


def test_table_has_the_ticket_and_every_null_at_every_layer_and_the_pixels():
    images = make_images(DENSE, 6)
    rows = table.gradient_rows(checkpoint(DENSE), images, labels_of(images))
    networks = {row["network"] for row in rows}
    assert networks == {"ticket", *nulls.NULLS}
    assert [row["layer"] for row in rows if row["network"] == "ticket"] == [0, 1, 2, 3, 4]
    assert {row["draws"] for row in rows if row["network"] == "fresh"} == {table.NULL_DRAWS}
    keys = [(row["network"], row["layer"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert list(rows[0])[:7] == ["study", "seed", "round", "density", "arm", "state", "layer"]


def test_table_of_a_trained_network_has_its_own_rows_only():
    images = make_images(DENSE, 6)
    rows = table.gradient_rows(checkpoint(DENSE, "trained"), images, labels_of(images))
    assert {row["network"] for row in rows} == {"ticket"} and rows[0]["state"] == "trained"


def test_table_of_convolutions_and_of_skips():
    for spec in (CONVS[0], RESIDUAL[0]):
        images = make_images(spec, 3)
        rows = table_conv.gradient_rows(checkpoint(spec), images, labels_of(images))
        own = [row for row in rows if row["network"] == "ticket"]
        found = gradients_conv.backward(make_ticket(spec), spec, images, labels_of(images))
        np.testing.assert_allclose([row["log_logits"] for row in own], found.log_logits)

"""The ladder of convolutions, and where it learns their stride, padding and activation."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import signal

from ladder_networks import gaussian_network, images, layer
from ticketlens import exchange, ladder, meanfield
from ticketlens.measure import propagation
from ticketlens.measure.conv import signal as conv_signal
from ticketlens.measure.layers import of_module
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec


@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_matches_scipy(padding, stride):
    rng = np.random.default_rng(30)
    weight, x = rng.standard_normal((2, 3, 3, 3)), rng.standard_normal((4, 3, 6, 5))
    network = NetworkSpec(padding=padding, stride=stride)
    one = layer(weight, [0.5, -0.5])
    h = next(iter(propagation.hidden_stack([one], x, network=network).walk()))[2]
    boundary = {"circular": "wrap", "zeros": "fill"}[padding]
    for image, out in np.ndindex(4, 2):
        whole = sum(
            signal.correlate2d(x[image, c], one.weight[out, c], "same", boundary) for c in range(3)
        )
        np.testing.assert_allclose(h[image, :, :, out], whole[::stride, ::stride] + one.bias[out])


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_each_layer_has_its_own_stride_in_measurement_and_theory(padding):
    network = NetworkSpec(
        "convolutional", hidden_layers=3, width=48, padding=padding, stride=(1, 2, 1)
    )
    layers, x = gaussian_network(33, (8, 48, 48, 48), kernel=3), images(34, 4, 8, 8, 8)
    torch_net = conv_signal.network(
        layers, Spec(network=network, dataset=DatasetSpec(shape=(8, 8, 8)))
    )
    h = conv_signal.preactivations(torch_net, x)
    assert [one.shape[2] for one in h] == [8, 4, 4]
    wanted = np.stack([(one**2).mean(dim=(1, 2, 3)).numpy() for one in h], axis=1)
    np.testing.assert_allclose(ladder.measured_q(layers, x, network=network), wanted)
    for rung in ("second_moment", "sign_redraw"):
        q = ladder.predict(rung, layers, x, network=network)
        np.testing.assert_allclose(q, wanted.mean(axis=0), rtol=0.15)


def test_strides_for_another_number_of_layers_are_refused():
    network = NetworkSpec("convolutional", hidden_layers=3, stride=(1, 2, 1))
    with pytest.raises(ValueError, match=r"stride is \[1, 2, 1\]; allowed: one for each of the 2"):
        ladder.measured_q(
            gaussian_network(33, (8, 8, 8), kernel=3), images(34, 4, 8, 8, 8), network=network
        )


@pytest.mark.parametrize("mode", ladder.MODES)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_rungs_agree_on_a_random_convolutional_network(padding, mode):
    network = NetworkSpec(family="convolutional", padding=padding)
    layers, x = gaussian_network(31, (8, 48, 48, 48), kernel=3), images(32, 4, 8, 8, 8)
    measured = ladder.measured_q(layers, x, network=network).mean(axis=0)
    for rung in ladder.RUNGS:
        q = ladder.predict(rung, layers, x, mode, network=network, redraws=10)
        tolerance = 0.25 if rung != "degree" or mode == "free" else 0.35
        np.testing.assert_allclose(q, measured, rtol=tolerance)


def test_a_convolution_runs_the_map_per_pixel():
    layers = gaussian_network(33, (3, 4, 5), kernel=3)
    even, uneven = np.ones((1, 3, 6, 6)), np.zeros((1, 3, 6, 6))
    uneven[:, :, :3] = math.sqrt(2)  # the same mean square
    gains = [np.sum(one.weight.astype(float) ** 2) / len(one.bias) for one in layers[:2]]
    biases = [np.mean(one.bias.astype(float) ** 2) for one in layers[:2]]
    q1 = gains[0] + biases[0]
    uniform = [q1, gains[1] * meanfield.second_moment(q1) + biases[1]]
    plain = NetworkSpec()
    np.testing.assert_allclose(
        ladder.predict("second_moment", layers, even, network=plain), uniform
    )
    found = ladder.predict("second_moment", layers, uneven, network=plain)
    assert found[0] == pytest.approx(uniform[0])
    assert found[1] < uniform[1]  # E phi² is concave in q
    bordered = ladder.predict("second_moment", layers, even, network=NetworkSpec(padding="zeros"))
    assert np.all(bordered < uniform)


def convolutional_module() -> torch.nn.Sequential:
    torch.manual_seed(2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.nn.Tanh(),
        torch.nn.Conv2d(4, 5, 3, padding=1), torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 2),
    )  # fmt: skip


def test_geometry_of_convolutions_is_asked_for():
    """Circular padding and stride 1 would be as good a guess as any: no layer says them."""
    layers, x = gaussian_network(33, (3, 4, 5), kernel=3), images(36, 2, 3, 6, 6)
    for network in (None, {"activation": "tanh"}, {"stride": 1}):
        with pytest.raises(ValueError, match=r"padding of the convolutions are not said.*network="):
            ladder.predict("degree", layers, x, network=network)
    with pytest.raises(ValueError, match="unknown key 'strides'"):
        ladder.predict("degree", layers, x, network={"strides": 1, "padding": "zeros"})


@pytest.mark.parametrize("network", [None, {"stride": [1, 1]}])
def test_a_module_says_its_own_activation_too(network):
    nn = torch.nn
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
    )  # fmt: skip
    x = images(39, 3, 3, 6, 6)
    with torch.no_grad():
        h = model[:3](torch.from_numpy(x).float())
    found = ladder.measured_q(model, x, network=network)[:, 1].mean()
    assert found == pytest.approx(float((h**2).mean()), rel=1e-5)
    of_tanh = ladder.measured_q(model, x, activation="tanh")[:, 1].mean()
    assert abs(of_tanh - found) > 0.01 * found
    model[1] = nn.GELU()
    with pytest.raises(ValueError, match="activation GELU is not in the registry"):
        ladder.predict("naive", model, x, network=network)
    model[1] = nn.Tanh()
    with pytest.raises(ValueError, match="activations are several: tanh, relu"):
        ladder.predict("naive", model, x, network=network)


def test_a_network_of_ours_says_its_own_activation(make_ticket):
    x, own = images(40, 3, 3, 6, 6), make_ticket(0.5)
    for name in ("erf", "hard_tanh", "relu", "linear"):
        spec = own.spec.replace(network=dataclasses.replace(own.spec.network, activation=name))
        ticket = dataclasses.replace(own, spec=spec)
        found = ladder.predict("naive", build(ticket), x)
        assert np.array_equal(found, ladder.predict("naive", ticket, x))


def test_geometry_comes_with_a_module_and_with_a_checkpoint(make_ticket):
    model, x = convolutional_module(), images(37, 3, 3, 8, 8)
    with torch.no_grad():
        h = [model[0](torch.from_numpy(x).float())]
        h.append(model[2](torch.tanh(h[0])))
    expected = [float((one**2).mean()) for one in h]
    said = {"stride": [2, 1], "padding": "zeros"}
    assert np.allclose(ladder.measured_q(model, x).mean(axis=0), expected, rtol=1e-5)
    told = ladder.predict("naive", model, x, network=said)
    assert np.array_equal(told, ladder.predict("naive", model, x))
    ticket = exchange.to_checkpoint(of_module(model), {**said, "activation": "tanh"})
    assert np.allclose(ladder.measured_q(ticket, x).mean(axis=0), expected, rtol=1e-5)
    ticket = make_ticket(0.5)
    x = images(38, 2, 3, 6, 6)
    of_layers = ladder.predict("degree", ticket.layers, x)
    assert np.array_equal(ladder.predict("degree", ticket, x), of_layers)

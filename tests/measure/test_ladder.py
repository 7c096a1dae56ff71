"""The ladder: exact ensembles, formulas, symmetries and simulation."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ladder_networks import gaussian_network, images, layer, tree
from ticketlens import exchange, ladder, meanfield
from ticketlens.checkpoint import Layer
from ticketlens.measure import propagation, redraws, sign_null
from ticketlens.measure.conv import signal as conv_signal
from ticketlens.measure.layers import of_module
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec

ABOVE_NAIVE = tuple(ladder.RUNGS)[1:]
CLOSED = ("naive", "second_moment", "degree")


def tanh_square(phi_h):
    """E tanh² h from the characteristic function of h, exact: its even part is `phi_h(k)`."""
    k = np.linspace(0, 30, 3001)[1:]
    return 1 - k[0] * (1 / math.pi + np.sum(k / np.sinh(math.pi * k / 2) * phi_h(k)))


# The rungs against each other


def test_the_ladder_has_five_rungs_in_order():
    assert tuple(ladder.RUNGS) == (
        "naive",
        "second_moment",
        "degree",
        "empirical_law",
        "sign_redraw",
    )


@pytest.mark.parametrize("mode", ladder.MODES)
def test_all_rungs_agree_with_the_measured_q_of_a_dense_wide_gaussian_network(mode):
    layers, x = gaussian_network(1, (300, 600, 600, 600)), images(2, 40, 300)
    measured = ladder.measured_q(layers, x).mean(axis=0)
    sd = ladder.predict_with_spread("sign_redraw", layers, x).sd
    first = ladder.predict("naive", layers, x, mode)
    for rung in ladder.RUNGS:
        q = ladder.predict(rung, layers, x, mode)
        assert np.all(np.abs(q - measured) < 4 * sd)
        np.testing.assert_allclose(q, first, rtol=0.03 if mode == "free" else 0.05)


def test_a_random_mask_defeats_the_naive_rung_alone():
    layers, x = gaussian_network(3, (400, 500, 500, 500), density=0.2), images(4, 40, 400)
    measured = ladder.measured_q(layers, x).mean(axis=0)
    spread = ladder.predict_with_spread("sign_redraw", layers, x).sd
    for rung in ABOVE_NAIVE:
        assert np.all(np.abs(ladder.predict(rung, layers, x) - measured) < 4 * spread)
    naive = ladder.predict("naive", layers, x)
    assert naive[0] == pytest.approx(5 * measured[0], rel=0.25)
    assert np.all(naive > 3 * measured)


def test_closed_form_rungs_are_the_stated_formulas():
    layers, x = gaussian_network(5, (7, 6, 5), density=0.6), images(6, 9, 7)
    w1, b1 = layers[0].weight.astype(float), layers[0].bias.astype(float)
    w2, b2 = layers[1].weight.astype(float), layers[1].bias.astype(float)
    for rung, gain in (
        ("naive", lambda w: w.shape[1] * w[w != 0].var()),
        ("second_moment", lambda w: np.sum(w**2) / len(w)),
    ):
        q1 = gain(w1) * np.mean(x**2, axis=1) + np.mean(b1**2)
        q2 = gain(w2) * meanfield.second_moment(q1) + np.mean(b2**2)
        np.testing.assert_allclose(ladder.predict(rung, layers, x), [q1.mean(), q2.mean()])
        measured = ladder.measured_q(layers, x)[:, 0]
        q2 = gain(w2) * meanfield.second_moment(measured) + np.mean(b2**2)
        layerwise = ladder.predict(rung, layers, x, "layerwise")
        np.testing.assert_allclose(layerwise, [q1.mean(), q2.mean()])
    variance = x**2 @ (w1**2).T
    h = x @ w1.T + b1
    for mode, p in (
        ("free", meanfield.gaussian_second_moment(b1, variance)),
        ("layerwise", meanfield.gaussian_second_moment(h.mean(axis=0), h.var(axis=0))),
    ):
        q1 = np.mean(variance) + np.mean(b1**2)
        q2 = np.mean(p @ (w2**2).T) + np.mean(b2**2)
        np.testing.assert_allclose(ladder.predict("degree", layers, x, mode), [q1, q2])


@pytest.mark.parametrize("rung", ladder.GAINS)
def test_chi_of_a_rung_is_its_gain_times_the_mean_squared_slope_image_by_image(rung):
    layers, x = gaussian_network(5, (7, 6, 5), density=0.6), images(6, 9, 7)
    w1, w2 = (layer.weight.astype(float) for layer in layers[:2])
    bias = np.mean(layers[0].bias.astype(float) ** 2)

    def gain(w):
        return np.sum(w**2) / len(w) if rung == "second_moment" else w.shape[1] * w[w != 0].var()

    q1 = gain(w1) * np.mean(x**2, axis=1) + bias
    z = np.linspace(-10, 10, 20001)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    slopes = 1 / np.cosh(np.sqrt(q1)[:, None] * z) ** 2
    expected = gain(w2) * np.mean(slopes**2 @ weight)
    np.testing.assert_allclose(ladder.chi(rung, layers, x), [expected], rtol=1e-9)
    at_mean_q = gain(w2) * meanfield.derivative_moment(q1.mean(), 1)
    assert abs(expected / at_mean_q - 1) > 1e-3
    with pytest.raises(ValueError, match="rung is 'degree'; allowed: naive, second_moment"):
        ladder.chi("degree", layers, x)


def test_relu_and_an_activation_named_by_the_network_are_used():
    layers, x = gaussian_network(7, (8, 6, 5)), images(8, 5, 8)
    q = ladder.predict("second_moment", layers, x, activation="relu")
    gain = np.sum(layers[1].weight.astype(float) ** 2) / 5
    assert q[1] == pytest.approx(gain * q[0] / 2 + np.mean(layers[1].bias.astype(float) ** 2))
    relu = NetworkSpec(activation="relu")
    assert np.array_equal(q, ladder.predict("second_moment", layers, x, network=relu))
    assert not np.array_equal(q, ladder.predict("second_moment", layers, x))


# Finite degree: exact ensembles


@pytest.mark.parametrize(("degree", "bias"), [(1, 0.0), (2, 0.3), (3, 0.3), (5, 0.5)])
def test_sign_redraw_is_exact_at_finite_degree(degree, bias):
    a = math.sqrt(1.5 / degree)  # so that the mean field theory is the same for every degree
    widths = [16 * degree**2, 16 * degree, 16]
    layers = tree(degree, a, bias, widths, seed=degree)
    x = np.ones((1, degree * widths[0]))
    # Layer 1: h is bias + a × a sum of signs. Layer 2: independent inputs of the law of layer 1.
    heads = np.arange(degree + 1)
    chance = np.array([math.comb(degree, int(n)) for n in heads]) / 2.0**degree
    below = np.tanh(bias + a * (degree - 2 * heads))
    p1 = tanh_square(lambda k: np.cos(k * bias) * np.cos(k * a) ** degree)
    assert p1 == pytest.approx(chance @ below**2, abs=1e-9)
    p2 = tanh_square(
        lambda k: np.cos(k * bias) * (np.cos(np.outer(k, a * below)) @ chance) ** degree
    )
    exact = np.array([1.5, 1.5 * p1, 1.5 * p2]) + bias**2
    found = ladder.predict_with_spread("sign_redraw", layers, x, redraws=200)
    assert found.q[0] == pytest.approx(exact[0], rel=1e-6)
    assert np.all(np.abs(found.q - exact) <= 5 * found.standard_error + 1e-6)
    assert np.all(found.standard_error < 0.005 * exact)
    gaussian = ladder.predict("degree", layers, x)
    if degree <= 3:  # few inputs are not Gaussian, and this is the size of the error
        assert np.all(np.abs(gaussian - exact)[1:] > 0.005 * exact[1:])


@pytest.mark.parametrize("inputs", [3, 12])
def test_empirical_law_is_exact_at_finite_degree(inputs):
    rng = np.random.default_rng(9)
    a, bias, width = math.sqrt(4 / inputs), 0.2, 64

    def balanced(shape, scale):  # half zeros, a quarter of each sign
        weight = np.resize([0.0, scale, 0.0, -scale], np.prod(shape))
        return rng.permutation(weight).reshape(shape)

    layers = [
        layer(balanced((width, inputs), a), bias),
        layer(balanced((width, width), math.sqrt(3 / width)), bias, "hidden2"),
    ]
    x = rng.uniform(0.5, 1.5, (2, inputs))
    p = [
        tanh_square(
            lambda k, row=row: (
                np.cos(k * bias) * np.prod(0.5 + 0.5 * np.cos(a * np.outer(k, row)), axis=1)
            )
        )
        for row in x
    ]
    found = ladder.predict_with_spread("empirical_law", layers, x, redraws=200)
    exact = [inputs * a**2 / 2 * np.mean(x**2) + bias**2, 1.5 * np.mean(p) + bias**2]
    assert found.q[0] == pytest.approx(exact[0], rel=1e-6)
    assert abs(found.q[1] - exact[1]) < 5 * found.standard_error[1]
    assert found.standard_error[1] < 0.005 * exact[1]


def test_layerwise_sign_redraw_knows_the_shape_of_the_law_and_takes_the_scale_from_measurement():
    layers, x = tree(1, math.sqrt(2), 0.0, [1000, 1000], seed=10), np.ones((1, 1000))
    # All |h| are equal here: the measured q determines E tanh², the Gaussian rungs get it wrong.
    measured = ladder.measured_q(layers, x)[0]
    assert ladder.predict("sign_redraw", layers, x, "layerwise", redraws=2) == pytest.approx(
        measured, rel=1e-5
    )
    assert ladder.predict("degree", layers, x)[1] < 0.9 * measured[1]
    louder = [dataclasses.replace(layers[0], bias=np.full(1000, 1, np.float32)), layers[1]]
    layerwise = ladder.predict("sign_redraw", louder, x, "layerwise", redraws=2)
    assert layerwise[1] == pytest.approx(ladder.measured_q(louder, x)[0, 1], rel=0.05)


# Monte Carlo


@pytest.mark.parametrize("rung", ["empirical_law", "sign_redraw"])
def test_redraws_are_deterministic_and_their_standard_error_is_honest(rung):
    layers, x = gaussian_network(11, (20, 30, 30, 30), density=0.3), images(12, 6, 20)
    runs = [ladder.predict_with_spread(rung, layers, x, redraws=40, seed=s) for s in range(40)]
    assert np.array_equal(runs[3].q, ladder.predict(rung, layers, x, redraws=40, seed=3))
    q = np.array([run.q for run in runs])
    claimed = np.sqrt(np.mean([run.standard_error**2 for run in runs], axis=0))[1:]
    np.testing.assert_allclose(q.std(axis=0, ddof=1)[1:], claimed, rtol=0.4)
    # The plain average over networks would need many more redraws for the same error.
    plain = np.mean([run.sd for run in runs], axis=0)[1:] / math.sqrt(40)
    assert np.all(claimed < plain / 2)


@pytest.mark.parametrize("kernel", [None, 3])
@pytest.mark.parametrize("rung", ["empirical_law", "sign_redraw"])
def test_both_modes_share_their_draws_and_are_what_each_is_alone(rung, kernel, monkeypatch):
    rng = np.random.default_rng(16)
    tail = () if kernel is None else (kernel, kernel)
    layers = [
        layer(rng.normal(0, 0.5, (8, width, *tail)) * (rng.random((8, width, *tail)) < 0.5),
              rng.normal(0, 0.3, 8), name=f"hidden{number}")
        for number, width in enumerate((3, 8, 8))
    ]  # fmt: skip
    x = images(17, *((5, 3) if kernel is None else (5, 3, 4, 4)))
    network, drawn = NetworkSpec(padding="zeros"), []
    alone = {
        mode: ladder.predict_with_spread(rung, layers, x, mode, network=network, redraws=6)
        for mode in ladder.MODES
    }
    law = ladder.LAWS[rung]

    def counted(stack, one):
        own = law(stack, one)
        return redraws.WeightLaw(lambda rng: drawn.append(1) or own.draw(rng), own.expected_q)

    monkeypatch.setitem(ladder.LAWS, rung, counted)
    together = ladder.predict_in_modes(rung, layers, x, network=network, redraws=6)
    assert len(drawn) == 6 * len(layers)
    for mode, found in together.items():
        for name in ("q", "sd", "standard_error"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone[mode], name))


@pytest.mark.parametrize("kernel", [None, 3])
@pytest.mark.parametrize("law", [redraws.random_signs, redraws.own_values])
def test_expected_q_is_the_mean_over_draws(law, kernel):
    rng = np.random.default_rng(13)
    shape = (4, 3) if kernel is None else (4, 3, kernel, kernel)
    one = layer(rng.normal(0.2, 0.5, shape) * (rng.random(shape) < 0.7), rng.normal(0.3, 0.3, 4))
    x = images(14, *((5, 3) if kernel is None else (5, 3, 4, 4))) + 0.5
    stack = propagation.hidden_stack([one], x, network=NetworkSpec(padding="zeros"))
    own, rng = law(stack, one), np.random.default_rng(15)
    q = [np.mean((stack.apply(stack.images, own.draw(rng)) + one.bias) ** 2) for _ in range(3000)]
    assert own.expected_q(stack.images) == pytest.approx(
        np.mean(q), abs=5 * np.std(q) / math.sqrt(len(q))
    )


def test_sign_redraw_keeps_the_graph_and_the_magnitudes_bit_for_bit():
    one = gaussian_network(16, (9, 8), density=0.5)[0]
    stack = propagation.hidden_stack([one], images(17, 2, 9))
    drawn = redraws.random_signs(stack, one).draw(np.random.default_rng(18))
    assert np.array_equal(np.abs(drawn[0].T), np.abs(one.weight))
    assert np.any(one.weight != drawn[0].T)


# Symmetries


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_neurons_does_not_matter(seed):
    layers, x = gaussian_network(seed, (5, 6, 4), density=0.7), images(seed + 1, 4, 5)
    order = np.random.default_rng(seed).permutation(6)
    first = layer(layers[0].weight[order], layers[0].bias[order])
    second = layer(layers[1].weight[:, order], layers[1].bias, "hidden2")
    for rung in CLOSED:
        for mode in ladder.MODES:
            np.testing.assert_allclose(
                ladder.predict(rung, [first, second], x, mode),
                ladder.predict(rung, layers, x, mode),
            )
    for mine, theirs in zip(
        sign_null.decompose([first, second], x), sign_null.decompose(layers, x), strict=True
    ):
        assert mine.null_sd == pytest.approx(theirs.null_sd)
        assert mine.covariance == pytest.approx(theirs.covariance, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_signs_change_the_measured_q_and_no_rung_that_has_none(seed):
    layers, x = gaussian_network(seed, (5, 6, 4)), images(seed + 1, 4, 5)
    rng = np.random.default_rng(seed)
    flipped = [
        layer(one.weight * rng.choice([-1, 1], one.weight.shape), one.bias, one.name)
        for one in layers[:-1]
    ]
    for rung in ("second_moment", "degree"):
        expected = ladder.predict(rung, layers, x)
        np.testing.assert_allclose(ladder.predict(rung, flipped, x), expected, rtol=1e-12)
    redrawn = [ladder.predict("sign_redraw", some, x, redraws=4) for some in (layers, flipped)]
    assert np.array_equal(*redrawn)
    assert not np.allclose(ladder.measured_q(flipped, x), ladder.measured_q(layers, x))


# Explaining the gap


def test_the_steps_add_up_to_the_gap_in_logs():
    measured = np.array([2.0, 1.0])
    predictions = {rung: np.array([4.0, 3.0]) / (n + 1) for n, rung in enumerate(ladder.RUNGS)}
    steps = ladder.explain_gap(measured, predictions)
    assert list(steps) == [*ABOVE_NAIVE, "measured"]
    np.testing.assert_allclose(sum(steps.values()), np.log(measured / [4.0, 3.0]))
    assert steps["second_moment"] == pytest.approx(-math.log(2))
    assert math.isnan(ladder.explain_gap([0.0, 1.0], predictions)["measured"][0])
    for bad in ({}, {"degree": measured, "naive": measured}, {"naive": measured, "best": measured}):
        with pytest.raises(ValueError, match="in this order"):
            ladder.explain_gap(measured, bad)


def test_activation_moments_compare_measurement_with_gaussian_values():
    layers, x = gaussian_network(27, (40, 300, 300)), images(28, 400, 40)
    moments = ladder.activation_moments(layers, x)
    np.testing.assert_allclose(moments.gaussian, moments.measured, rtol=0.05)
    np.testing.assert_allclose(moments.gaussian_per_neuron, moments.measured, rtol=0.08)
    constant = ladder.activation_moments(tree(1, 1.0, 0.0, [5], seed=29), np.ones((1, 5)))
    assert constant.measured[0] == pytest.approx(math.tanh(1) ** 2)
    assert constant.gaussian[0] == pytest.approx(meanfield.second_moment(1.0))
    assert constant.gaussian_per_neuron[0] == pytest.approx(math.tanh(1) ** 2)  # no variance


# Shapes and convolutions


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


def test_images_may_come_flattened_and_the_readout_is_left_out():
    layers, x = gaussian_network(34, (12, 5, 4)), images(35, 3, 3, 2, 2)
    for rung in ladder.RUNGS:
        q = ladder.predict(rung, layers, x, redraws=3)
        assert q.shape == (2,) and q.dtype == float
        assert np.array_equal(q, ladder.predict(rung, layers[:-1], x.reshape(3, 12), redraws=3))


@pytest.mark.parametrize("rung", ladder.RUNGS)
@pytest.mark.parametrize("mode", ladder.MODES)
def test_a_dead_layer_is_a_result_not_an_error(rung, mode):
    alive = gaussian_network(36, (6, 5), sigma_b=0.0)[0]
    layers = [layer(np.zeros((6, 4)), 0.0), dataclasses.replace(alive, name="hidden2")]
    assert np.array_equal(ladder.predict(rung, layers, images(37, 3, 4), mode), [0.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rung": "magic"}, "'magic'.*naive, second_moment"),
        ({"mode": "both"}, "'both'.*free, layerwise"),
        ({"activation": "sine"}, "'sine'.*tanh"),
        ({"redraws": 1}, "at least 2"),
        ({"inputs": np.ones((2, 5))}, r"\(2, 5\).*hidden1.*\(samples, 6\)"),
        ({"inputs": np.ones(6)}, "allowed for layer hidden1"),
        ({"inputs": np.ones((0, 6))}, "allowed for layer hidden1"),
        ({"inputs": np.full((2, 6), np.nan)}, "NaN"),
        ({"layers": gaussian_network(0, (3, 4), kernel=3)}, "height, width"),
        ({"layers": gaussian_network(0, (6, 4))[-1:]}, "no hidden layer"),
        ({"layers": gaussian_network(0, (6, 4))[:1] * 2}, "takes 6 inputs"),
        (
            {"layers": [*gaussian_network(0, (6, 6))[:1], *gaussian_network(0, (6, 4), kernel=3)]},
            "several kinds",
        ),
        ({"layers": [Layer("hidden1", "linear", None, None, np.ones((4, 6), bool))]}, "no weights"),
    ],
)
def test_bad_arguments_are_refused_with_what_is_allowed(change, message):
    arguments = {"rung": "naive", "layers": gaussian_network(0, (6, 4)), "inputs": np.ones((2, 6))}
    with pytest.raises(ValueError, match=message):
        ladder.predict(**(arguments | change))


def test_the_expected_slope_is_that_of_the_correlation_map_at_one():
    """Against the difference quotient of E phi(u) phi(v), by a product rule of quadrature."""
    (first, second, *_), x = gaussian_network(5, (40, 30, 30)), images(6, 3, 40)
    bias = np.random.default_rng(7).normal(0, 0.3, 30).astype(np.float32)
    layers = (first, dataclasses.replace(second, bias=bias))
    q = ladder.measured_q(layers, x)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    gain = np.sum(second.weight.astype(float) ** 2) / len(second.weight)

    def correlation(below, c):
        u = np.sqrt(below) * nodes[:, None]
        v = np.sqrt(below) * (c * nodes[:, None] + np.sqrt(1 - c * c) * nodes)
        return gain * np.sum(weights * np.tanh(u) * np.tanh(v)) + np.mean(bias.astype(float) ** 2)

    slopes = [
        (correlation(below, 1) - correlation(below, 1 - 1e-5)) / 1e-5 / correlation(below, 1)
        for below in q[:, 0]
    ]
    found = ladder.theory_chi(layers, x, q, NetworkSpec())["slope_expected"]
    assert found == pytest.approx(np.mean(slopes), rel=1e-3)


def test_without_a_number_there_are_50_redraws_and_20_of_convolutions():
    layers, x = gaussian_network(8, (12, 10, 10)), images(9, 2, 12)
    own, other = (ladder.predict("sign_redraw", layers, x, redraws=n) for n in (50, 49))
    assert np.array_equal(ladder.predict("sign_redraw", layers, x), own)
    assert not np.array_equal(own, other)
    assert ladder.DEFAULT_REDRAWS == {"linear": 50, "conv": 20}


def test_arguments_of_the_ladder_are_taken_by_their_names():
    layers, x = gaussian_network(8, (12, 10, 10)), images(9, 2, 12)
    found = ladder.chi(rung="naive", layers=layers, inputs=x)
    assert np.array_equal(found, ladder.chi("naive", layers, x))

"""The ladder: formulas, symmetries, the gap to the measurement, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladder_networks import gaussian_network, images, layer, tree
from ticketlens import ladder, meanfield
from ticketlens.checkpoint import Layer
from ticketlens.measure import sign_null
from ticketlens.spec import NetworkSpec

ABOVE_NAIVE = tuple(ladder.RUNGS)[1:]
CLOSED = ("naive", "second_moment", "degree")


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


# Shapes and arguments


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


def test_arguments_of_the_ladder_are_taken_by_their_names():
    layers, x = gaussian_network(8, (12, 10, 10)), images(9, 2, 12)
    found = ladder.chi(rung="naive", layers=layers, inputs=x)
    assert np.array_equal(found, ladder.chi("naive", layers, x))

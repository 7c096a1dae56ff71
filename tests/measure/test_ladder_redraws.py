"""The ladder's redraws: exact ensembles at finite degree, and the honesty of the simulation."""

import dataclasses
import math

import numpy as np
import pytest

from ladder_networks import gaussian_network, images, layer, tree
from ticketlens import ladder
from ticketlens.measure import propagation, redraws
from ticketlens.spec import NetworkSpec


def tanh_square(phi_h):
    """E tanh² h from the characteristic function of h, exact: its even part is `phi_h(k)`."""
    k = np.linspace(0, 30, 3001)[1:]
    return 1 - k[0] * (1 / math.pi + np.sum(k / np.sinh(math.pi * k / 2) * phi_h(k)))


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


def test_without_a_number_there_are_50_redraws_and_20_of_convolutions():
    layers, x = gaussian_network(8, (12, 10, 10)), images(9, 2, 12)
    own, other = (ladder.predict("sign_redraw", layers, x, redraws=n) for n in (50, 49))
    assert np.array_equal(ladder.predict("sign_redraw", layers, x), own)
    assert not np.array_equal(own, other)
    assert ladder.DEFAULT_REDRAWS == {"linear": 50, "conv": 20}

"""The decomposition of q and the null of random signs: identities and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladder_networks import gaussian_network, images, layer, tree
from ticketlens import ladder
from ticketlens.measure import propagation, redraws, sign_null
from ticketlens.spec import NetworkSpec

PLAIN = NetworkSpec()  # convolutions with stride 1 and circular padding


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0), st.sampled_from([None, 1, 3]))
def test_the_parts_add_up_to_q(seed, density, kernel):
    layers = gaussian_network(seed, (3, 5, 4), density, kernel=kernel)
    x = images(seed + 1, *((6, 3) if kernel is None else (6, 3, 4, 5))) + 0.3
    measured = ladder.measured_q(layers, x, network=PLAIN).mean(axis=0)
    parts = sign_null.decompose(layers, x, network=PLAIN)
    assert [part.layer for part in parts] == [1, 2]
    for part, q in zip(parts, measured, strict=True):
        assert part.q == pytest.approx(q, rel=1e-12)
        total = part.diagonal + part.mean + part.covariance + part.bias_cross + part.bias
        assert total == pytest.approx(q, rel=1e-10)
        assert part.null_mean == pytest.approx(part.diagonal + part.bias)


def test_each_part_is_its_sum():
    layers, x = gaussian_network(19, (6, 4), density=0.7), images(20, 8, 6) + 0.4
    part = sign_null.decompose(layers, x)[0]
    w, b = layers[0].weight.astype(float), layers[0].bias.astype(float)
    m, product = x.mean(axis=0), x.T @ x / len(x)
    off = 1 - np.eye(6)
    pairs = np.einsum("ij,ik->jk", w, w) / 4
    assert part.diagonal == pytest.approx(np.sum(pairs * product * np.eye(6)))
    assert part.mean == pytest.approx(np.sum(pairs * np.outer(m, m) * off))
    assert part.covariance == pytest.approx(np.sum(pairs * (product - np.outer(m, m)) * off))
    assert part.bias_cross == pytest.approx(2 * np.mean(b * (w @ m)))
    assert part.bias == pytest.approx(np.mean(b**2))


@pytest.mark.parametrize("kernel", [None, 3])
def test_sign_null_matches_redrawn_signs(kernel):
    layers = gaussian_network(21, (5, 6), density=0.6, kernel=kernel)
    x = images(22, *((7, 5) if kernel is None else (3, 5, 4, 4))) + 0.5
    part = sign_null.decompose(layers, x, network=PLAIN)[0]
    stack, rng = propagation.hidden_stack(layers, x, network=PLAIN), np.random.default_rng(23)
    law, draws = redraws.random_signs(stack, layers[0]), 4000
    bias = layers[0].bias
    q = [np.mean((stack.apply(stack.images, law.draw(rng)) + bias) ** 2) for _ in range(draws)]
    assert part.null_mean == pytest.approx(np.mean(q), abs=5 * part.null_sd / math.sqrt(draws))
    assert part.null_sd == pytest.approx(np.std(q), rel=0.08)
    assert part.z == pytest.approx(
        math.log(part.q / part.null_mean) * part.null_mean / part.null_sd
    )


def test_a_null_without_variance_gives_nan():
    single_inputs = sign_null.decompose(tree(1, 0.7, 0.0, [5], seed=24), images(25, 4, 5))[0]
    assert single_inputs.null_sd == 0 and math.isnan(single_inputs.z)
    assert single_inputs.q == pytest.approx(single_inputs.null_mean)
    dead = sign_null.decompose([layer(np.zeros((3, 5)), 0.0)], images(26, 4, 5))[0]
    assert dead.q == 0 and math.isnan(dead.z)

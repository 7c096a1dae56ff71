"""The moment transform of the squared slope against mpmath, differences and S-transforms."""

import mpmath
import numpy as np
import pytest

from spectra_tools import Q_STAR
from ticketlens import random_matrix as rmt
from ticketlens.theory import free_probability as free
from ticketlens.theory import slope_laws


@pytest.mark.parametrize(
    ("activation", "q", "lam"),
    [
        ("tanh", Q_STAR, -2 + 1e-8j),  # a pole next to the real axis
        ("tanh", Q_STAR, -12 + 2j),
        ("tanh", 1e-3, 1e-3 + 1e-4j),
        ("tanh", 30.0, -0.1 + 1e-3j),
        ("tanh", 3.0, 2 + 1j),
        ("erf", Q_STAR, -2 + 1e-3j),
        ("erf", 30.0, -5 + 0.1j),
        ("tanh", 900.0, -2 + 0.5j),
        ("erf", 900.0, -5 + 0.1j),
    ],
)
def test_moment_transform_of_the_squared_slope_agrees_with_mpmath(activation, q, lam):
    w = mpmath.exp(lam)
    root = mpmath.sqrt(q)

    def slope(z):
        h = root * z
        return mpmath.sech(h) ** 4 if activation == "tanh" else mpmath.exp(-2 * h * h)

    # A path above the real axis: for Im w > 0 the poles with Re z > 0 lie below it.
    turn = mpmath.mpc(1, 0.3) / max(1, root)
    path = [0, turn, turn + 1, turn + 3, turn + 6, turn + 12]
    expected = [
        2 * mpmath.quad(lambda z, top=top: mpmath.npdf(z) * top(z) / (w - slope(z)), path)
        for top in (slope, lambda z: w)
    ]
    m, complement, _ = slope_laws.smooth_transform(np.array([lam]), q, activation)
    assert m[0] == pytest.approx(complex(expected[0]), rel=1e-11)
    assert complement[0] == pytest.approx(complex(expected[1]), rel=1e-11)


@pytest.mark.parametrize("activation", ["tanh", "erf"])
@pytest.mark.parametrize("q", [70.0, 1e4])
def test_steep_slopes_take_the_nodes_near_their_pole_alone_and_give_the_same(
    activation, q, monkeypatch
):
    """Networks of sigma_w = 30: the whole rule of thousands of nodes took minutes an image."""
    rng = np.random.default_rng(0)
    real = np.concatenate([-(10 ** rng.uniform(-3, 2.8, 60)), rng.uniform(0, 30, 10)])
    lam = real + 1j * np.concatenate([rng.uniform(0, np.pi, 50), np.full(20, np.pi)])
    _, log_slope, weight = slope_laws._nodes(activation, q)
    assert weight.shape[1] > slope_laws.MANY_NODES
    index, *_ = slope_laws._near(lam, np.zeros(70, np.intp), q, log_slope, weight)
    assert index.shape[1] < 200
    found = slope_laws.smooth_transform(lam, q, activation)
    monkeypatch.setattr(slope_laws, "MANY_NODES", 10**9)
    for own, whole in zip(found, slope_laws.smooth_transform(lam, q, activation), strict=True):
        np.testing.assert_allclose(own, whole, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "erf"])
def test_derivative_of_the_moment_transform_agrees_with_differences(activation):
    lam = np.array([-9 + 1e-2j, -1 + 0.5j, -0.01 + 0.01j, 0.5 + 1e-9j, 3 + 3j])
    step = 1e-5
    ahead, behind = (
        slope_laws.smooth_transform(lam + d, 0.7, activation)[0] for d in (step, -step)
    )
    slope = slope_laws.smooth_transform(lam, 0.7, activation)[2]
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-5)


def test_s_transforms_multiply_to_the_solved_spectrum():
    s2 = np.linspace(0.2, 4, 10)
    prod = free.product([1.0, 1.0, 1.0], 3 * np.log(1.3**2), False, "relu")
    m, _ = free.solve(np.log(s2), prod)
    s = (rmt.s_transform_gaussian(m, 1.3) * rmt.s_transform_zero_one(m, 0.5)) ** 3
    np.testing.assert_allclose((1 + m) / (m * s), s2, rtol=1e-10)
    prod = free.product([1.0, 1.0], 2 * np.log(1.3**2), True, "relu")
    m, _ = free.solve(np.log(s2[s2 < 2.8]), prod)
    s = (rmt.s_transform_orthogonal(m, 1.3) * rmt.s_transform_zero_one(m, 0.5)) ** 2
    np.testing.assert_allclose((1 + m) / (m * s), s2[s2 < 2.8], rtol=1e-10)

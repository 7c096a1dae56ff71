"""The selection null: closed forms against integrals of the density and against pruned layers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ticketlens.theory import selection_null


@settings(deadline=None)
@given(st.floats(0.01, 1.0))
def test_selection_null_moments_are_integrals_of_its_density(density):
    cut = selection_null.threshold(density)

    def moment(order):
        def integrand(x):
            return x**order * selection_null.density(x, density)

        # Twice the right half: the law is even. The offset keeps clear of the cut itself.
        return 2 * integrate.quad(integrand, cut + 1e-13, cut + 12, epsabs=1e-12, limit=200)[0]

    assert moment(0) == pytest.approx(1, abs=1e-9)
    assert moment(2) == pytest.approx(selection_null.second_moment(density), rel=1e-9)
    assert moment(4) == pytest.approx(selection_null.fourth_moment(density), rel=1e-9)


def test_selection_null_agrees_with_pruning_a_gaussian_layer(rng):
    sigma, density = 1.4, 0.8**7
    weights = rng.normal(0, sigma, size=400_000)
    survivors = np.sort(np.abs(weights))[-round(density * weights.size) :]
    measured = math.sqrt(np.mean(survivors**2))
    assert selection_null.std(density, sigma) == pytest.approx(measured, rel=0.003)
    fourth = np.mean(survivors**4)
    assert selection_null.fourth_moment(density, sigma) == pytest.approx(fourth, rel=0.01)
    assert survivors.min() / sigma == pytest.approx(selection_null.threshold(density), rel=0.01)


def test_selection_null_numbers_of_the_study():
    assert selection_null.std(0.8**7, 1.4) == pytest.approx(2.49, abs=0.005)
    second, fourth = (f(0.1) for f in (selection_null.second_moment, selection_null.fourth_moment))
    assert fourth / second**2 == pytest.approx(1.16, abs=0.005)


def test_selection_null_of_a_dense_layer_is_the_gaussian():
    x = np.linspace(-5, 5, 11)
    assert selection_null.std(1.0, 1.4) == pytest.approx(1.4)
    assert selection_null.fourth_moment(1.0) == pytest.approx(3)
    np.testing.assert_allclose(selection_null.density(x, 1.0, 1.4), stats.norm.pdf(x, 0, 1.4))


def test_selection_null_works_on_arrays_of_densities():
    rounds = 0.8 ** np.arange(16)
    std = selection_null.std(rounds, 1.4)
    assert std.shape == (16,) and (np.diff(std) > 0).all()
    assert selection_null.std(1e-300) > 37


@pytest.mark.parametrize("density", [0.0, -0.1, 1.1, math.nan])
def test_a_density_is_in_0_1(density):
    with pytest.raises(ValueError, match="density is"):
        selection_null.std(density)


def test_selection_null_density_needs_a_positive_sigma():
    with pytest.raises(ValueError, match="sigma is 0"):
        selection_null.density(0.0, 0.5, 0.0)

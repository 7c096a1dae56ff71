"""Weights of arms: each source follows the law that it claims, or is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from arm_tools import DELTA, DENSE, SPECS, chain, dense, in_degrees, kept, made, material, recipe
from ticketlens.spec import NetworkSpec
from ticketlens.tickets import weight_sources as arm_weights
from ticketlens.tickets.construction import construct
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Arm


def test_rewound_weights_are_theta_on_the_arms_mask() -> None:
    source = material(mask="uniform", weights="rewind")
    for layer, theta in zip(construct("x", source).layers, source.theta.layers, strict=True):
        assert np.array_equal(kept(layer), theta.weight[layer.mask])


def test_sign_sources_keep_signs_or_magnitudes_of_theta_on_any_mask() -> None:
    source = material(mask="uniform", weights="sign-kept")
    signs = construct("x", source)
    magnitudes = construct("x", replace(source, arm=Arm("uniform", "sign-redrawn")))
    for one, other, theta in zip(signs.layers, magnitudes.layers, source.theta.layers, strict=True):
        assert np.array_equal(np.sign(kept(one)), np.sign(theta.weight[one.mask]))
        assert not np.array_equal(np.abs(kept(one)), np.abs(theta.weight[one.mask]))
        assert np.array_equal(np.abs(kept(other)), np.abs(theta.weight[other.mask]))
        assert not np.array_equal(kept(other), theta.weight[other.mask])


@pytest.mark.parametrize("family", SPECS)
def test_variance_follows_density_in_degree_or_sigma_w(family: str) -> None:
    spec = SPECS[family]
    wide = replace(spec.network, width=48)
    spec = spec.replace(network=wide)
    for weights, scale in (
        ("fresh-density", lambda layer: layer.density * layer.fan_in / 1.4**2),
        ("fresh-degree", lambda layer: in_degrees(layer) / 1.4**2),
        ("scaled", lambda layer: layer.fan_in / 2.24**2),
        ("fresh", lambda layer: layer.fan_in / 1.4**2),
    ):
        for layer in made(spec, **recipe("rewire", weights)).layers:
            standard = layer.weight.astype(float) ** 2 * scale(layer)
            found = standard[layer.mask].mean()
            assert abs(found - 1) < 5 * np.sqrt(2 / np.count_nonzero(layer.mask)), weights


def test_fresh_degree_differs_from_fresh_density_in_the_spread_over_neurons() -> None:
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=2, width=200))
    squares = {
        weights: (made(spec, mask="imp", weights=weights).layers[1].weight ** 2).sum(axis=1)
        for weights in ("fresh-density", "fresh-degree")
    }
    drawn = {name: values.mean() for name, values in squares.items()}
    assert drawn["fresh-density"] == pytest.approx(1.4**2, rel=0.1)
    assert drawn["fresh-degree"] == pytest.approx(1.4**2, rel=0.1)


def test_a_rescaling_of_the_wrong_neurons_is_caught() -> None:
    drawn = material().ticket.layers
    infinite = [np.full(len(layer.mask), 1e30) for layer in drawn]
    with (
        np.errstate(over="ignore"),
        pytest.raises(InvariantError, match=r"Σ w² of neuron \d+ is .*; expected .*, up to"),
    ):
        arm_weights._rescaled(
            "scaled",
            tuple(replace(layer, weight=layer.weight * np.float32(1e10)) for layer in drawn),
            infinite,
        )


def test_matched_weights_have_the_survivors_mean_square_on_any_mask() -> None:
    for state in ("init", "trained"):
        source = material(
            mask="uniform", weights="fresh-matched", source_round=5, source_state=state
        )
        for layer, wanted in zip(
            construct("x", source).layers, source.survivors.layers, strict=True
        ):
            assert np.mean(kept(layer).astype(float) ** 2) == pytest.approx(
                np.mean(kept(wanted).astype(float) ** 2), rel=1e-5
            )


@pytest.mark.parametrize("signs", ["drawn", "kept"])
def test_inverse_cdf_draws_from_the_survivors_law(signs: str) -> None:
    """Bimodal survivors, all beyond 1/√fan_in: so are the drawn weights."""
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=2, width=120))
    source = material(spec, mask="uniform", weights="inverse-cdf", signs=signs)
    layers = []
    for layer in source.survivors.layers:
        far = np.abs(layer.weight) * np.sqrt(layer.fan_in) > 1
        mask = layer.mask & far
        layers.append(replace(layer, weight=np.where(mask, layer.weight, 0), mask=mask))
    source = replace(source, survivors=replace(source.survivors, layers=tuple(layers)))
    for layer, own, theta in zip(
        construct("x", source).layers, layers, source.theta.layers, strict=True
    ):
        values, wanted = (kept(x) * np.sqrt(x.fan_in) for x in (layer, own))
        bin_ = 2 * np.abs(wanted).max() / arm_weights.BINS
        assert (
            np.abs(values).min() > 1 - bin_ and np.abs(values).max() < np.abs(wanted).max() + 1e-5
        )
        if layer.name != "readout":
            assert np.std(values) == pytest.approx(np.std(wanted), rel=0.05)
            assert np.mean(values > 0) == pytest.approx(0.5, abs=0.05)
        agree = np.mean(np.sign(kept(layer)) == np.sign(theta.weight[layer.mask]))
        assert agree == 1 if signs == "kept" else agree < 0.8


def test_inverse_cdf_scales_with_the_square_root_of_fan_in() -> None:
    """In units of 1/√fan_in the law is the survivors', whatever the layer's width."""
    for layer, theta in zip(
        made(mask="uniform", weights="inverse-cdf").layers, dense(DENSE, 0).layers, strict=True
    ):
        assert layer.fan_in == theta.fan_in
        assert np.std(kept(layer)) * np.sqrt(layer.fan_in) == pytest.approx(1.4, rel=0.35)


def test_a_sample_off_the_survivors_law_is_caught() -> None:
    from scipy.stats import rv_histogram

    law = rv_histogram((np.ones(10), np.linspace(-1, 1, 11)), density=False)
    layer = chain(DENSE, 0).layers[0]
    rng = np.random.default_rng(0)
    arm_weights._check_law(layer, law.ppf(rng.random(1000)), law)
    with pytest.raises(InvariantError, match="beyond the survivors'"):
        arm_weights._check_law(layer, np.array([1.1]), law)
    with pytest.raises(InvariantError, match="mean square"):
        arm_weights._check_law(layer, 0.1 * law.ppf(rng.random(1000)), law)


@pytest.mark.parametrize("weights", ["inverse-cdf", "fresh-matched"])
def test_survivors_of_another_round_than_the_arms_are_refused(weights: str) -> None:
    source = material(weights=weights, source_round=5)
    wrong = replace(source, survivors=chain(DENSE, 0, round_=4))
    with pytest.raises(InvariantError, match=r"round 4.*; expected the IMP ticket .* round 5"):
        construct("x", wrong)


def test_a_layer_without_survivors_has_no_law() -> None:
    source = material(weights="inverse-cdf")
    first, *others = source.survivors.layers
    empty = replace(first, weight=np.zeros_like(first.weight), mask=np.zeros_like(first.mask))
    survivors = replace(source.survivors, layers=(empty, *others))
    with pytest.raises(NotApplicable, match="hidden1 has no survivors"):
        construct("x", replace(source, survivors=survivors))


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "sign-kept"},
        {"weights": "sign-redrawn"},
        {"weights": "inverse-cdf", "signs": "kept"},
    ],
)
def test_delta_orthogonal_convolutions_have_no_signs_to_keep(options: dict) -> None:
    with pytest.raises(NotApplicable, match="exactly 0 and have no sign"):
        made(DELTA, **options)

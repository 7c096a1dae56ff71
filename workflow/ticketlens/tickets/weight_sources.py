"""Weights of arms: what values a rival ticket starts from, on a given mask.

A weight source is one function (masks, material, rng) -> layers with an entry in `WEIGHTS`. It
checks that it keeps what it claims to keep (InvariantError otherwise). Biases are the business of
`construct`: theta's, or drawn anew. Most sources build on those of `weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ticketlens.checkpoint import Layer
from ticketlens.tickets import random_weights, spectral_weights
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Material, Source

Layers = tuple[Layer, ...]
WeightSource = Callable[[Sequence[np.ndarray], Material, np.random.Generator], Layers]

BINS = 200
"""Bins of the survivors' histogram, over ± their largest magnitude."""

SCALE_TOLERANCE = 1e-4
"""Relative error of a neuron's Σ w² that rounding to float32 may leave behind."""

STANDARD_ERRORS = 8.0
"""How far a sample's mean square may lie from its law's, in standard errors."""


def rewind(masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator) -> Layers:
    """theta on the arm's mask."""
    return random_weights.rewind(masks, material.theta.layers)


def shuffled_values(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """The IMP ticket's own values per layer, in random order."""
    ticket = material.ticket
    return random_weights.shuffled_values(masks, ticket.layers, ticket.spec, rng)


def sign_redrawn(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """theta's magnitudes in place, each sign a fair coin."""
    return random_weights.signs_redrawn(
        masks, rewind(masks, material, rng), material.theta.spec, rng
    )


def sign_kept(masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator) -> Layers:
    """theta's signs in place, magnitudes of fresh weights of the study's scheme."""
    return random_weights.sign_kept(masks, rewind(masks, material, rng), material.theta.spec, rng)


def fresh(masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator) -> Layers:
    """New weights of the study's scheme: the variance of the dense network."""
    return random_weights.fresh(masks, rewind(masks, material, rng), material.theta.spec, rng)


def fresh_density(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """Fresh weights, variance over density: ‖W‖_F²/N_out is that of the dense layer on average."""
    drawn = fresh(masks, material, rng)
    return _rescaled("fresh-density", drawn, [_per_density(mask) for mask in masks])


def fresh_degree(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """Fresh weights, variance by each neuron's in-degree k_i: sigma_w²/k_i, not sigma_w²/fan_in."""
    drawn = fresh(masks, material, rng)
    return _rescaled("fresh-degree", drawn, [_per_degree(mask) for mask in masks])


def scaled(masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator) -> Layers:
    """Fresh weights of the arm's own `sigma_w`."""
    factor = cast(float, material.arm.sigma_w) / material.theta.spec.init.sigma_w
    drawn = fresh(masks, material, rng)
    return _rescaled("scaled", drawn, [np.full(len(mask), factor) for mask in masks])


def masked_orthogonal(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """Fresh orthogonal weights, masked."""
    return random_weights.masked_orthogonal(
        masks, rewind(masks, material, rng), material.theta.spec, rng
    )


def fresh_matched(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """Normal weights with the survivors' fan_in · E w² per layer. It uses the ticket."""
    sources = [
        replace(layer, weight=layer.weight * np.float32(np.sqrt(layer.fan_in / theta.fan_in)))
        for layer, theta in zip(_survivors(material), material.theta.layers, strict=True)
    ]
    return random_weights.gaussian_matched(masks, sources, material.theta.spec, rng)


def inverse_cdf(
    masks: Sequence[np.ndarray], material: Material, rng: np.random.Generator
) -> Layers:
    """Independent weights of the survivors' own law, per layer: the histogram's inverse CDF.

    The law is that of w·√fan_in. With `signs: kept` the magnitudes follow it and every sign is
    theta's. Raises InvariantError if one is not, NotApplicable if a layer has no survivors, or if
    theta has no sign to keep.
    """
    from scipy.stats import rv_histogram  # slow to import

    result = []
    theta = rewind(masks, material, rng)
    for layer, survivors in zip(theta, _survivors(material), strict=True):
        law = rv_histogram(law_histogram(survivors), density=False)
        sample = law.ppf(rng.random(np.count_nonzero(layer.mask)))
        _check_law(layer, sample, law)
        drawn = (sample / np.sqrt(layer.fan_in)).astype(np.float32)
        if material.arm.signs == "kept":
            _check_signs(layer)
            drawn = np.copysign(drawn, layer.weight[layer.mask])
        weight = np.zeros(layer.mask.shape, np.float32)
        weight[layer.mask] = drawn
        is_kept = np.signbit(weight[layer.mask]) == np.signbit(layer.weight[layer.mask])
        if material.arm.signs == "kept" and not is_kept.all():
            raise InvariantError(
                f"inverse-cdf: layer {layer.name}: {np.count_nonzero(~is_kept)} of {is_kept.size} "
                "kept weights have another sign than theta's; expected 0"
            )
        result.append(replace(layer, weight=weight))
    return tuple(result)


def law_histogram(survivors: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (BINS,) and edges (BINS + 1,) of the kept weights, in units of 1/√fan_in.

    Raises NotApplicable if there are none, or zeros only.
    """
    values = survivors.weight[survivors.mask] * np.sqrt(survivors.fan_in, dtype=np.float64)
    if not values.any():
        raise NotApplicable(
            f"inverse-cdf: layer {survivors.name} has no survivors to take a law of"
        )
    reach = np.abs(values).max()
    edges = np.linspace(-reach, reach, BINS + 1)
    return np.histogram(values, edges)[0], edges


WEIGHTS: dict[str, WeightSource] = {
    "rewind": rewind,
    "fresh": fresh,
    "fresh-density": fresh_density,
    "fresh-degree": fresh_degree,
    "fresh-matched": Source(
        fresh_matched, needs=("survivors",), options=("source_round", "source_state")
    ),
    "sign-kept": sign_kept,
    "sign-redrawn": sign_redrawn,
    "shuffled-values": shuffled_values,
    "inverse-cdf": Source(
        inverse_cdf, needs=("survivors",), options=("source_round", "source_state", "signs")
    ),
    "scaled": Source(scaled, options=("sigma_w",)),
    "masked-orthogonal": masked_orthogonal,
    # A text, not a name: the rerun trigger counts this registry by its keys.
    "exact-orthogonal": Source(spectral_weights.exact_orthogonal, options=("sigma_w",)),
    "approximate-isometry": Source(spectral_weights.approximate_isometry, options=("sigma_w",)),
    "bulk-redrawn": spectral_weights.bulk_redrawn,
    "spikes-removed": spectral_weights.spikes_removed,
}


# --- what the sources share ----------------------------------------------------------------------


def _survivors(material: Material) -> Layers:
    """Return the layers whose kept weights an arm copies in law.

    Raises InvariantError if they are not of the arm's own chain and `source_round`.
    """
    found, ticket, arm = material.survivors, material.ticket, material.arm
    round_ = ticket.round if arm.source_round is None else arm.source_round
    kind = {"init": "ticket", "trained": "trained"}[arm.source_state]
    wanted = (ticket.study, ticket.seed, round_, "imp", kind, ticket.spec.of_round(round_))
    spec = found.spec.of_round(round_)
    if (found.study, found.seed, found.round, found.arm, found.kind, spec) != wanted:
        raise InvariantError(
            f"survivors are {found.study} seed {found.seed} round {found.round} arm {found.arm}, "
            f"{found.kind}; expected the IMP {kind} of {ticket.study} seed {ticket.seed} round "
            f"{round_}"
        )
    return found.layers


def _per_density(mask: np.ndarray) -> np.ndarray:
    """Return 1/√density for every neuron of a layer: (out,)."""
    return np.full(len(mask), np.sqrt(mask.size / max(1, cast(int, np.count_nonzero(mask)))))


def _per_degree(mask: np.ndarray) -> np.ndarray:
    """Return √(fan_in/in-degree) per neuron: (out,); 1 where there are no inputs."""
    degrees = np.count_nonzero(mask.reshape(len(mask), -1), axis=1)
    return cast(np.ndarray, np.sqrt(mask[0].size / np.where(degrees > 0, degrees, mask[0].size)))


def _rescaled(source: str, drawn: Layers, factors: Sequence[np.ndarray]) -> Layers:
    """Multiply the weights of each neuron by its factor (out,), and check every neuron's Σ w²."""
    result = []
    for layer, factor in zip(drawn, factors, strict=True):
        by_neuron = factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
        weight = (layer.weight * by_neuron).astype(np.float32)
        before, after = (
            np.sum(w.reshape(len(w), -1).astype(np.float64) ** 2, axis=1)
            for w in (layer.weight, weight)
        )
        expected = before * factor**2
        is_off = ~np.isclose(after, expected, rtol=SCALE_TOLERANCE, atol=0)
        if is_off.any():
            first = int(np.flatnonzero(is_off)[0])
            raise InvariantError(
                f"{source}: layer {layer.name}: Σ w² of neuron {first} is {after[first]:.8g}; "
                f"expected {expected[first]:.8g}, up to {SCALE_TOLERANCE:g} of it"
            )
        result.append(replace(layer, weight=weight))
    return tuple(result)


def _check_law(layer: Layer, sample: np.ndarray, law: Any) -> None:
    """Assert that a sample (count,) stays within its law's support and has its mean square."""
    if not sample.size:
        return
    low, high = law.support()
    if sample.min() < low or sample.max() > high:
        raise InvariantError(
            f"inverse-cdf: layer {layer.name}: weights·√fan_in from {sample.min():.6g} to "
            f"{sample.max():.6g} reach beyond the survivors'; expected {low:.6g} to {high:.6g}"
        )
    square, fourth = law.moment(2), law.moment(4)
    error = np.sqrt(max(fourth - square**2, 0) / sample.size)
    found = np.mean(sample**2)
    tolerance = STANDARD_ERRORS * error + SCALE_TOLERANCE * square
    if abs(found - square) > tolerance:
        raise InvariantError(
            f"inverse-cdf: layer {layer.name}: mean square {found:.6g}; expected {square:.6g}, "
            f"the survivors', up to {tolerance:.2g} ({STANDARD_ERRORS} standard errors)"
        )


def _check_signs(layer: Layer) -> None:
    zeros = np.count_nonzero(layer.weight[layer.mask] == 0)
    if zeros:
        raise NotApplicable(
            f"inverse-cdf with kept signs: {zeros} kept weights of layer {layer.name} are exactly "
            "0 and have no sign"
        )

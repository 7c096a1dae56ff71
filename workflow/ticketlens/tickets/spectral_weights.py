"""Weights of arms by their singular values: isometric ones, and spikes apart from the bulk.

Each source is one function (masks, material, rng) -> layers, in `weight_sources.WEIGHTS`. They test
hypotheses by making them true, and each asserts how far it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.seeds import stream
from ticketlens.theory.spikes import Split, matrix_of, null_edge, split
from ticketlens.tickets import random_weights
from ticketlens.tickets.isometry import departure, sparse_orthogonal, towards_isometry
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Material

Layers = tuple[Layer, ...]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

EXACT = "exact-orthogonal"
ROUNDING = 1e-5
"""Departure from isometry that rounding to float32 may leave behind."""


def drawn_orthogonal(material: Material) -> list[tuple[Floats, Mask]]:
    """Return (matrix of scale 1, mask) per layer, as many places as the IMP ticket keeps.

    Mask and weights of `exact-orthogonal` are one draw, from the stream of its masks.
    Raises NotApplicable for convolutions, and where a layer keeps too few weights.
    """
    ticket = material.ticket
    rng = stream(ticket.seed, "arm", "mask", EXACT, ticket.round)
    found = []
    for layer in ticket.layers:
        if layer.kind != "linear":
            raise NotApplicable(f"{EXACT} is for fully connected layers; {layer.name} is not one")
        rows, columns = layer.mask.shape
        try:
            found.append(sparse_orthogonal(rows, columns, int(np.count_nonzero(layer.mask)), rng))
        except ValueError as error:
            raise NotApplicable(f"{EXACT}: layer {layer.name}: {error}") from error
    return found


def exact_orthogonal_masks(material: Material, rng: np.random.Generator) -> tuple[Mask, ...]:
    """The places of a sparse orthogonal matrix, per layer as many as in the IMP ticket."""
    return tuple(mask for _, mask in drawn_orthogonal(material))


def exact_orthogonal(masks: Sequence[Mask], material: Material, rng: np.random.Generator) -> Layers:
    """Sparse orthogonal weights on the masks of the same name, of the arm's or the study's sigma_w.

    Composed Givens rotations (Nowak et al. 2024). Raises InvariantError unless W Wᵀ = sigma_w² I up
    to rounding, NotApplicable on other masks.
    """
    drawn = drawn_orthogonal(material)
    if not all(np.array_equal(mask, own) for mask, (_, own) in zip(masks, drawn, strict=True)):
        raise NotApplicable(f"weights {EXACT} exist on their own masks alone: give mask {EXACT}")
    sigma_w = _sigma_w(material)
    result = []
    for layer, (matrix, mask) in zip(material.theta.layers, drawn, strict=True):
        weight = (sigma_w * matrix).astype(np.float32)
        away = departure(weight, sigma_w)
        if away > ROUNDING:
            raise InvariantError(
                f"{EXACT}: layer {layer.name}: departure from isometry is {away:.3g}; expected 0, "
                f"up to {ROUNDING:g}"
            )
        result.append(replace(layer, weight=weight, mask=mask))
    return tuple(result)


def approximate_isometry(
    masks: Sequence[Mask], material: Material, rng: np.random.Generator
) -> Layers:
    """theta on the mask after gradient steps towards W Wᵀ = sigma_w² I within the mask.

    Lee et al. 2020. Raises InvariantError unless every layer that has weights comes nearer to
    isometry than theta, scaled, on the same mask.
    """
    sigma_w = _sigma_w(material)
    result = []
    for layer in random_weights.rewind(masks, material.theta.layers):
        start = matrix_of(layer.weight).astype(np.float64)
        found = towards_isometry(start, matrix_of(layer.mask).astype(bool), sigma_w)
        weight = found.reshape(layer.weight.shape).astype(np.float32)
        if start.any():
            scale = sigma_w * np.sqrt(len(start) / np.sum(start**2))
            before, after = departure(scale * start, sigma_w), departure(found, sigma_w)
            if not after <= before:
                raise InvariantError(
                    f"approximate-isometry: layer {layer.name}: departure from isometry is "
                    f"{after:.3g}; expected at most {before:.3g}, that of theta on the mask"
                )
        result.append(replace(layer, weight=weight))
    return tuple(result)


def bulk_redrawn(masks: Sequence[Mask], material: Material, rng: np.random.Generator) -> Layers:
    """theta's spikes on the mask kept, its bulk redrawn: normal weights of the bulk's size.

    Spikes are singular directions beyond those of Gaussian weights on the same mask. Raises
    InvariantError unless every layer keeps its Σ w², NotApplicable if no layer has a spike.
    """

    sizes: list[float] = []

    def draw(layer: Layer, parts: Split) -> Floats:
        spikes = parts.leading(parts.spikes)
        mask = matrix_of(layer.mask).astype(bool)
        bulk = matrix_of(layer.weight)[mask] - spikes[mask]
        noise = np.zeros(mask.shape)
        noise[mask] = rng.standard_normal(len(bulk))
        size = np.sqrt(np.sum(noise**2))
        made = np.where(mask, spikes + noise * (np.linalg.norm(bulk) / size if size else 0), 0.0)
        total = np.linalg.norm(made)
        wanted = np.linalg.norm(layer.weight.astype(np.float64))
        sizes.append(float(wanted))
        scaled: Floats = made * (wanted / total if total else 1.0)
        return scaled

    layers = _split("bulk-redrawn", masks, material, rng, draw)
    tolerance = 10 * random_weights.MOMENT_TOLERANCE
    for layer, size in zip(layers, sizes, strict=True):
        found, wanted = float(np.sum(layer.weight.astype(np.float64) ** 2)), size**2
        if abs(found - wanted) > tolerance * wanted:
            raise InvariantError(
                f"bulk-redrawn: layer {layer.name}: Σ w² is {found:.8g}; expected {wanted:.8g}, up "
                f"to {tolerance:g} of it"
            )
    return layers


def spikes_removed(masks: Sequence[Mask], material: Material, rng: np.random.Generator) -> Layers:
    """theta on the mask without its spikes, masked again: the bulk alone, not scaled.

    Raises InvariantError unless the largest value falls wherever there was a spike, NotApplicable
    if no layer has one.
    """

    def draw(layer: Layer, parts: Split) -> Floats:
        bulk = matrix_of(layer.weight).astype(np.float64) - parts.leading(parts.spikes)
        left = np.where(matrix_of(layer.mask).astype(bool), bulk, 0.0)
        if parts.spikes and (largest := np.linalg.norm(left, 2)) >= parts.values[0]:
            raise InvariantError(
                f"spikes-removed: layer {layer.name}: largest singular value {largest:.6g}; "
                f"expected below {parts.values[0]:.6g}, the largest spike"
            )
        return left

    return _split("spikes-removed", masks, material, rng, draw)


def _split(
    source: str,
    masks: Sequence[Mask],
    material: Material,
    rng: np.random.Generator,
    draw: Callable[[Layer, Split], Floats],
) -> Layers:
    """Return theta on the masks, `draw(layer, its split)` instead of its weights."""
    result, spikes = [], 0
    for layer in random_weights.rewind(masks, material.theta.layers):
        parts = split(layer.weight, null_edge(layer.mask, rng))
        spikes += parts.spikes
        weight = draw(layer, parts).reshape(layer.weight.shape).astype(np.float32)
        result.append(replace(layer, weight=weight))
    if not spikes:
        raise NotApplicable(f"{source} does not apply: no layer has a spike beyond its mask's null")
    return tuple(result)


def _sigma_w(material: Material) -> float:
    """Return the arm's sigma_w, or its study's."""
    own = material.arm.sigma_w
    return material.theta.spec.init.sigma_w if own is None else own

"""Saliency masks: the scores are the papers' formulas, and the counts are the ticket's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec
from ticketlens.tickets import saliency
from ticketlens.tickets.construction import construct
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.random_weights import rewind
from ticketlens.tickets.recipe import SALIENCIES, Arm, Material
from ticketlens.tickets.saliency import SCORES, mask_source

DENSE = Spec(
    network=NetworkSpec(hidden_layers=2, width=5), dataset=DatasetSpec(shape=(2, 2, 1), classes=3)
)
CONV = DENSE.replace(
    network=NetworkSpec(family="convolutional", hidden_layers=2, width=3, stride=2)
)
SPECS = {"fully-connected": DENSE, "convolutional": CONV}
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((20, 1, 2, 2)).astype(np.float32)  # more than one chunk
LABELS = RNG.integers(0, 3, 20)


def theta(spec: Spec) -> Checkpoint:
    return Checkpoint("ticket", "tiny", 0, 0, "imp", spec, initial_layers(spec, 0))


def ticket(spec: Spec) -> Checkpoint:
    dense, rng = theta(spec), np.random.default_rng(1)
    masks = [rng.permutation(np.arange(x.mask.size) % 2 == 0).reshape(x.mask.shape)
             for x in dense.layers]  # fmt: skip
    return replace(dense, round=3, layers=rewind(masks, dense.layers))


def full(dense: Checkpoint) -> list[np.ndarray]:
    return [layer.mask for layer in dense.layers]


def loss_of(dense: Checkpoint, weights: list[np.ndarray], temperature: float = 1.0) -> float:
    """Mean cross-entropy with other weights, in float64."""
    model = build(dense, masked=False).double()
    with torch.no_grad():
        for module, weight in zip(model.layers, weights, strict=True):
            module.weight.copy_(torch.from_numpy(weight))
        logits = model(torch.from_numpy(IMAGES).double()) / temperature
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(LABELS)).item()


def weights_of(dense: Checkpoint) -> list[np.ndarray]:
    return [layer.weight.astype(np.float64) for layer in dense.layers]


def gradient(dense: Checkpoint, weights: list[np.ndarray], temperature: float) -> list[np.ndarray]:
    """∂L/∂w by autograd on all images at once."""
    model = build(dense, masked=False).double()
    with torch.no_grad():
        for module, weight in zip(model.layers, weights, strict=True):
            module.weight.copy_(torch.from_numpy(weight))
    logits = model(torch.from_numpy(IMAGES).double()) / temperature
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(LABELS))
    found = torch.autograd.grad(loss, [module.weight for module in model.layers])
    return [part.numpy() for part in found]


@pytest.mark.parametrize("family", SPECS)
def test_snip_is_the_derivative_of_the_loss_by_the_gate_of_a_weight(family: str) -> None:
    dense, eps = theta(SPECS[family]), 1e-5
    scores = SCORES["snip"](dense, full(dense), IMAGES, LABELS)
    for number, weight in enumerate(weights_of(dense)):
        for index in np.ndindex(weight.shape):
            change = []
            for gate in (1 + eps, 1 - eps):
                moved = weights_of(dense)
                moved[number][index] *= gate
                change.append(loss_of(dense, moved))
            derivative = (change[0] - change[1]) / (2 * eps)
            assert scores[number][index] == pytest.approx(abs(derivative), abs=1e-8)


@pytest.mark.parametrize("family", SPECS)
def test_grasp_is_half_the_change_of_the_squared_gradient_by_the_gate_of_a_weight(
    family: str,
) -> None:
    dense, eps = theta(SPECS[family]), 1e-5
    scores = SCORES["grasp"](dense, full(dense), IMAGES, LABELS)

    def norm(weights: list[np.ndarray]) -> float:
        return sum((g**2).sum() for g in gradient(dense, weights, saliency.TEMPERATURE))

    largest = max(np.abs(score).max() for score in scores)
    rng = np.random.default_rng(2)
    for number, weight in enumerate(weights_of(dense)):
        for _ in range(8):
            index = tuple(rng.integers(size) for size in weight.shape)
            change = []
            for gate in (1 + eps, 1 - eps):
                moved = weights_of(dense)
                moved[number][index] *= gate
                change.append(norm(moved))
            wanted = (change[0] - change[1]) / (2 * eps) / 2
            assert scores[number][index] == pytest.approx(wanted, abs=1e-6 * largest)


def test_synflow_sums_the_magnitudes_of_all_paths_through_a_weight() -> None:
    dense = theta(DENSE)
    first, second, readout = (np.abs(w) for w in weights_of(dense))
    scores = SCORES["synflow"](dense, full(dense))
    for i, j in np.ndindex(second.shape):
        paths = sum(
            first[j, pixel] * second[i, j] * readout[k, i] for pixel in range(4) for k in range(3)
        )
        assert scores[1][i, j] == pytest.approx(paths, rel=1e-6)
    totals = [score.sum() for score in scores]
    assert totals == pytest.approx([totals[0]] * 3), "the flow is the same through every layer"


def test_synflow_ignores_signs_biases_and_removed_weights() -> None:
    dense = theta(DENSE)
    other = replace(dense, layers=tuple(
        replace(x, weight=-x.weight, bias=x.bias + np.float32(1)) for x in dense.layers
    ))  # fmt: skip
    for one, two in zip(
        SCORES["synflow"](dense, full(dense)), SCORES["synflow"](other, full(dense)), strict=True
    ):
        assert np.array_equal(one, two)
    masks = [layer.mask for layer in ticket(DENSE).layers]
    for score, mask in zip(SCORES["synflow"](dense, masks), masks, strict=True):
        assert not score[~mask].any()


def test_synflow_prunes_step_by_step_and_never_cuts_the_network() -> None:
    """Tanaka et al. 2020: one step empties a layer where a hundred steps keep paths."""
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=6, width=12))
    dense = theta(spec)
    once = saliency.select(dense, (40, 10), SCORES["synflow"], 1)
    slowly = saliency.select(dense, (40, 10), SCORES["synflow"], 100)
    assert sum(map(np.count_nonzero, once[:-1])) == sum(map(np.count_nonzero, slowly[:-1])) == 40
    assert all(mask.any() for mask in slowly)
    assert not all(map(np.array_equal, once, slowly))
    flow = SCORES["synflow"](dense, slowly)[0].sum()
    assert flow > 0


@pytest.mark.parametrize("family", SPECS)
@pytest.mark.parametrize("name", SCORES)
def test_a_saliency_arm_has_the_tickets_counts_and_the_highest_scores(
    name: str, family: str
) -> None:
    spec = SPECS[family]
    source, dense = ticket(spec), theta(spec)
    material = Material(Arm(name, "rewind"), source, dense)
    made = construct("rival", material, mask_source(name, IMAGES, LABELS))
    again = construct("rival", material, mask_source(name, IMAGES, LABELS))
    assert made.content_sha256 == again.content_sha256
    for part in (slice(0, -1), slice(-1, None)):
        found, wanted = (
            sum(int(np.count_nonzero(layer.mask)) for layer in x.layers[part])
            for x in (made, source)
        )
        assert found == wanted
    if SCORES[name].steps == 1:
        scores = SCORES[name](dense, full(dense), IMAGES, LABELS)[:-1]
        kept = [s[x.mask] for s, x in zip(scores, made.layers[:-1], strict=True)]
        removed = [s[~x.mask] for s, x in zip(scores, made.layers[:-1], strict=True)]
        assert np.concatenate(kept).min() >= np.concatenate(removed).max()


def test_the_names_that_a_config_may_use_are_those_that_exist() -> None:
    assert set(SALIENCIES) == set(SCORES)
    with pytest.raises(ValueError, match=r"saliency is 'none'; allowed: \['grasp'"):
        mask_source("none")

"""Isometric weights and spikes: arms that make a hypothesis true, and say how far they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from arm_tools import CONV, DENSE, chain, counts, made, material
from ticketlens.spec import PruningSpec
from ticketlens.tickets import pruning, spectral_weights
from ticketlens.tickets.construction import construct
from ticketlens.tickets.isometry import departure, sparse_orthogonal, towards_isometry
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.spectral_weights import EXACT


@pytest.mark.parametrize(
    ("rows", "columns", "density"),
    [(20, 20, 0.2), (12, 40, 0.2), (40, 12, 0.3), (16, 16, 1.0), (16, 16, 1 / 16)],
)
def test_a_sparse_orthogonal_matrix_has_its_count_and_keeps_lengths(
    rows: int, columns: int, density: float
) -> None:
    count = int(density * rows * columns)
    matrix, mask = sparse_orthogonal(rows, columns, count, np.random.default_rng(0))
    assert mask.sum() == count and not matrix[~mask].any()
    assert np.count_nonzero(mask & (matrix == 0)) <= min(rows, columns)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(values, np.sqrt(max(1, rows / columns)), atol=1e-12)
    assert departure(matrix, 1.0) < 1e-12


def test_fewer_weights_than_the_shorter_side_have_no_isometry() -> None:
    with pytest.raises(ValueError, match="an isometric matrix has at least 8"):
        sparse_orthogonal(8, 8, 7, np.random.default_rng(0))


def test_the_departure_of_known_matrices() -> None:
    assert departure(np.diag([1.0, -1.0, 1.0]), 1.0) == 0
    assert departure(np.zeros((3, 5)), 2.0) == 1
    assert departure(np.diag([np.sqrt(2.0), 0.0]), 1.0) == pytest.approx(1.0)  # s² = 2 and 0
    gaussian = np.random.default_rng(0).standard_normal((400, 400)) / 20
    assert departure(gaussian, 1.0) == pytest.approx(1.0, abs=0.02)  # Marchenko-Pastur's variance


def test_gradient_steps_on_a_full_mask_reach_isometry_and_on_a_sparse_one_come_nearer() -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((30, 40))
    full = towards_isometry(weight, np.ones((30, 40), bool), 1.4)
    np.testing.assert_allclose(np.linalg.svd(full, compute_uv=False), 1.4, atol=1e-3)
    mask = rng.random((30, 40)) < 0.3
    start = np.where(mask, weight, 0.0)
    found = towards_isometry(start, mask, 1.4)
    scale = 1.4 * np.sqrt(30 / np.sum(start**2))
    assert not found[~mask].any()
    assert departure(found, 1.4) < 0.5 * departure(scale * start, 1.4)


def test_a_mask_that_is_too_sparse_cannot_be_isometric() -> None:
    """A row without weights has singular value 0, whatever the steps."""
    mask = np.ones((4, 6), bool)
    mask[0] = False
    found = towards_isometry(np.random.default_rng(0).standard_normal((4, 6)), mask, 1.0)
    assert departure(found, 1.0) >= 0.5


@pytest.mark.parametrize("sigma_w", [None, 1.0])
def test_an_exact_orthogonal_arm_is_isometric_at_the_tickets_densities(
    sigma_w: float | None,
) -> None:
    ticket = made(mask=EXACT, weights=EXACT, sigma_w=sigma_w)
    assert counts(ticket) == counts(chain(DENSE, 0))
    for layer in ticket.layers:
        assert departure(layer.weight, sigma_w or DENSE.init.sigma_w) < 1e-5
    same_mask = made(mask=EXACT, weights="fresh")
    assert all(map(lambda a, b: np.array_equal(a.mask, b.mask), ticket.layers, same_mask.layers))


def test_exact_weights_exist_on_their_own_mask_and_in_linear_layers_alone() -> None:
    with pytest.raises(NotApplicable, match="on their own masks alone"):
        made(mask="uniform", weights=EXACT)
    with pytest.raises(NotApplicable, match="fully connected"):
        made(CONV, mask=EXACT, weights=EXACT)


@pytest.mark.parametrize("mask", ["imp", "uniform"])
def test_approximate_isometry_comes_nearer_than_theta_on_the_same_mask(mask: str) -> None:
    ticket, plain = (
        made(mask=mask, weights="approximate-isometry"),
        made(mask=mask, weights="fresh"),
    )
    for own, other in zip(ticket.layers, plain.layers, strict=True):
        assert np.array_equal(own.mask, other.mask)
        scale = DENSE.init.sigma_w * np.sqrt(len(other.weight) / np.sum(other.weight**2))
        away = departure(scale * other.weight, DENSE.init.sigma_w)
        assert departure(own.weight, DENSE.init.sigma_w) < away


def with_spike(size: float, **options):
    """A material whose theta has one strong direction in every layer."""
    own = material(DENSE, **options)
    layers = []
    for layer in own.theta.layers:
        rng = np.random.default_rng(len(layers))
        rows, columns = layer.weight.shape
        spike = np.outer(rng.choice([-1, 1], rows), rng.choice([-1, 1], columns))
        weight = layer.weight + size * np.std(layer.weight) * spike
        layers.append(replace(layer, weight=weight.astype(np.float32)))
    return replace(own, theta=replace(own.theta, layers=tuple(layers)))


def test_a_redrawn_bulk_keeps_the_spike_and_the_size_and_a_removed_spike_is_gone() -> None:
    kept = construct("arm", with_spike(2.0, weights="bulk-redrawn"))
    gone = construct("arm", with_spike(2.0, weights="spikes-removed"))
    theta = with_spike(2.0, weights="fresh").theta.layers
    for own, without, source in zip(kept.layers[:-1], gone.layers[:-1], theta[:-1], strict=True):
        before = np.where(own.mask, source.weight, 0.0).astype(np.float64)
        assert np.linalg.norm(own.weight) == pytest.approx(np.linalg.norm(before), rel=1e-5)
        first = np.linalg.svd(before)[0][:, 0]
        assert abs(first @ np.linalg.svd(own.weight)[0][:, 0]) > 0.9, "the same direction leads"
        assert np.linalg.norm(without.weight, 2) < 0.7 * np.linalg.norm(before, 2)
        assert not np.allclose(own.weight, before)


def test_without_spikes_there_is_nothing_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral_weights, "null_edge", lambda mask, rng: 1.0)  # beyond any spike
    with pytest.raises(NotApplicable, match="no layer has a spike"):
        made(weights="spikes-removed")


@pytest.mark.parametrize("criterion", ["mp-spikes", "change-spikes"])
def test_spike_criteria_keep_the_weights_of_the_strong_direction(criterion: str) -> None:
    """W or its change has one block of strong weights: all of it is kept, its surroundings go."""
    rng = np.random.default_rng(0)
    initial = rng.standard_normal((60, 60)).astype(np.float32)
    block = np.zeros((60, 60), bool)
    block[:20, :20] = True
    change = 3.0 * block + 0.05 * rng.standard_normal((60, 60))
    trained = (initial + change).astype(np.float32)
    scores = pruning.CRITERIA[criterion](trained, initial, rng)
    assert scores.shape == trained.shape and (scores >= 0).all()
    assert np.median(scores[block]) > 5 * np.median(scores[~block])
    assert PruningSpec(criterion=criterion).criterion in pruning.CRITERIA


@pytest.mark.parametrize("shape", [(30, 120), (120, 30)])
def test_mp_spikes_are_what_lies_beyond_marchenko_and_pasturs_edge(shape: tuple[int, int]) -> None:
    """Three singular values 5 % above (√n + √m)·σ and one 5 % below it; σ² the mean square."""
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.standard_normal((n, 30)))[0] for n in shape)
    edge = (np.sqrt(30) + np.sqrt(120)) / np.sqrt(30 * 120)  # of a matrix of Frobenius norm 1
    values = np.array([1.05 * edge] * 3 + [0.95 * edge])
    rest = np.full(26, np.sqrt((1 - np.sum(values**2)) / 26))
    assert rest[0] < values[-1]
    trained = 7.0 * (left * np.concatenate([values, rest])) @ right.T
    found = pruning.mp_spikes(trained, np.zeros(shape), rng)
    assert np.allclose(found, np.abs(7.0 * (left[:, :3] * values[:3]) @ right[:, :3].T))


def test_the_null_of_a_change_has_all_places_that_were_or_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[np.ndarray] = []

    def edge(mask: np.ndarray, rng: np.random.Generator) -> float:
        seen.append(mask)
        return 0.5

    monkeypatch.setattr(pruning, "null_edge", edge)
    trained = np.array([[1.0, -1, 0, 0, 2], [0.5, 0, -3, 0, 1]], np.float32)
    initial = np.array([[0.0, 0, 1, 0, 2], [-0.5, -2, 0, 0, 1]], np.float32)
    pruning.change_spikes(trained, initial, np.random.default_rng(0))
    assert seen[0].tolist() == [[True, True, True, False, True], [True, True, True, False, True]]


def test_without_a_spike_the_leading_direction_counts_alone() -> None:
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in range(2))
    trained = (left * np.linspace(1.1, 1.0, 20)) @ right.T
    found = pruning.mp_spikes(trained, np.zeros((20, 20)), rng)
    assert np.allclose(found, np.abs(1.1 * np.outer(left[:, 0], right[:, 0])))

"""Masks of arms, and small dense networks: each keeps what it claims, or is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_tools import DENSE, SPECS, chain, counts, kept, material
from ticketlens.architecture import of_weight_count, weight_count
from ticketlens.checkpoint import Layer
from ticketlens.spec import PruningSpec
from ticketlens.tickets.construction import construct
from ticketlens.tickets.mask_sources import SMALL, check_masks, erk_counts, small_theta
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable

# --- dense-small ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SPECS)
@pytest.mark.parametrize("weights", ["rewind", "fresh", "inverse-cdf", "fresh-matched"])
def test_a_small_dense_network_has_about_as_many_weights_as_the_ticket(
    family: str, weights: str
) -> None:
    source = material(SPECS[family], mask=SMALL, weights=weights)
    wanted = sum(counts(source.ticket))
    small = construct("small", source)
    assert small.density == 1.0
    assert small.spec.replace(network=source.ticket.spec.network) == source.ticket.spec
    found = weight_count(small.spec)
    assert found == sum(counts(small))
    for width in (small.spec.network.width - 1, small.spec.network.width + 1):
        network = replace(small.spec.network, width=width)
        assert abs(weight_count(small.spec.replace(network=network)) - wanted) >= abs(
            found - wanted
        )


@given(count=st.integers(1, 10_000), family=st.sampled_from(list(SPECS)))
def test_no_width_comes_nearer_to_a_count_than_the_one_chosen(count: int, family: str) -> None:
    spec = SPECS[family]
    off = {
        width: abs(weight_count(spec.replace(network=replace(spec.network, width=width))) - count)
        for width in range(1, 60)
    }
    chosen = of_weight_count(spec, count).network.width
    assert chosen >= 59 or off[chosen] == min(off.values())


def test_laws_copied_into_a_small_network_keep_their_mean_field_scale() -> None:
    """fan_in · E w² is the survivors', although a layer of the small network has fewer inputs."""
    for weights, tolerance in (("fresh-matched", 1e-5), ("inverse-cdf", 0.25)):
        source = material(mask=SMALL, weights=weights, seed=3)
        for layer, survivors in zip(
            construct("small", source).layers, source.survivors.layers, strict=True
        ):
            found, wanted = (x.fan_in * np.mean(kept(x) ** 2.0) for x in (layer, survivors))
            assert found == pytest.approx(wanted, rel=tolerance), (weights, layer.name)


def test_a_small_network_has_no_theta_k() -> None:
    late = DENSE.replace(pruning=PruningSpec(rewind_epoch=1))
    with pytest.raises(NotApplicable, match="no theta_k"):
        small_theta(chain(late, 0))


def test_a_small_network_of_another_width_is_caught() -> None:
    source = material(mask=SMALL)
    masks = [np.ones(layer.mask.shape, bool) for layer in source.theta.layers]
    with pytest.raises(InvariantError, match=r"dense-small: masks of .*; expected full"):
        check_masks(SMALL, masks, source.ticket)


# --- masks ---------------------------------------------------------------------------------------


def test_a_mask_with_other_counts_is_caught() -> None:
    ticket = chain(DENSE, 0)
    masks = [layer.mask.copy() for layer in ticket.layers]
    row, column = (index[0] for index in np.nonzero(masks[1]))
    masks[1][row, column] = False
    with pytest.raises(InvariantError, match=r"rewire: layer hidden2: 127 weights; .* 128"):
        check_masks("rewire", masks, ticket)
    with pytest.raises(InvariantError, match="uniform: layer hidden1, hidden2, hidden3: 511"):
        check_masks("uniform", masks, ticket)
    with pytest.raises(InvariantError, match="imp: layer hidden2"):
        check_masks("imp", masks, ticket)


def test_a_mask_that_should_differ_and_does_not_is_caught() -> None:
    ticket = chain(DENSE, 0)
    masks = [layer.mask for layer in ticket.layers]
    with pytest.raises(NotApplicable, match="erk gives the IMP ticket's own mask at round 3"):
        check_masks("erk", masks, ticket)
    other = [layer.mask for layer in chain(DENSE, 1).layers]
    with pytest.raises(InvariantError, match="the mask is not the IMP ticket's"):
        check_masks("imp", other, ticket)


def test_a_donor_lends_its_mask_to_theta_of_the_own_seed() -> None:
    source = material(mask="imp-other-seed", weights="rewind")
    layers = construct("x", source).layers
    for layer, donor, theta in zip(layers, source.donor.layers, source.theta.layers, strict=True):
        assert np.array_equal(layer.mask, donor.mask)
        assert np.array_equal(layer.weight, np.where(donor.mask, theta.weight, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 0}, "own seed, 0"),
        ({"round": 2}, "round 2"),
        ({"arm": "other"}, "arm other"),
        (
            {"spec": DENSE.replace(pruning=PruningSpec(rate=0.5))},
            "another seed's IMP ticket",
        ),
    ],
)
def test_a_donor_that_is_none_is_refused(change: dict, message: str) -> None:
    source = material(mask="imp-other-seed")
    with pytest.raises(InvariantError, match=message):
        construct("x", replace(source, donor=replace(source.donor, **change)))


def test_one_shot_keeps_the_largest_weights_of_the_trained_dense_network() -> None:
    source = material(mask="one-shot", weights="rewind")
    for layer, after in zip(construct("x", source).layers, source.dense.layers, strict=True):
        assert np.abs(after.weight[layer.mask]).min() > np.abs(after.weight[~layer.mask]).max()
    with pytest.raises(InvariantError, match=r"one-shot .*; expected .* round 0, trained"):
        construct("x", replace(source, dense=source.theta))


def test_magnitude_at_init_keeps_the_largest_weights_of_theta() -> None:
    source = material(mask="magnitude-at-init", weights="rewind")
    for layer, theta in zip(construct("x", source).layers, source.theta.layers, strict=True):
        assert np.abs(theta.weight[layer.mask]).min() > np.abs(theta.weight[~layer.mask]).max()


def mask_layers(*shapes_and_counts: tuple[tuple[int, ...], int]) -> list[Layer]:
    """Hidden layers and a readout with so many weights kept."""
    names = [f"hidden{i}" for i in range(1, len(shapes_and_counts))] + ["readout"]
    return [
        Layer(name, "linear", None, None, (np.arange(np.prod(shape)) < count).reshape(shape))
        for name, (shape, count) in zip(names, shapes_and_counts, strict=True)
    ]


def test_erk_densities_are_in_proportion_to_sides_over_area() -> None:
    layers = mask_layers(((20, 100), 300), ((20, 20), 40), ((5, 20), 50))
    found = erk_counts(layers)
    assert sum(found) == 340 and found[2] == 0
    assert found[:2] == [255, 85]  # 340 shared 120 : 40


def test_erk_fills_a_layer_whose_density_would_exceed_1() -> None:
    layers = mask_layers(((50, 60), 1500), ((4, 50), 20), ((4, 4), 8), ((3, 4), 6))
    found = erk_counts(layers)
    # 110 : 54 : 8 of 1528 is 977 : 480 : 71: layers 2 and 3 are full, layer 1 has the rest.
    assert found == [1528 - 200 - 16, 200, 16, 0]
    assert erk_counts(mask_layers(((4, 4), 16), ((4, 4), 16), ((2, 4), 3))) == [16, 16, 0]


def test_erk_of_a_convolution_counts_the_sides_of_the_kernel() -> None:
    shapes = ((8, 3, 3, 3), (8, 8, 3, 3), (5, 8))
    layers = mask_layers(*zip(shapes, (50, 150, 20), strict=True))
    first, second, _ = erk_counts(layers)
    assert (first, second) == (round(200 * 17 / 39), round(200 * 22 / 39))

"""Nulls: each keeps what it claims, changes the rest, and draws from streams of its own."""

import numpy as np
import pytest

from jacobian_networks import DENSE, make_images, make_ticket
from ticketlens.measure import nulls
from ticketlens.tickets import initialization
from ticketlens.tickets import random_masks as mask_sources
from ticketlens.tickets.pruning import InvariantError


def kept(layer):
    return np.sort(layer.weight[layer.mask])


@pytest.mark.parametrize("name", nulls.NULLS)
def test_a_null_keeps_what_it_claims_and_changes_the_rest(name):
    layers = make_ticket(DENSE)
    null = nulls.NULLS[name](layers, DENSE, np.random.default_rng(0))
    same_mask = name not in ("random-mask", "rewired")
    for found, layer in zip(null, layers, strict=True):
        assert not np.array_equal(found.weight, layer.weight)
        assert np.array_equal(found.mask, layer.mask) == same_mask
        assert np.count_nonzero(found.mask) == np.count_nonzero(layer.mask)
        assert found.bias.tobytes() == layer.bias.tobytes()
        if name in ("random-mask", "rewired", "shuffled-values"):
            np.testing.assert_array_equal(kept(found), kept(layer))
        if name == "rewired":
            for axis in (0, 1):
                np.testing.assert_array_equal(found.mask.sum(axis), layer.mask.sum(axis))
        if name == "sign-redrawn":
            np.testing.assert_array_equal(np.abs(found.weight), np.abs(layer.weight))
        if name == "fresh-matched":
            assert np.mean(kept(found) ** 2) == pytest.approx(np.mean(kept(layer) ** 2), rel=1e-5)


def test_there_are_six_nulls():
    assert len(nulls.NULLS) == 6


def test_nulls_that_do_not_apply_to_a_dense_network_are_left_out():
    theta = initialization.initial_layers(DENSE, 0)
    found = nulls.isometry_of_nulls(theta, DENSE, make_images(DENSE), 0, 0)
    assert set(found) == set(nulls.NULLS) - {"random-mask", "rewired"}


def test_null_draws_differ_from_each_other_and_do_not_depend_on_how_many_there_are():
    layers, images = make_ticket(DENSE), make_images(DENSE)
    one, three = (
        nulls.isometry_of_nulls(layers, DENSE, images, 0, 3, draws=draws, names=["fresh"])
        for draws in (1, 3)
    )
    values = [null.log_frobenius for null in three["fresh"]]
    assert one["fresh"][0].log_frobenius == values[0] and len(set(values)) == 3
    with pytest.raises(ValueError, match="null is 'frehs'"):
        nulls.isometry_of_nulls(layers, DENSE, images, 0, 3, names=["frehs"])


def test_a_null_that_is_the_ticket_itself_is_caught(monkeypatch):
    layers = make_ticket(DENSE)
    monkeypatch.setattr(mask_sources, "rewired", lambda matrix, rng: matrix)
    with pytest.raises(InvariantError):
        nulls.isometry_of_nulls(layers, DENSE, make_images(DENSE), 0, 3, names=["rewired"])

"""Rewinding: a ticket is mask × theta bit for bit, and a rewind that forgot is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_tools import same_bits
from ticketlens.checkpoint import check_parameters
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets import random_weights
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_weights import check_rewound, check_theta, rewind

SPEC = Spec(NetworkSpec(hidden_layers=2, width=5), dataset=DatasetSpec("tiny", "0", (3, 3, 3), 3))
THETA = initial_layers(SPEC, seed=0)


def random_masks(density, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random(layer.mask.shape) < density for layer in THETA]


@given(st.floats(0, 1), st.integers(0, 99))
def test_rewound_ticket_equals_mask_times_theta0_bit_for_bit(density, seed):
    found = random_masks(density, seed)
    for layer, mask, theta in zip(rewind(found, THETA), found, THETA, strict=True):
        assert same_bits(layer.weight, np.where(mask, theta.weight, np.float32(0)))
        assert same_bits(layer.bias, theta.bias)
        assert same_bits(layer.mask, mask)
        assert (layer.name, layer.kind) == (theta.name, theta.kind)
        assert not layer.weight.view(np.uint32)[~mask].any()  # 0.0, never −0.0
        check_parameters(layer.weight, layer.bias, layer.mask, layer.name)


def test_a_product_with_the_mask_would_leave_negative_zeros():
    # Why a ticket is where(mask, theta, 0): a product keeps the signs of what it zeroes.
    mask = random_masks(0.5)[0]
    product = THETA[0].weight * mask
    assert np.signbit(product[~mask]).any()
    with pytest.raises(ValueError, match=r"weights off the mask are not exactly 0\.0"):
        check_parameters(product, THETA[0].bias, mask, "hidden1")


def test_a_full_mask_gives_theta_itself():
    for layer, theta in zip(rewind([layer.mask for layer in THETA], THETA), THETA, strict=True):
        assert same_bits(layer.weight, theta.weight)


def test_rewinding_twice_changes_nothing():
    found = random_masks(0.4)
    once = rewind(found, THETA)
    twice = rewind(found, once)
    assert all(same_bits(a.weight, b.weight) for a, b in zip(once, twice, strict=True))


def test_theta_is_left_alone():
    before = [layer.weight.copy() for layer in THETA]
    rewind(random_masks(0.1), THETA)
    assert all(same_bits(a, b.weight) for a, b in zip(before, THETA, strict=True))


# --- broken on purpose -------------------------------------------------------------------------


def with_weight(layers, index, change):
    broken = list(layers)
    weight = broken[index].weight.copy()
    change(weight, broken[index].mask)
    broken[index] = replace(broken[index], weight=weight)
    return broken


def put(value, on_mask):
    def change(weight, mask):
        weight[tuple(np.argwhere(mask == on_mask)[0])] = value

    return change


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize(
    "change",
    [put(0.5, on_mask=True), put(0.5, on_mask=False), put(-0.0, on_mask=False)],
    ids=["another-kept-weight", "a-revived-weight", "a-negative-zero"],
)
def test_a_single_wrong_weight_is_noticed(change, index):
    broken = with_weight(rewind(random_masks(0.5), THETA), index, change)
    name = THETA[index].name
    with pytest.raises(
        InvariantError, match=f"layer {name}: 1 rewound weights differ from mask × th"
    ):
        check_rewound(broken, THETA)


def test_one_unit_in_the_last_place_is_noticed():
    def nudge(weight, mask):
        where = tuple(np.argwhere(mask)[-1])
        weight[where] = np.nextafter(weight[where], np.float32(9), dtype=np.float32)

    broken = with_weight(rewind(random_masks(0.5), THETA), 1, nudge)
    with pytest.raises(InvariantError, match="hidden2: 1 rewound weights"):
        check_rewound(broken, THETA)


def test_biases_that_were_not_rewound_are_noticed():
    ticket = list(rewind(random_masks(0.5), THETA))
    ticket[2] = replace(ticket[2], bias=ticket[2].bias + np.float32(0.1))
    with pytest.raises(InvariantError, match="layer readout: rewound biases differ"):
        check_rewound(ticket, THETA)


def test_a_rewind_that_forgot_to_rewind_stops(monkeypatch, make_ticket, make_trained):
    theta = make_ticket().layers
    trained = make_trained(make_ticket(0.5)).layers

    class Forgetful:
        """A `where` that hands back the trained weights."""

        def __getattr__(self, name):
            return getattr(np, name)

        def where(self, mask, weight, zero):
            known = [layer.weight for layer in trained if layer.weight.shape == weight.shape]
            is_weight = weight.dtype == np.float32 and known
            return np.where(mask, known[0], zero) if is_weight else np.where(mask, weight, zero)

    monkeypatch.setattr(random_weights, "np", Forgetful())
    with pytest.raises(InvariantError, match="rewound weights differ from mask × theta"):
        rewind([layer.mask for layer in trained], theta)


def test_weights_that_theta_lacks_cannot_be_rewound_to():
    pruned = rewind(random_masks(0.5), THETA)
    with pytest.raises(InvariantError, match="hidden1: the mask keeps weights that theta lacks"):
        rewind([layer.mask for layer in THETA], pruned)


def test_a_mask_of_another_shape_is_not_broadcast():
    found = [mask[:1] for mask in random_masks(0.5)]
    with pytest.raises(InvariantError, match="hidden1: the mask keeps weights that theta lacks"):
        rewind(found, THETA)
    with pytest.raises(ValueError, match="zip"):
        rewind(random_masks(0.5)[:-1], THETA)


# --- which theta -------------------------------------------------------------------------------


@pytest.fixture
def chain(make_ticket, make_trained):
    """Return a function: rewind epoch → (mask of round 2, theta_0, theta_k)."""

    def make(epoch):
        ticket = make_ticket(pruning={"rewind_epoch": epoch})
        late = replace(make_trained(ticket), extra={"epoch": epoch})
        return replace(ticket, kind="mask", round=2), ticket, late

    return make


def test_a_chain_rewinds_to_its_own_theta_0_or_theta_k(chain):
    mask, theta_0, _ = chain(0)
    check_theta(mask, theta_0)
    mask, _, theta_k = chain(2)
    check_theta(mask, theta_k)


def test_theta_0_belongs_to_its_chain_however_that_is_pruned(chain):
    mask, theta_0, _ = chain(0)
    pruning = replace(mask.spec.pruning, rate=0.35, readout_rate=0.05, criterion="random")
    check_theta(replace(mask, spec=mask.spec.replace(pruning=pruning)), theta_0)
    late = replace(pruning, rewind_epoch=2)
    with pytest.raises(InvariantError, match="made by another spec"):
        check_theta(replace(mask, spec=mask.spec.replace(pruning=late)), theta_0)


def test_any_other_theta_is_refused(chain):
    mask, theta_0, trained = chain(0)
    others = [
        trained,
        replace(theta_0, seed=1),
        replace(theta_0, study="other"),
        replace(theta_0, round=1),
        replace(theta_0, spec=theta_0.spec.replace(init=InitSpec(sigma_w=1.0))),
    ]
    late_mask, late_theta_0, theta_k = chain(2)
    pairs = [(mask, theta) for theta in others] + [
        (late_mask, late_theta_0),  # late rewinding that went back to the start
        (late_mask, replace(theta_k, extra={"epoch": 1})),
        (late_mask, replace(theta_k, extra={})),
    ]
    for one, theta in pairs:
        with pytest.raises(InvariantError, match="tiny-normal seed 0 rewinds to: epoch"):
            check_theta(one, theta)

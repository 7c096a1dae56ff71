"""Weight sources: what a redraw keeps, that it changes the rest, that a broken one is caught."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ticketlens import checkpoint
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets import initialization, random_masks, random_weights
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable

WEIGHTS = {
    "shuffled-values": random_weights.shuffled_values,
    "sign-redrawn": random_weights.signs_redrawn,
    "sign-kept": random_weights.sign_kept,
    "fresh-matched": random_weights.gaussian_matched,
    "fresh": random_weights.fresh,
    "masked-orthogonal": random_weights.masked_orthogonal,
}
DENSE = Spec(
    network=NetworkSpec(hidden_layers=3, width=12), dataset=DatasetSpec(shape=(3, 3, 2), classes=4)
)
CONV = DENSE.replace(network=NetworkSpec(family="convolutional", hidden_layers=2, width=6))
DELTA = CONV.replace(init=InitSpec(scheme="orthogonal"))


def make_ticket(spec=DENSE, seed=0, density=0.5):
    """theta_0 and a rewound ticket with random masks."""
    theta = initialization.initial_layers(spec, seed)
    rng = np.random.default_rng(seed)
    masks = [rng.random(layer.mask.shape) < density for layer in theta]
    return theta, random_weights.rewind(masks, theta)


def masks_of(layers):
    return [layer.mask for layer in layers]


def redraw(name, ticket, spec=DENSE, seed=1, masks=None):
    masks = masks_of(ticket) if masks is None else masks
    return WEIGHTS[name](masks, ticket, spec, np.random.default_rng(seed))


def kept(layer):
    return layer.weight[layer.mask]


def with_weight(layer, weight):
    return dataclasses.replace(layer, weight=weight)


# Rewinding


@given(st.integers(0, 1000), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_rewound_ticket_equals_mask_times_theta0_bit_for_bit(seed, density):
    theta, ticket = make_ticket(seed=seed, density=density)
    for layer, source in zip(ticket, theta, strict=True):
        expected = np.where(layer.mask, source.weight, np.float32(0))
        assert layer.weight.tobytes() == expected.tobytes()
        assert layer.bias.tobytes() == source.bias.tobytes()


@pytest.mark.parametrize("wrong", [np.float32(1e-30), np.float32(-0.0)])
def test_a_weight_off_the_mask_or_a_negative_zero_is_not_a_rewound_ticket(wrong):
    theta, ticket = make_ticket()
    weight = ticket[1].weight.copy()
    weight[np.nonzero(~ticket[1].mask)[0][0], np.nonzero(~ticket[1].mask)[1][0]] = wrong
    broken = (ticket[0], with_weight(ticket[1], weight), *ticket[2:])
    with pytest.raises(InvariantError, match=r"hidden2: 1 rewound weights differ"):
        random_weights.check_rewound(broken, theta)


def test_a_rewind_that_forgot_to_rewind_is_caught():
    theta, ticket = make_ticket()
    trained = [with_weight(layer, layer.weight * np.float32(1.5)) for layer in ticket]
    with pytest.raises(InvariantError, match="hidden1"):
        random_weights.check_rewound(trained, theta)
    moved = dataclasses.replace(ticket[0], bias=ticket[0].bias + np.float32(0.1))
    with pytest.raises(InvariantError, match="biases"):
        random_weights.check_rewound((moved, *ticket[1:]), theta)


# What every redraw does


@pytest.mark.parametrize("spec", [DENSE, CONV])
@pytest.mark.parametrize("name", WEIGHTS)
def test_a_redraw_is_a_valid_ticket_on_the_same_mask_with_the_same_biases(name, spec):
    _, ticket = make_ticket(spec)
    drawn = redraw(name, ticket, spec)
    checkpoint.check(Checkpoint("ticket", "study", 0, 1, "arm", spec, drawn))
    for layer, source in zip(drawn, ticket, strict=True):
        assert (layer.name, layer.kind) == (source.name, source.kind)
        assert not np.array_equal(layer.weight, source.weight)
        np.testing.assert_array_equal(layer.mask, source.mask)
        assert layer.bias.tobytes() == source.bias.tobytes()


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_same_stream_gives_the_same_weights_and_another_one_others(name):
    _, ticket = make_ticket()
    one, same, other = (redraw(name, ticket, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a.weight, b.weight) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_layer_without_weights_is_left_alone(name):
    theta, ticket = make_ticket()
    masks = [np.zeros_like(theta[0].mask), *masks_of(ticket)[1:]]
    drawn = redraw(name, random_weights.rewind(masks, theta), masks=masks)
    assert not drawn[0].weight.any() and drawn[1].weight.any()


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_ticket_without_any_weight_is_not_applicable(name):
    theta, _ = make_ticket()
    empty = random_weights.rewind([np.zeros_like(layer.mask) for layer in theta], theta)
    with pytest.raises(NotApplicable):
        redraw(name, empty)


# What each redraw keeps


@given(st.integers(0, 1000), st.sampled_from([0.05, 0.5, 1.0]))
@settings(max_examples=25, deadline=None)
def test_shuffled_values_are_the_same_values_in_other_places(seed, density):
    _, ticket = make_ticket(seed=seed, density=density)
    for layer, source in zip(redraw("shuffled-values", ticket), ticket, strict=True):
        np.testing.assert_array_equal(np.sort(kept(layer)), np.sort(kept(source)))


def test_shuffled_values_go_onto_another_mask_of_the_same_counts_and_no_other():
    theta, ticket = make_ticket()
    masks = random_masks.shuffle_layer(ticket, np.random.default_rng(5))
    for layer, source in zip(redraw("shuffled-values", ticket, masks=masks), ticket, strict=True):
        np.testing.assert_array_equal(np.sort(kept(layer)), np.sort(kept(source)))
    with pytest.raises(ValueError, match=r"hidden1: .* counts must agree"):
        redraw("shuffled-values", ticket, masks=masks_of(theta))


def test_equal_values_cannot_be_shuffled():
    _, ticket = make_ticket()
    signs = [with_weight(layer, layer.mask.astype(np.float32)) for layer in ticket]
    with pytest.raises(NotApplicable):
        redraw("shuffled-values", signs)


def test_redrawn_signs_are_fair_coins_and_magnitudes_stay_bit_for_bit():
    _, ticket = make_ticket(density=0.8)
    flips, total = 0, 0
    for seed in range(30):
        for layer, source in zip(redraw("sign-redrawn", ticket, seed=seed), ticket, strict=True):
            np.testing.assert_array_equal(np.abs(layer.weight), np.abs(source.weight))
            flips += np.count_nonzero(np.sign(kept(layer)) != np.sign(kept(source)))
            total += kept(layer).size
    assert stats.binomtest(flips, total, 0.5).pvalue > 0.001


def test_kept_signs_come_with_magnitudes_of_the_study_s_own_scheme():
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=2, width=80))
    theta, ticket = make_ticket(spec)
    scaled = [with_weight(layer, layer.weight * np.float32(3)) for layer in ticket]
    for layer, source in zip(redraw("sign-kept", scaled, spec), ticket, strict=True):
        np.testing.assert_array_equal(np.sign(layer.weight), np.sign(source.weight))
    law = stats.halfnorm(scale=1.4 / np.sqrt(80))
    drawn = redraw("sign-kept", scaled, spec)[1]
    assert stats.kstest(np.abs(kept(drawn)), law.cdf).pvalue > 0.001
    assert not np.isin(np.abs(kept(drawn)), np.abs(theta[1].weight)).any()


def test_signs_of_theta0_reach_masks_that_the_ticket_s_do_not():
    theta, ticket = make_ticket()
    masks = random_masks.shuffle_layer(ticket, np.random.default_rng(5))
    for layer, source in zip(redraw("sign-kept", theta, masks=masks), theta, strict=True):
        np.testing.assert_array_equal(np.sign(kept(layer)), np.sign(source.weight[layer.mask]))
    for name in ("sign-kept", "sign-redrawn"):
        with pytest.raises(ValueError, match="give theta_0"):
            redraw(name, ticket, masks=masks)


@given(st.integers(0, 1000), st.floats(0.01, 10))
@settings(max_examples=25, deadline=None)
def test_matched_gaussian_has_the_layer_s_own_second_moment(seed, scale):
    _, ticket = make_ticket(seed=seed)
    scaled = [with_weight(layer, layer.weight * np.float32(scale)) for layer in ticket]
    for layer, source in zip(redraw("fresh-matched", scaled), scaled, strict=True):
        moments = [np.mean(kept(x).astype(float) ** 2) for x in (layer, source)]
        assert moments[0] == pytest.approx(moments[1], rel=1e-6)


def test_matched_gaussian_is_gaussian_whatever_the_ticket_s_law():
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=2, width=80))
    _, ticket = make_ticket(spec)
    bimodal = [with_weight(x, np.sign(x.weight) * np.float32(0.2)) for x in ticket]
    drawn = redraw("fresh-matched", bimodal, spec)[1]
    assert stats.kstest(kept(drawn), stats.norm(scale=0.2).cdf).pvalue > 0.001


def test_fresh_weights_follow_the_study_s_scheme_from_another_seed():
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=2, width=80))
    theta, ticket = make_ticket(spec)
    drawn = redraw("fresh", ticket, spec)[1]
    assert stats.kstest(kept(drawn), stats.norm(scale=1.4 / np.sqrt(80)).cdf).pvalue > 0.001
    assert not np.isin(kept(drawn), theta[1].weight).any()
    for seed in range(3):  # nor are they those of a seed that a study would use
        other = initialization.initial_layers(spec, seed)[1]
        assert not np.isin(kept(drawn), other.weight).any()


def test_masked_orthogonal_weights_are_an_orthogonal_matrix_under_the_mask():
    spec = DENSE.replace(init=InitSpec(sigma_w=1.2))
    theta, ticket = make_ticket(spec)
    full = redraw("masked-orthogonal", theta, spec)[1].weight.astype(float)
    np.testing.assert_allclose(full @ full.T, 1.2**2 * np.eye(12), atol=1e-6)
    masked = redraw("masked-orthogonal", theta, spec, masks=masks_of(ticket))[1]
    np.testing.assert_array_equal(masked.weight, np.where(ticket[1].mask, full, 0))


def test_fresh_weights_of_an_orthogonal_study_are_orthogonal():
    spec = DENSE.replace(init=InitSpec(scheme="orthogonal", sigma_w=1.0, sigma_b=0.0))
    theta, _ = make_ticket(spec)
    full = redraw("fresh", theta, spec)[2].weight.astype(float)
    np.testing.assert_allclose(full @ full.T, np.eye(12), atol=1e-6)


@pytest.mark.parametrize("name", ["sign-kept", "sign-redrawn"])
def test_sign_arms_refuse_delta_orthogonal_convolutions(name):
    _, ticket = make_ticket(DELTA)
    with pytest.raises(NotApplicable, match=r"exactly 0 and have no sign"):
        redraw(name, ticket, DELTA)


@pytest.mark.parametrize("name", ["shuffled-values", "fresh-matched", "fresh"])
def test_other_arms_take_delta_orthogonal_convolutions(name):
    _, ticket = make_ticket(DELTA, density=0.9)
    assert len(redraw(name, ticket, DELTA)) == len(ticket)


@pytest.mark.parametrize("name", ["fresh", "sign-kept", "masked-orthogonal"])
def test_fresh_weights_refuse_a_spec_of_another_network(name):
    _, ticket = make_ticket()
    with pytest.raises(ValueError, match="spec describes"):
        redraw(name, ticket, CONV)


def test_matched_gaussian_needs_weights_to_match():
    theta, ticket = make_ticket()
    empty = random_weights.rewind([np.zeros_like(layer.mask) for layer in theta], theta)
    with pytest.raises(ValueError, match="no weights to take"):
        redraw("fresh-matched", (empty[0], *ticket[1:]), masks=masks_of(ticket))


# What breaks is caught


class Unmoved:
    """A generator whose permutations and coins change nothing, and whose normals repeat weights."""

    def __init__(self, layers):
        self.values = [kept(layer) for layer in layers]

    def permutation(self, values):
        return values

    def random(self, size):
        values = next(v for v in self.values if v.size == size)
        return np.where(values < 0, 0.0, 1.0)

    def standard_normal(self, size):
        return next(v for v in self.values if v.size == size).astype(float)


@pytest.mark.parametrize("name", ["shuffled-values", "sign-redrawn", "fresh-matched"])
def test_a_redraw_that_changes_nothing_is_caught(name):
    _, ticket = make_ticket()
    with pytest.raises(InvariantError, match=r"hidden1: 64 draws all gave"):
        WEIGHTS[name](masks_of(ticket), ticket, DENSE, Unmoved(ticket))


@pytest.mark.parametrize("name", ["fresh", "sign-kept"])
def test_fresh_weights_that_are_the_ticket_s_own_are_caught(monkeypatch, name):
    theta, ticket = make_ticket()
    monkeypatch.setattr(random_weights, "initial_layers", lambda spec, seed: theta)
    with pytest.raises(InvariantError, match="source's own weights"):
        redraw(name, ticket)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("shuffled-values", lambda values: values * np.float32(1.0001)),
        ("sign-redrawn", lambda values: values * np.float32(1.0001)),
        ("sign-kept", lambda values: -values),
        ("fresh-matched", lambda values: values * np.float32(1.0001)),
    ],
)
def test_a_redraw_that_keeps_less_than_it_claims_is_caught(monkeypatch, name, change):
    _, ticket = make_ticket()
    sound = random_weights._redraw

    def broken(*arguments):
        return tuple(
            Layer(x.name, x.kind, change(x.weight), x.bias, x.mask) for x in sound(*arguments)
        )

    redraw(name, ticket)
    monkeypatch.setattr(random_weights, "_redraw", broken)
    with pytest.raises(InvariantError, match="hidden1"):
        redraw(name, ticket)


@pytest.mark.parametrize("seed", range(12))
def test_a_layer_of_two_possible_weights_is_drawn_until_it_is_the_other(seed):
    # Of width 1, an orthogonal layer is sigma_w or −sigma_w: every other draw is the ticket's own.
    spec = DENSE.replace(
        network=dataclasses.replace(DENSE.network, width=1),
        init=dataclasses.replace(DENSE.init, scheme="orthogonal"),
    )
    theta = initialization.initial_layers(spec, seed)
    masks = [layer.mask for layer in theta]
    drawn = random_weights.fresh(masks, theta, spec, np.random.default_rng(seed))
    for layer, old in zip(drawn, theta, strict=True):
        assert not np.array_equal(layer.weight, old.weight), layer.name
        if layer.weight.size == 1:
            assert layer.weight == -old.weight
    kept = random_weights.sign_kept(masks, theta, spec, np.random.default_rng(seed))
    assert np.array_equal(kept[1].weight, theta[1].weight)  # sign and size leave nothing to draw
    assert not np.array_equal(kept[0].weight, theta[0].weight)

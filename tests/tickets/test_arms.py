"""Arms: each source keeps what it claims, changes what it claims, and is caught if it does not."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from arm_tools import (
    DELTA,
    DENSE,
    ROUND,
    SPECS,
    chain,
    counts,
    dense,
    made,
    material,
)
from ticketlens import checkpoint
from ticketlens.architecture import of_weight_count, weight_count
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import InitSpec, NetworkSpec, PruningSpec
from ticketlens.study.arms import arm_rounds
from ticketlens.study.config import checked
from ticketlens.tickets import construction
from ticketlens.tickets import weight_sources as arm_weights
from ticketlens.tickets.construction import construct, needs
from ticketlens.tickets.mask_sources import (
    MASKS,
    SMALL,
    check_masks,
    erk_counts,
    keeps_layers,
    small_theta,
)
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Arm, Material, Source, properties
from ticketlens.tickets.weight_sources import WEIGHTS


def kept(layer: Layer) -> np.ndarray:
    return layer.weight[layer.mask]


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    return all(
        a.weight.tobytes() == b.weight.tobytes()
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def recipe(mask: str, weights: str) -> dict:
    return {"mask": mask, "weights": weights} | ({"sigma_w": 2.24} if weights == "scaled" else {})


SPECTRAL = {"exact-orthogonal", "bulk-redrawn", "spikes-removed"}
"""Sources that do not apply to every ticket: see test_isometry.py."""
COMBINATIONS = [
    (mask, weights)
    for mask in MASKS
    for weights in WEIGHTS
    if not {mask, weights} & SPECTRAL
    and (mask, weights) != ("imp", "rewind")
    and (weights != "shuffled-values" or properties(MASKS[mask]).keeps != "total")
]


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


# --- every arm -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SPECS)
@pytest.mark.parametrize(("mask", "weights"), COMBINATIONS)
def test_every_combination_of_sources_is_a_valid_ticket(
    mask: str, weights: str, family: str, tmp_path
) -> None:
    source = material(SPECS[family], **recipe(mask, weights))
    ticket = construct("rival", source)
    checkpoint.write(tmp_path / "ticket.h5", ticket)
    found = checkpoint.read(tmp_path / "ticket.h5", kind="ticket")
    assert (found.study, found.seed, found.round, found.arm) == ("tiny", 0, ROUND, "rival")
    assert found.extra["arm_mask"] == mask and found.extra["arm_weights"] == weights
    if mask != SMALL:
        assert sum(counts(found)) == sum(counts(source.ticket))
        assert counts(found)[-1] == counts(source.ticket)[-1], "the readout keeps its own number"
    if keeps_layers(mask, "global"):
        assert counts(found) == counts(source.ticket)
    theta = small_theta(source.ticket) if mask == SMALL else source.theta
    for layer, other in zip(found.layers, theta.layers, strict=True):
        assert layer.bias.tobytes() == other.bias.tobytes()
    assert not same_weights(found, source.ticket)


@pytest.mark.parametrize(("mask", "weights"), COMBINATIONS)
def test_an_arm_is_a_function_of_the_seed(mask: str, weights: str) -> None:
    first, again, other = (made(seed=seed, **recipe(mask, weights)) for seed in (0, 0, 1))
    assert first.content_sha256 == again.content_sha256
    assert not same_weights(first, other)


def test_arms_with_the_same_mask_source_share_their_mask() -> None:
    one, other = (made(mask="uniform", weights=name) for name in ("fresh", "inverse-cdf"))
    for a, b in zip(one.layers, other.layers, strict=True):
        assert np.array_equal(a.mask, b.mask)


def test_biases_are_drawn_where_the_arm_says_so() -> None:
    source = material(biases="drawn")
    for layer, theta in zip(construct("x", source).layers, source.theta.layers, strict=True):
        assert (layer.bias != theta.bias).all()
    silent = DENSE.replace(init=InitSpec(sigma_b=0))
    with pytest.raises(NotApplicable, match="sigma_b is 0"):
        made(silent, biases="drawn")


def test_an_arm_that_is_the_imp_ticket_is_refused() -> None:
    with pytest.raises(InvariantError, match="arm x is the IMP ticket itself"):
        construct("x", material(mask="imp", weights="rewind"))


def test_an_arm_may_train_sparse_where_its_study_trains_dense() -> None:
    dense, sparse = (
        made(mask="uniform", weights="fresh", **more) for more in ({}, {"sparse_below": 0.5})
    )
    expected = replace(dense.spec.training, sparse_below=0.5, device="cpu")
    assert dense.spec.training.sparse_below == 0 and sparse.spec.training == expected
    assert sparse.spec.replace(training=dense.spec.training) == dense.spec
    assert same_weights(sparse, dense), "the same ticket, trained otherwise"
    assert "arm_sparse_below" not in dense.extra and sparse.extra["arm_sparse_below"] == 0.5


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(ValueError, match=r"arms\.x\.mask is 'none'; allowed: \['dense-small'"):
        construct("x", material(mask="none"))
    allowed = r"arms\.x\.weights is 'none'; allowed: \['approximate-isometry'"
    with pytest.raises(ValueError, match=allowed):
        construct("x", material(weights="none"))


def test_material_of_another_chain_is_refused() -> None:
    good = material()
    with pytest.raises(InvariantError, match="expected a ticket of imp"):
        construct("x", replace(good, ticket=replace(good.ticket, arm="other")))
    with pytest.raises(InvariantError, match="rewinds to: epoch 0 of its round 0"):
        construct("x", replace(good, theta=dense(DENSE, 5)))


@pytest.mark.parametrize("claim", ["mask", "bias", "off-mask"])
def test_a_weight_source_that_breaks_a_claim_is_caught(monkeypatch, claim: str) -> None:
    def broken(masks, material, rng):
        first, *others = WEIGHTS["fresh"](masks, material, rng)
        weight, mask = first.weight.copy(), first.mask.copy()
        off = tuple(index[0] for index in np.nonzero(~mask))
        if claim == "mask":
            mask[off] = True
        if claim == "off-mask":
            weight[off] = 1.0
        return (replace(first, weight=weight, mask=mask), *others)

    def moved(layers, *_):
        return tuple(replace(layer, bias=layer.bias + np.float32(1)) for layer in layers)

    if claim == "bias":
        monkeypatch.setattr(construction, "_with_biases", moved)
    monkeypatch.setitem(construction.WEIGHTS, "broken", broken)
    with pytest.raises(InvariantError, match="layer hidden1"):
        made(weights="broken" if claim != "bias" else "fresh")


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


# --- weights -------------------------------------------------------------------------------------


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


def in_degrees(layer: Layer) -> np.ndarray:
    degrees = np.count_nonzero(layer.mask.reshape(len(layer.mask), -1), axis=1)
    return degrees.reshape(-1, *[1] * (layer.mask.ndim - 1))


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


# --- the worked example of docs/extending.md ------------------------------------------------------


@pytest.fixture
def example(monkeypatch) -> dict:
    """The page's arm, its mask source registered as the page says; the config of the page."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text("utf-8")
    _, example = page.split("## Worked example", 1)
    code = re.search(r"```python\n(.*?)```", example, flags=re.DOTALL)[1]
    monkeypatch.setitem(MASKS, "block", None)  # taken back after the test
    exec(compile(code, "docs/extending.md", "exec"), {})
    return yaml.safe_load(re.search(r"```yaml\n(.*?)```", example, flags=re.DOTALL)[1])


def test_the_worked_example_adds_an_arm(example: dict) -> None:
    config = yaml.safe_load(
        (Path(__file__).resolve().parents[2] / "config" / "config.yaml").read_text("utf-8")
    )
    valid = checked(config | {"arms": config["arms"] | example["arms"]})
    assert arm_rounds(valid, "block", "fcnet-normal") == [3, 7, 10]
    source = material(**valid["arms"]["block"])
    for layer, own in zip(construct("block", source).layers, source.ticket.layers, strict=True):
        assert np.array_equal(in_degrees(layer), in_degrees(own))
        edges = layer.mask != np.roll(layer.mask, 1, axis=1)
        assert (np.count_nonzero(edges, axis=1) <= 2).all(), "one block of neighbours"


# --- the registries ------------------------------------------------------------------------------


def test_what_entries_say_of_sources_is_what_materials_and_arms_have() -> None:
    for entry in (*MASKS.values(), *WEIGHTS.values()):
        source = properties(entry)
        assert set(source.needs) <= {own.name for own in fields(Material)}
        assert set(source.options) <= {own.name for own in fields(Arm)}
        assert source.keeps in ("layer", "scope", "total")
    assert properties(len) == Source(len)


def test_an_arm_needs_the_ticket_theta_and_what_its_sources_draw_on() -> None:
    assert needs(Arm("imp", "fresh")) == ("ticket", "theta")
    assert needs(Arm("imp-other-seed", "inverse-cdf")) == (
        "ticket", "theta", "donor", "survivors",
    )  # fmt: skip
    assert needs(Arm("snip", "rewind")) == ("ticket", "theta", "dataset")
    assert needs(Arm("synflow", "rewind")) == ("ticket", "theta")


@pytest.mark.parametrize(("mask", "weights"), COMBINATIONS)
def test_a_source_reads_no_more_than_it_needs(mask: str, weights: str) -> None:
    """So that the files of `needs`, the job's inputs, are enough."""
    source = material(**recipe(mask, weights))
    unused = {"donor", "dense", "survivors"} - set(needs(source.arm))
    construct("x", replace(source, **dict.fromkeys(unused)))


@pytest.mark.parametrize("recipe", ["exact-orthogonal", "times-mask"])
def test_an_arm_whose_zeros_have_a_sign_is_written_with_plain_zeros(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotations leave −0.0 behind, and so does a source of a user's that multiplies by the mask."""

    def times_mask(masks, material, rng):
        return tuple(
            replace(layer, weight=-np.abs(layer.weight) * mask, mask=mask)
            for layer, mask in zip(material.theta.layers, masks, strict=True)
        )

    monkeypatch.setitem(WEIGHTS, "times-mask", times_mask)
    mask = recipe if recipe == "exact-orthogonal" else "imp"
    made = construct("mine", material(mask=mask, weights=recipe))
    checkpoint.write(tmp_path / "ticket.h5", made)
    read = checkpoint.read(tmp_path / "ticket.h5")
    assert same_weights(read, made)
    assert not any(np.signbit(layer.weight[~layer.mask]).any() for layer in read.layers)

"""Arms: every pair of sources makes a valid ticket, and one that breaks a claim is caught."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from arm_tools import DENSE, ROUND, SPECS, counts, dense, in_degrees, made, material, recipe
from ticketlens import checkpoint
from ticketlens.checkpoint import Checkpoint
from ticketlens.spec import InitSpec
from ticketlens.study.arms import arm_rounds
from ticketlens.study.config import checked
from ticketlens.tickets import construction
from ticketlens.tickets.construction import construct, needs
from ticketlens.tickets.mask_sources import MASKS, SMALL, keeps_layers, small_theta
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import NotApplicable
from ticketlens.tickets.recipe import Arm, Material, Source, properties
from ticketlens.tickets.weight_sources import WEIGHTS


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    return all(
        a.weight.tobytes() == b.weight.tobytes()
        for a, b in zip(one.layers, other.layers, strict=True)
    )


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

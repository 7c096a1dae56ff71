"""Tickets that start from trained weights, or from files: what they are made from is checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core_tools import same_bits
from ticketlens.checkpoint import read, write
from ticketlens.networks import build
from ticketlens.spec import PruningSpec, Spec
from ticketlens.tickets.bank import BankError, export
from ticketlens.tickets.completion import check_rewinds_to, completed
from ticketlens.tickets.inheritance import inherited, retraining
from ticketlens.tickets.pruning import InvariantError, prune


def pruned(make_ticket, make_trained, rewind, **parts):
    """A trained network of round 0, and the mask of round 1 that it is pruned to."""
    dense = make_ticket(pruning={"rewind": rewind}, **parts)
    trained = make_trained(dense)
    masks = prune(trained.layers, dense.layers, dense.spec.pruning, 0, 1)
    layers = tuple(
        replace(layer, weight=None, bias=None, mask=mask)
        for layer, mask in zip(trained.layers, masks, strict=True)
    )
    return trained, replace(dense, kind="mask", round=1, layers=layers)


@pytest.mark.parametrize("rewind", ["schedule", "none"])
def test_the_ticket_is_mask_times_trained_weights_bit_for_bit(make_ticket, make_trained, rewind):
    trained, mask = pruned(make_ticket, make_trained, rewind)
    ticket = inherited(mask, trained)
    assert (ticket.kind, ticket.round, ticket.density < 1) == ("ticket", 1, True)
    for layer, before in zip(ticket.layers, trained.layers, strict=True):
        assert same_bits(layer.weight, np.where(layer.mask, before.weight, np.float32(0)))
        assert same_bits(layer.bias, before.bias)
    assert ticket.spec.pruning.rewind == rewind


def test_weights_of_another_round_seed_or_state_are_refused(make_ticket, make_trained):
    trained, mask = pruned(make_ticket, make_trained, "schedule")
    dense = make_ticket(pruning={"rewind": "schedule"})
    for wrong in (replace(trained, round=1), replace(trained, seed=1), dense):
        with pytest.raises(InvariantError, match="round 1 of tiny-normal seed 0"):
            inherited(mask, wrong)
    rewinding = replace(mask, spec=mask.spec.replace(pruning=PruningSpec()))
    with pytest.raises(InvariantError, match="rewind 'weights'"):
        inherited(rewinding, trained)


def test_fine_tuning_has_no_warm_up_and_no_schedule_that_ends_at_zero():
    spec = Spec.from_mapping({"pruning": {"rewind": "none"}, "training": {"warmup_epochs": 3}})
    assert retraining(spec).training == replace(spec.training, warmup_epochs=0)
    again = spec.replace(pruning=PruningSpec(rewind="schedule"))
    assert retraining(again) == again
    cosine = spec.replace(training=replace(spec.training, schedule="cosine"))
    with pytest.raises(ValueError, match=r"ends at rate 0; allowed: constant"):
        retraining(cosine)


def test_how_rounds_begin_is_in_the_spec_but_not_in_round_0s_nor_at_its_default():
    own = Spec(pruning=PruningSpec(rewind="none"))
    assert own.sha256 != Spec().sha256 and '"rewind":' not in Spec().to_json()
    assert own.of_round(0) == Spec() and own.of_round(1) == own
    assert Spec.from_json(own.to_json()) == own


@pytest.mark.parametrize("rewind", ["schedule", "none"])
def test_the_bank_refuses_chains_that_start_from_trained_weights_by_name(
    make_ticket, tmp_path, rewind
):
    write(tmp_path / "ticket.h5", make_ticket(pruning={"rewind": rewind}))
    with pytest.raises(BankError, match=f"pruning.rewind is '{rewind}'"):
        export(tmp_path / "bank.h5", tmp_path / "ticket.h5", [], [])
    assert not (tmp_path / "bank.h5").exists()


# --- completed -----------------------------------------------------------------------------------


def test_a_completed_theta_0_has_the_tickets_weights_and_rewinds_to_it(make_ticket, tmp_path):
    ticket = make_ticket(0.3, round_=4)
    theta = completed(ticket)
    assert theta.round == 0 and theta.density == 1
    for one, whole in zip(ticket.layers, theta.layers, strict=True):
        assert same_bits(whole.weight[one.mask], one.weight[one.mask])
        assert whole.weight[~one.mask].all(), "drawn, not zero"
        assert same_bits(whole.bias, one.bias)
    write(tmp_path / "theta.h5", theta)
    check_rewinds_to(ticket, read(tmp_path / "theta.h5").layers)
    assert build(theta) is not None


def test_a_ticket_that_was_not_rewound_is_found(make_ticket, make_trained):
    ticket = make_ticket(0.3, round_=4)
    with pytest.raises(InvariantError, match=r"layer hidden1: \d+ values differ from its mask"):
        check_rewinds_to(ticket, make_trained(completed(ticket)).layers)

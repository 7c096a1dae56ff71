"""Chains that are none, and banks that are damaged, foreign or in another's place, are refused."""

from __future__ import annotations

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank_tools import ROUNDS, SHIPPED
from core_tools import edited_copy, same_bits
from ticketlens import bank as public
from ticketlens.checkpoint import read, write
from ticketlens.spec import InitSpec
from ticketlens.tickets import bank
from ticketlens.tickets.bank import BankError, check_chain, export, read_bank
from ticketlens.tickets.pruning import InvariantError

# --- chains that are none ------------------------------------------------------------------------


def test_files_that_are_not_one_chain_are_refused(chain, tmp_path):
    tickets, masks, trained = chain
    other_seed = tmp_path / "other.h5"
    write(other_seed, replace(read(trained[1]), seed=6))
    other_spec = tmp_path / "spec.h5"
    mask = read(masks[0])
    write(other_spec, replace(mask, spec=mask.spec.replace(init=InitSpec(sigma_w=1.3))))
    wrong = [
        (tickets[0], masks[::-1], trained, "round04-mask.h5: not round 1 of tiny-normal seed 5"),
        (tickets[0], masks[1:], trained[1:], "round02-mask.h5: not round 1"),
        (tickets[0], [other_spec, *masks[1:]], trained, "spec.h5: not round 1"),
        (tickets[0], masks, trained[:-1], "4 trained networks for rounds 0 to 4"),
        (tickets[0], masks, trained[::-1], "round04-trained.h5: not round 0"),
        (tickets[0], masks, [trained[0], other_seed, *trained[2:]], "other.h5: not round 1"),
        (tickets[1], masks, trained, "round01-ticket.h5: is not the theta_0"),
    ]
    for ticket, of_masks, of_trained, message in wrong:
        with pytest.raises(BankError, match=message):
            export(tmp_path / "bank.h5", ticket, of_masks, of_trained)
        assert not (tmp_path / "bank.h5").exists()
    with pytest.raises(ValueError, match="kind is 'mask', expected 'ticket'"):
        export(tmp_path / "bank.h5", masks[0], masks, trained)


def test_masks_that_are_not_nested_are_refused(chain, tmp_path):
    tickets, masks, trained = chain
    second = read(masks[1])
    layer = second.layers[0]
    revived = replace(layer, mask=np.ones_like(layer.mask))
    write(tmp_path / "revived.h5", replace(second, layers=(revived, *second.layers[1:])))
    with pytest.raises(InvariantError, match=r"layer hidden1: \d+ pruned weights came back"):
        export(
            tmp_path / "bank.h5",
            tickets[0],
            [masks[0], tmp_path / "revived.h5", *masks[2:]],
            trained,
        )


def test_late_rewinding_cannot_be_banked(make_ticket, tmp_path):
    write(tmp_path / "ticket.h5", make_ticket(pruning={"rewind_epoch": 2}))
    with pytest.raises(
        BankError, match="rewinds to epoch 2; the bank rebuilds tickets that rewind"
    ):
        export(tmp_path / "bank.h5", tmp_path / "ticket.h5", [], [])


# --- rounds that are not there -------------------------------------------------------------------


@pytest.mark.parametrize("round_", [-1, ROUNDS + 1])
def test_a_round_that_the_bank_does_not_hold_is_refused(packed, round_):
    with pytest.raises(BankError, match=rf"seed 5 holds rounds 0 to {ROUNDS}, not {round_}"):
        bank.ticket(read_bank(packed), round_)


def test_more_rounds_than_two_digits_name_are_refused(packed, tmp_path):
    def edit(file):
        file.attrs["rounds"] = 100

    with pytest.raises(BankError, match="100 rounds; expected at most 99"):
        read_bank(edited_copy(packed, tmp_path / "edited.h5", edit))
    # 99 are allowed: what is missed then is the rounds themselves.
    allowed = edited_copy(
        packed, tmp_path / "allowed.h5", lambda file: file.attrs.modify("rounds", 99)
    )
    with pytest.raises(BankError, match=r"history|round") as refused:
        read_bank(allowed)
    assert "expected at most" not in str(refused.value)


# --- damaged and foreign files -------------------------------------------------------------------


def test_a_missing_bank_says_how_banks_are_made(tmp_path):
    with pytest.raises(BankError, match=r"none\.h5: no such file; .*`snakemake bank`"):
        read_bank(tmp_path / "none.h5")


@given(st.data())
def test_a_flipped_bit_or_a_cut_is_refused_or_harmless(packed, data):
    raw = bytearray(packed.read_bytes())
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, 8 * len(raw) - 1))
        raw[position // 8] ^= 1 << position % 8
    else:
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    damaged = packed.with_name("damaged.h5")
    damaged.write_bytes(raw)
    try:
        found = read_bank(damaged)
    except BankError as error:
        assert str(damaged) in str(error)  # noqa: PT017 (either outcome is right)
    else:
        expected = read_bank(packed)
        assert (found.spec, found.theta_0_sha256) == (expected.spec, expected.theta_0_sha256)
        for name, removed in expected.removed_in.items():
            assert same_bits(found.removed_in[name], removed)


def resized(file):
    del file["layers/00-hidden1/removed_in"]
    file["layers/00-hidden1/removed_in"] = np.zeros((1, 3), np.uint8)


def retyped(file):
    values = file["layers/00-hidden1/removed_in"][()].astype(float)
    del file["layers/00-hidden1/removed_in"]
    file["layers/00-hidden1/removed_in"] = values


def linked(file):
    del file["layers/00-hidden1/removed_in"]
    file["layers/00-hidden1/removed_in"] = h5py.ExternalLink("/etc/hostname", "/x")


def late(file):
    values = file["layers/00-hidden1/removed_in"]
    values[...] = np.full(values.shape, ROUNDS + 1, np.uint8)


def revived(file):
    """Put back a weight that round 1 removed."""
    values = file["layers/00-hidden1/removed_in"]
    removed = values[...]
    removed.flat[np.flatnonzero(removed == 1)[0]] = 2
    values[...] = removed


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (revived, "round 1: layer hidden1: .* weights kept; expected .* by the pruning rule"),
        (lambda file: file.attrs.__setitem__("format", "ticketlens"), "not a ticket bank"),
        (
            lambda file: file.attrs.__setitem__("format_version", 2),
            "not a ticket bank of version 1",
        ),
        (lambda file: file.attrs.__delitem__("format"), "not a ticket bank"),
        (lambda file: file.attrs.__delitem__("theta_0_sha256"), "'theta_0_sha256' is missing"),
        (lambda file: file.attrs.__setitem__("spec", "{}"), "spec does not match its SHA-256"),
        (lambda file: file.attrs.__setitem__("rounds", 5), "round05 is missing or a link"),
        (lambda file: file.__delitem__("layers/02-readout"), "layers .*, the spec says"),
        (lambda file: file.move("layers/02-readout", "layers/02-x"), "layers .*, the spec says"),
        (lambda file: file.__delitem__("history/round02"), "round02 is missing or a link"),
        (resized, "hidden1 has shape \\(1, 3\\)"),
        (retyped, "entries of float64"),
        (linked, "removed_in is missing or a link"),
        (late, "rounds up to 5; expected .* at most 4"),
    ],
)
def test_an_edited_or_foreign_bank_is_refused(packed, tmp_path, edit, message):
    path = edited_copy(packed, tmp_path / "edited.h5", edit)
    with pytest.raises(BankError, match=rf"edited\.h5: .*{message}"):
        read_bank(path)


def test_a_checkpoint_is_no_bank_and_a_bank_no_checkpoint(chain, packed):
    with pytest.raises(BankError, match="not a ticket bank"):
        read_bank(chain[0][0])
    with pytest.raises(ValueError, match="not a ticketlens file"):
        read(packed)


@pytest.mark.parametrize(("study", "seed"), [("tiny-normal", 6), ("another", 5)])
def test_a_bank_in_anothers_place_is_refused(packed, study, seed):
    found = read_bank(packed)
    check_chain(found, "tiny-normal", 5, found.spec)
    with pytest.raises(
        BankError, match=f"holds the chain of tiny-normal seed 5 and is in the place of {study} "
        f"seed {seed}",
    ):  # fmt: skip
        check_chain(found, study, seed, found.spec)


def test_a_bank_copied_over_anothers_is_not_loaded(tmp_path):
    shutil.copytree(SHIPPED / "convnet-reduced-normal", tmp_path / "convnet-reduced-normal")
    folder = tmp_path / "convnet-reduced-normal"
    assert public.load("convnet-reduced-normal", 1, 0, tmp_path).seed == 1
    shutil.copy(folder / "seed0.h5", folder / "seed1.h5")
    with pytest.raises(BankError, match=r"seed1\.h5: the file holds .* seed 0 and is in the place"):
        public.load("convnet-reduced-normal", 1, 0, tmp_path)

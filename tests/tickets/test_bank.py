"""The ticket bank: a chain packed into one file is rebuilt bit for bit, and can go on from it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank_tools import ROUNDS, SHIPPED
from core_tools import same_bits
from ticketlens.checkpoint import read, read_summary, write
from ticketlens.tickets import bank
from ticketlens.tickets.bank import (
    BankError,
    check_chain,
    export,
    read_bank,
    removed_mask,
    summaries,
)
from ticketlens.tickets.bank_file import write_bank

OLD = Path(__file__).with_name("bank-of-0.1.0.h5")  # HDF5 2.0's own format


# --- the same tickets ----------------------------------------------------------------------------


def test_every_ticket_is_rebuilt_bit_for_bit(chain, packed, tmp_path):
    found = read_bank(packed)
    assert found.rounds == ROUNDS
    for round_, path in enumerate(chain[0]):
        rebuilt, original = bank.ticket(found, round_), read(path, kind="ticket")
        for one, other in zip(rebuilt.layers, original.layers, strict=True):
            assert (one.name, one.kind) == (other.name, other.kind)
            for name in ("weight", "bias", "mask"):
                assert same_bits(getattr(one, name), getattr(other, name)), name
        assert rebuilt.attrs == original.attrs
        assert rebuilt.content_sha256 == original.content_sha256
        write(tmp_path / "rebuilt.h5", rebuilt)


def test_summaries_equal_those_of_the_trained_networks(chain, packed):
    runs = summaries(read_bank(packed), ROUNDS)
    assert len(runs) == ROUNDS + 1
    for found, path in zip(runs, chain[2], strict=True):
        expected = read_summary(path)
        for name in ("study", "seed", "round", "arm", "spec", "density"):
            assert getattr(found, name) == getattr(expected, name)
        assert dict(found.kept) == dict(expected.kept)
        assert set(found.history) == set(expected.history)
        for name, values in expected.history.items():
            assert same_bits(found.history[name], values)


def test_summaries_of_more_rounds_than_the_bank_has_are_refused(packed):
    found = read_bank(packed)
    assert [run.round for run in summaries(found, 1)] == [0, 1]
    with pytest.raises(BankError, match=f"holds rounds 0 to {ROUNDS}, not {ROUNDS + 1}"):
        summaries(found, ROUNDS + 1)


def test_a_last_round_that_is_not_trained_has_no_summary(packed):
    chain = read_bank(packed)
    open_chain = replace(chain, histories=chain.histories[:-1])
    assert len(bank.summaries(open_chain, chain.rounds - 1)) == chain.rounds
    with pytest.raises(
        BankError, match=f"round {ROUNDS} has not been .* to {ROUNDS - 1}, or train"
    ):
        bank.summaries(open_chain, chain.rounds)


def test_export_returns_what_the_file_holds(chain, tmp_path):
    tickets, masks, trained = chain
    exported = export(tmp_path / "bank.h5", tickets[0], masks, trained)
    found = read_bank(tmp_path / "bank.h5")
    for name in ("study", "seed", "rounds", "spec", "theta_0_sha256"):
        assert getattr(exported, name) == getattr(found, name)
    for name, removed in exported.removed_in.items():
        assert same_bits(removed, found.removed_in[name])


@pytest.mark.parametrize("done", [1, 2])
def test_a_chain_that_goes_on_from_its_bank_is_the_bank_of_all_its_rounds(chain, tmp_path, done):
    """Two rounds more, of a bank of one or two; the files of earlier rounds are not there."""
    tickets, masks, trained = chain
    earlier, later, whole = (tmp_path / f"{name}.h5" for name in ("earlier", "later", "whole"))
    export(earlier, tickets[0], masks[:done], trained[: done + 1])
    found = export(later, tickets[0], masks[done : done + 2], trained[done : done + 3], earlier)
    export(whole, tickets[0], masks[: done + 2], trained[: done + 3])
    assert (found.rounds, read_bank(later).is_open) == (done + 2, False)
    assert later.read_bytes() == whole.read_bytes()
    with pytest.raises(BankError, match=f"1 trained networks for rounds {done} to {done + 2}; "):
        export(later, tickets[0], masks[done : done + 2], trained[:1], earlier)


def test_the_last_round_alone_may_be_untrained_and_only_where_that_is_said(chain, tmp_path):
    tickets, masks, trained = chain
    path = tmp_path / "open.h5"
    found = export(path, tickets[0], masks[:2], trained[:2], may_be_open=True)
    assert found.is_open and read_bank(path).is_open and (found.rounds, found.border) == (2, {})
    for of_masks, of_trained, allowed in (
        (masks[:2], trained[:2], False),
        (masks[:2], trained[:1], True),
        ([], [], True),  # not even the dense network is trained
    ):
        wanted = "one for each round" + (", or for each but the last" if allowed else "")
        with pytest.raises(
            BankError, match=rf"trained networks for rounds 0 to \d; expected {wanted}$"
        ):
            export(path, tickets[0], of_masks, of_trained, may_be_open=allowed)


def test_of_masks_pruned_otherwise_the_first_that_differs_from_the_last_is_named(chain, tmp_path):
    tickets, masks, trained = chain
    last = read(masks[-1])
    pruning = replace(last.spec.pruning, rate=0.3)
    write(tmp_path / "last.h5", replace(last, spec=last.spec.replace(pruning=pruning)))
    with pytest.raises(BankError, match=r"round01-mask\.h5: not round 1 .* made by another spec"):
        export(tmp_path / "bank.h5", tickets[0], [*masks[:-1], tmp_path / "last.h5"], trained)


def test_a_bank_of_another_theta_0_cannot_go_on(chain, tmp_path):
    tickets, masks, trained = chain
    earlier = tmp_path / "earlier.h5"
    found = export(earlier, tickets[0], masks[:1], trained[:2])
    write_bank(earlier, replace(found, theta_0_sha256="0" * 64))
    with pytest.raises(BankError, match=r"round00-ticket\.h5: is not the theta_0 of .*earlier\.h5"):
        export(tmp_path / "bank.h5", tickets[0], masks[1:2], trained[1:3], earlier)


@pytest.mark.parametrize("count", [1, 3])
def test_masks_of_trained_weights_are_refused_by_the_last_one_s_name(chain, tmp_path, count):
    tickets, masks, trained = chain
    paths = []
    for path in masks[:count]:
        mask = read(path)
        pruning = replace(mask.spec.pruning, rewind="schedule")
        paths.append(tmp_path / path.name)
        write(paths[-1], replace(mask, spec=mask.spec.replace(pruning=pruning)))
    with pytest.raises(BankError, match=f"{paths[-1].name}: pruning.rewind is 'schedule', with"):
        export(tmp_path / "bank.h5", tickets[0], paths, trained[: count + 1])


def test_the_bank_says_how_the_last_round_was_pruned(chain, tmp_path):
    """Round 0 was made before the config said how to prune: nothing asks its file."""
    dense, masks, trained = chain[0][0], chain[1], chain[2]
    ticket = read(dense)
    before = replace(ticket.spec.pruning, rate=0.9, scope="global")
    spec = ticket.spec.replace(pruning=before)
    paths = [tmp_path / name for name in ("ticket.h5", "trained.h5", "bank.h5")]
    write(paths[0], replace(ticket, spec=spec))
    write(paths[1], replace(read(trained[0]), spec=spec))
    bank = export(paths[2], paths[0], masks, [paths[1], *trained[1:]])
    assert bank.spec == ticket.spec
    check_chain(bank, bank.study, bank.seed, ticket.spec)
    with pytest.raises(BankError, match=r"pruning\.rate is"):
        check_chain(bank, bank.study, bank.seed, spec)
    with pytest.raises(BankError, match="not round 1"):
        export(paths[2], paths[0], masks, [paths[1], paths[1], *trained[2:]])


def test_the_file_has_the_documented_layout(packed):
    with h5py.File(packed) as file:
        assert file.attrs["format"] == "ticketlens-bank"
        assert (file.attrs["format_version"], file.attrs["rounds"]) == (1, ROUNDS)
        assert (file.attrs["study"], file.attrs["seed"]) == ("tiny-normal", 5)
        assert list(file["layers"]) == ["00-hidden1", "01-hidden2", "02-readout"]
        removed = file["layers/01-hidden2/removed_in"]
        assert removed.dtype == np.uint8 and removed.fletcher32
        assert set(np.unique(removed)) == {0, 1, 2, 3, 4}
        assert set(file["history"]) == {f"round{n:02d}" for n in range(ROUNDS + 1)}


def test_no_weight_is_stored(packed):
    arrays = []
    with h5py.File(packed) as file:
        file.visititems(lambda name, item: arrays.append((name, getattr(item, "size", 0))))
    assert all(size <= 3 or name.endswith("removed_in") for name, size in arrays)


# --- other versions ------------------------------------------------------------------------------


NEEDS_HDF5_2 = pytest.mark.skipif(
    h5py.version.hdf5_version_tuple < (2,), reason="banks of 0.1.0 were written by HDF5 2.0"
)


@NEEDS_HDF5_2
def test_a_bank_as_0_1_0_wrote_it_is_read_and_is_older_readable_after_a_rewrite(tmp_path):
    found = read_bank(OLD)
    assert (found.study, found.seed, found.rounds, found.border) == ("tiny-normal", 5, 2, {})
    assert bank.ticket(found, 2).density < 0.7
    bank.write_bank(tmp_path / "new.h5", found)
    again = read_bank(tmp_path / "new.h5")
    assert bank.ticket(again, 2).content_sha256 == bank.ticket(found, 2).content_sha256
    assert again.spec == found.spec
    for one, other in zip(again.histories, found.histories, strict=True):
        assert all(same_bits(one[key], other[key]) for key in other) and set(one) == set(other)


@pytest.mark.skipif(h5py.version.hdf5_version_tuple >= (2,), reason="HDF5 2.0 reads it")
def test_a_bank_as_0_1_0_wrote_it_is_called_newer_by_older_versions():
    with pytest.raises(BankError, match=r"written by a newer HDF5 than 1\."):
        read_bank(OLD)


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed")
def test_h5dump_opens_the_shipped_bank():
    paths = sorted(SHIPPED.glob("*/seed*.h5"))
    assert len(paths) >= 19
    for path in paths:
        dump = subprocess.run(["h5dump", "-a", "/study", str(path)], capture_output=True, text=True)
        assert dump.returncode == 0 and path.parent.name in dump.stdout, (path, dump.stderr)


def test_stored_weights_of_any_layer_come_back_and_no_more_than_a_million_of_one(packed, tmp_path):
    found, path = read_bank(packed), tmp_path / "bank.h5"
    for name, removed in found.removed_in.items():
        index = np.array([1, removed.size - 1], np.uint32)
        border = {name: (index, np.array([0.5, -0.5], np.float32))}
        write_bank(path, replace(found, border=border))
        (kept,) = read_bank(path).border.items()
        assert kept[0] == name and all(map(same_bits, kept[1], border[name]))
    many = np.zeros(2**20 + 1, np.uint32)
    write_bank(path, replace(found, border={name: (many, many.astype(np.float32))}))
    with pytest.raises(BankError, match=f"border .*{2**20 + 1}"):
        read_bank(path)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_masks_of_a_bank_are_nested_and_begin_full(removed_in):
    removed = np.array(removed_in, np.uint8)
    found = [removed_mask(removed, round_) for round_ in range(10)]
    assert found[0].all()
    assert all(not (new & ~old).any() for old, new in pairwise(found))
    assert np.array_equal(found[9], removed == 0)


def test_a_chain_of_no_rounds_is_a_bank_of_its_dense_ticket(chain, tmp_path):
    tickets, _, trained = chain
    export(tmp_path / "bank.h5", tickets[0], [], trained[:1])
    rebuilt = bank.ticket(read_bank(tmp_path / "bank.h5"), 0)
    assert rebuilt.content_sha256 == read(tickets[0]).content_sha256

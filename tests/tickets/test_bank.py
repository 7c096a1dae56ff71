"""The ticket bank: a chain packed into one file is rebuilt bit for bit, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_tools import edited_copy, same_bits
from ticketlens import bank as public
from ticketlens.architecture import layer_shapes
from ticketlens.checkpoint import Checkpoint, read, read_summary, write
from ticketlens.seeds import stream
from ticketlens.spec import InitSpec
from ticketlens.tickets import bank, initialization
from ticketlens.tickets.bank import (
    BankError,
    check_chain,
    export,
    read_bank,
    removed_mask,
    summaries,
)
from ticketlens.tickets.bank_file import write_bank
from ticketlens.tickets.initialization import initial_layers, theta_sha256
from ticketlens.tickets.pruning import InvariantError, prune
from ticketlens.tickets.random_weights import rewind

ROUNDS = 4
SHIPPED = Path(__file__).parents[2] / "resources" / "tickets"
OLD = Path(__file__).with_name("bank-of-0.1.0.h5")  # HDF5 2.0's own format


@pytest.fixture(scope="module", params=["fcnet", "convnet orthogonal"])
def chain(request, make_ticket, make_trained, tmp_path_factory):
    """Return the files of a finished chain as the rules make them: tickets, masks, trained."""
    conv = {"network": {"family": "convolutional", "width": 4}, "init": {"scheme": "orthogonal"}}
    ticket = theta = make_ticket(seed=5, **({} if request.param == "fcnet" else conv))
    folder = tmp_path_factory.mktemp("chain")
    tickets, masks, trained = [], [], []

    def put(files, checkpoint):
        files.append(folder / f"round{checkpoint.round:02d}-{checkpoint.kind}.h5")
        write(files[-1], checkpoint)

    put(tickets, ticket)
    for round_ in range(1, ROUNDS + 1):
        network = make_trained(ticket, seed=round_)
        put(trained, network)
        found = prune(network.layers, ticket.layers, ticket.spec.pruning, ticket.seed, round_)
        layers = tuple(
            replace(layer, weight=None, bias=None, mask=mask)
            for layer, mask in zip(ticket.layers, found, strict=True)
        )
        mask = replace(ticket, kind="mask", round=round_, layers=layers)
        put(masks, mask)
        ticket = replace(mask, kind="ticket", layers=rewind(found, theta.layers))
        put(tickets, ticket)
    put(trained, make_trained(ticket, seed=0))
    return tickets, masks, trained


@pytest.fixture(scope="module")
def packed(chain, tmp_path_factory):
    """Return the bank file of the chain. Read only."""
    tickets, masks, trained = chain
    path = tmp_path_factory.mktemp("bank") / "seed5.h5"
    export(path, tickets[0], masks, trained)
    return path


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


# --- theta_0 on other machines -------------------------------------------------------------------


def elsewhere(monkeypatch, round_otherwise):
    """Let this machine draw theta_0 with `round_otherwise` of each orthogonal layer's weights."""
    draw = initialization.orthogonal_weight

    def other(shape, init, rng):
        return round_otherwise(draw(shape, init, rng), shape)

    scheme = initialization.Scheme(*initialization.SCHEMES["orthogonal"])
    monkeypatch.setitem(initialization.SCHEMES, "orthogonal", scheme._replace(weight=other))


@pytest.fixture(scope="module")
def orthogonal(make_spec, make_trained, tmp_path_factory):
    """Return (ticket, trained, bank file, layer, index) of a dense chain that has a border."""
    network, folder = {"width": 200}, tmp_path_factory.mktemp("orthogonal")
    for seed in range(100):
        spec = make_spec(network=network, init={"scheme": "orthogonal"})
        if found := initialization.border(spec, seed):
            break
    ticket = Checkpoint("ticket", "tiny", seed, 0, "imp", spec, initial_layers(spec, seed))
    write(folder / "ticket.h5", ticket)
    write(folder / "trained.h5", make_trained(ticket))
    export(folder / "bank.h5", folder / "ticket.h5", [], [folder / "trained.h5"])
    layer, index = next(iter(found.items()))
    return folder / "ticket.h5", folder / "trained.h5", folder / "bank.h5", layer, index


def to_the_other_side(orthogonal):
    """Return what rounds the border weights of a layer to the float32 on the other side."""
    _, _, _, name, index = orthogonal

    def round_otherwise(weight, shape):
        if shape.name == name:
            exact = weight.flat[index]
            near = exact.astype(np.float32)
            away = np.where(exact > near, np.inf, -np.inf).astype(np.float32)
            middle = (near.astype(float) + np.nextafter(near, away)) / 2
            weight.flat[index] = 2 * middle - exact  # as far beyond the middle as it was before it
        return weight

    return round_otherwise


def test_a_bank_is_rebuilt_where_border_weights_round_otherwise(orthogonal, monkeypatch):
    expected, packed = read(orthogonal[0]), orthogonal[2]
    assert read_bank(packed).border
    elsewhere(monkeypatch, to_the_other_side(orthogonal))
    found = read_bank(packed)
    assert theta_sha256(initial_layers(found.spec, found.seed)) != found.theta_0_sha256
    assert bank.ticket(found, 0).content_sha256 == expected.content_sha256


def test_export_takes_what_init_drew_on_another_machine(orthogonal, monkeypatch, tmp_path):
    ticket, trained, packed, _, _ = orthogonal
    elsewhere(monkeypatch, to_the_other_side(orthogonal))
    export(tmp_path / "bank.h5", ticket, [], [trained])
    assert read_bank(tmp_path / "bank.h5").theta_0_sha256 == read_bank(packed).theta_0_sha256


def test_a_stored_weight_near_zero_may_move_by_more_than_its_last_bit(orthogonal):
    # Of 1.6e-10 and an uncertainty of 3e-13: thousands of float32 numbers are next to each other.
    found = read_bank(orthogonal[2])
    name, (index, values) = next(iter(found.border.items()))
    for away in (1e-13, -1e-9):
        moved = (values.astype(float) + away).astype(np.float32)
        bank.theta_0(replace(found, border={name: (index, moved)}))
    with pytest.raises(BankError, match="is not next to"):
        bank.theta_0(replace(found, border={name: (index, values + np.float32(1e-6))}))


def test_stored_weights_that_nobody_draws_are_refused(orthogonal):
    found = read_bank(orthogonal[2])
    name, (index, values) = next(iter(found.border.items()))
    for wrong in (values * 2, np.full_like(values, np.nan)):
        with pytest.raises(BankError, match=f"layer {name}: the stored weight .* is not next to"):
            bank.theta_0(replace(found, border={name: (index, wrong)}))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("border", lambda values: values[::-1] if len(values) > 1 else values + 10**6),
        ("border", lambda values: np.concatenate([values, values[-1:]])),
        ("border", lambda values: values + 2**31),
        ("border_values", lambda values: values[:-1]),
        ("border_values", lambda values: values.astype(float)),
        ("border_values", None),
    ],
)
def test_a_border_that_is_not_the_layers_own_is_refused(orthogonal, tmp_path, key, change):
    def edit(file):
        numbers = {layer.name: n for n, layer in enumerate(layer_shapes(read_bank(packed).spec))}
        path = f"layers/{numbers[name]:02d}-{name}/{key}"
        values = file[path][()]
        del file[path]
        if change is not None:
            file[path] = change(values)

    _, _, packed, name, _ = orthogonal
    path = edited_copy(packed, tmp_path / "edited.h5", edit)
    with pytest.raises(BankError, match=r"edited\.h5: damaged or foreign: .*border"):
        read_bank(path)


SETTINGS = ("Haswell", "SkylakeX", "SapphireRapids", "Zen", "Nehalem", "Prescott", "Sandybridge")
DRAW = """
import sys
from ticketlens.spec import Spec
from ticketlens.tickets import bank, initialization
from ticketlens.tickets.initialization import initial_layers, theta_sha256
for path in sys.argv[1:]:
    chain = bank.read_bank(path)
    is_other = theta_sha256(initial_layers(chain.spec, chain.seed)) != chain.theta_0_sha256
    print(theta_sha256(bank.theta_0(chain)) == chain.theta_0_sha256, is_other)
"""


def drawn_with(kernels, paths):
    """Return [rebuilt, drawn otherwise] of each bank in a process with these BLAS kernels."""
    library = Path(bank.__file__).parents[2]
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels, "PYTHONPATH": str(library)}
    found = subprocess.run(
        [sys.executable, "-c", DRAW, *map(str, paths)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [[word == "True" for word in line.split()] for line in found.stdout.splitlines()]


def test_the_shipped_orthogonal_chains_are_rebuilt_with_other_kernels():
    paths = sorted(SHIPPED.glob("fcnet-orthogonal*/seed*.h5"))
    assert paths and all(read_bank(path).border for path in paths)
    for kernels in ("Haswell", "Nehalem"):
        assert all(rebuilt for rebuilt, _ in drawn_with(kernels, paths))


@pytest.mark.nightly
def test_orthogonal_chains_of_60_seeds_are_rebuilt_with_every_kernel(tmp_path):
    spec = read_bank(SHIPPED / "fcnet-orthogonal" / "seed0.h5").spec
    paths = []
    for seed in range(60):
        theta = initial_layers(spec, seed)
        removed = {layer.name: np.zeros(layer.mask.shape, np.uint8) for layer in theta}
        border = bank.border_of(theta, spec, seed)
        paths.append(tmp_path / f"seed{seed}.h5")
        digest = theta_sha256(theta)
        bank.write_bank(paths[-1], bank.Bank("x", seed, 0, spec, digest, removed, ({},), border))
    for kernels in SETTINGS:
        found = drawn_with(kernels, paths)
        print(f"{kernels}: {sum(other for _, other in found)} of {len(found)} drawn otherwise")
        assert all(rebuilt for rebuilt, _ in found), kernels


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


# --- tickets that do not fit their weights -----------------------------------------------------


@pytest.mark.parametrize("change", ["seed", "init", "digest", "streams"])
def test_another_theta_0_is_refused(packed, monkeypatch, change):
    found = read_bank(packed)
    if change == "seed":
        found = replace(found, seed=6)
    elif change == "init":
        found = replace(found, spec=found.spec.replace(init=InitSpec(sigma_w=1.3)))
    elif change == "digest":
        found = replace(found, theta_0_sha256="0" * 64)
    else:  # another library version that draws other numbers
        draw = "ticketlens.tickets.initialization.stream"
        monkeypatch.setattr(draw, lambda seed, *purpose: stream(seed + 1, *purpose))
    with pytest.raises(BankError, match=r"theta_0 drawn here has SHA-256 .*refusing to rebuild"):
        bank.ticket(found, 2)


@pytest.mark.parametrize("round_", [-1, ROUNDS + 1])
def test_a_round_that_the_bank_does_not_hold_is_refused(packed, round_):
    with pytest.raises(BankError, match=rf"seed 5 holds rounds 0 to {ROUNDS}, not {round_}"):
        bank.ticket(read_bank(packed), round_)


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


def test_theta_0_is_drawn_again_from_seed_and_spec(chain, packed):
    layers = bank.theta_0(read_bank(packed))
    assert theta_sha256(layers) == theta_sha256(read(chain[0][0]).layers)


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

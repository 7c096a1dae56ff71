"""Trained networks of the bank: float16 on the mask, said to be rounded, and safe to open."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from core_tools import edited_copy
from ticketlens import bank, checkpoint
from ticketlens.checkpoint import MAX_WEIGHTS, Checkpoint
from ticketlens.files import hdf5
from ticketlens.spec import Spec
from ticketlens.tables import stability
from ticketlens.tickets import trained_bank
from ticketlens.tickets.bank import BankError, removed_mask
from ticketlens.tickets.trained_bank import ERROR, ORIGINAL, ROUNDED, at, export, load, networks
from workflow_tools import REPOSITORY

SHIPPED = sorted((REPOSITORY / "resources/tickets").glob("*/trained/seed*.h5"))
PLACE = "round02/networks/order-1"
LAYER = f"{PLACE}/layers/00-hidden1"


@pytest.fixture(scope="module")
def trained(make_ticket, make_trained) -> dict[str, Checkpoint]:
    """Two trainings of one ticket, by two orders of the data."""
    ticket = make_ticket(0.4, seed=3, round_=2)

    def of(order: int) -> Checkpoint:
        spec = replace(ticket.spec, training=replace(ticket.spec.training, data_order=order))
        extra = {"arm_mask": "imp", "device": "cpu"}
        own = replace(make_trained(ticket, seed=order), spec=spec, arm=f"order-{order}")
        return replace(own, extra=extra)

    return {f"order-{order}": of(order) for order in (1, 2)}


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp("runs")
    for name, network in trained.items():
        checkpoint.write(folder / f"{name}.h5", network)
    return [folder / f"{name}.h5" for name in trained]


@pytest.fixture(scope="module")
def packed(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "tiny-normal/trained/seed3.h5"
    export(path, files)
    return path


def test_a_network_comes_back_as_its_weights_to_the_nearest_float16(trained, packed):
    assert networks(packed) == [(2, "order-1"), (2, "order-2")]
    for name, exact in trained.items():
        found = load(packed, 2, name)
        checkpoint.check(found)
        error = 0.0
        for near, layer in zip(found.layers, exact.layers, strict=True):
            assert np.array_equal(near.mask, layer.mask)
            assert near.weight.dtype == np.float32
            assert np.array_equal(near.weight, layer.weight.astype(np.float16))
            assert np.array_equal(near.bias, layer.bias), "biases are not rounded"
            error = max(error, float(abs(near.weight - layer.weight).max()))
        assert found.extra[ERROR] == error > 0
        assert found.spec == exact.spec
        assert (found.study, found.seed, found.round, found.arm) == ("tiny-normal", 3, 2, name)
        assert set(found.history) == set(exact.history)
        for key, values in exact.history.items():
            assert np.array_equal(found.history[key], np.atleast_1d(values))


def test_weights_stand_in_the_order_of_the_mask(trained, packed):
    layer = trained["order-1"].layers[0]
    with h5py.File(packed) as file:
        stored = file[f"{LAYER}/weight"][()]
    places = np.flatnonzero(layer.mask.ravel())
    assert np.array_equal(stored, layer.weight.ravel()[places].astype(np.float16))


def test_a_rounded_network_says_so_wherever_it_goes(trained, packed, tmp_path):
    found = load(packed, 2, "order-1")
    assert found.extra[ROUNDED] == "float16"
    assert found.extra[ORIGINAL] == trained["order-1"].content_sha256 != found.content_sha256
    assert found.extra["arm_mask"] == "imp"
    assert trained_bank.is_rounded(found) and not trained_bank.is_rounded(trained["order-1"])
    checkpoint.write(tmp_path / "trained.h5", found)
    assert trained_bank.is_rounded(checkpoint.read(tmp_path / "trained.h5"))
    with pytest.raises(BankError, match="rounded already; export the trained network"):
        export(tmp_path / "again.h5", [tmp_path / "trained.h5"])


def test_the_same_networks_are_the_same_bytes_in_any_order(files, packed, tmp_path):
    export(tmp_path / "again.h5", files[::-1])
    assert (tmp_path / "again.h5").read_bytes() == packed.read_bytes()


def of_another_mask(network: Checkpoint) -> Checkpoint:
    first = network.layers[0]
    mask = first.mask.copy()
    mask.flat[np.flatnonzero(mask)[0]] = False
    weight = np.where(mask, first.weight, np.float32(0))
    layers = (replace(first, mask=mask, weight=weight), *network.layers[1:])
    return replace(network, layers=layers, best_validation=())


def with_a_weight(value: float):
    def changed(network: Checkpoint) -> Checkpoint:
        first = network.layers[0]
        weight = first.weight.copy()
        weight.flat[np.flatnonzero(first.mask)[0]] = value
        return replace(network, layers=(replace(first, weight=weight), *network.layers[1:]))

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda network: network, "a second network of round 2, order-2"),
        (lambda network: replace(network, study="other"), "holds other seed 3 beside tiny-normal"),
        (lambda network: replace(network, seed=4), "seed 4 beside tiny-normal seed 3"),
        (lambda network: of_another_mask(replace(network, arm="b")), "has another mask than ord"),
        (lambda network: with_a_weight(-7e4)(replace(network, arm="b")), "70000; float16 ends at"),
        (lambda network: with_a_weight(65510)(replace(network, arm="b")), "65510; float16 ends at"),
    ],
)
def test_what_does_not_belong_in_one_file_is_not_exported(
    trained, files, tmp_path, change, message
):
    checkpoint.write(tmp_path / "odd.h5", change(trained["order-2"]))
    with pytest.raises(BankError, match=rf"odd\.h5: .*{message}"):
        export(tmp_path / "bank.h5", [*files, tmp_path / "odd.h5"])
    assert not (tmp_path / "bank.h5").exists()


# --- by name -------------------------------------------------------------------------------------


def test_a_network_is_named_like_a_group_of_the_file(packed, tmp_path):
    found = at(packed / "round02/order-2")
    assert found is not None and found.arm == "order-2"
    assert at(tmp_path / "trained.h5") is None
    for name, message in {
        "round02": "expected FILE.h5/roundNN/ARM",
        "round02/order-1/layers": "expected FILE.h5/roundNN/ARM",
        "round07/order-1": r"no network of round 7, arm 'order-1'; it has round02/order-1, round0",
        "round02/imp": "no network of round 2, arm 'imp'",
    }.items():
        with pytest.raises(BankError, match=message):
            at(packed / name)


def test_the_facade_finds_it_by_study_and_seed(packed):
    folder = packed.parents[2]
    assert bank.trained("tiny-normal", 3, 2, "order-1", folder).arm == "order-1"
    with pytest.raises(BankError, match=r"study 'tiny-normal', seed 4; .* tiny-normal/trained/se"):
        bank.trained("tiny-normal", 4, 2, "order-1", folder)
    packed.with_name("seed4.h5").write_bytes(packed.read_bytes())
    with pytest.raises(BankError, match="holds networks of tiny-normal seed 3 and is in the place"):
        bank.trained("tiny-normal", 4, 2, "order-1", folder)
    packed.with_name("seed4.h5").unlink()
    assert bank.shipped(folder) == {}, "chains are counted without them"


def test_the_line_between_two_is_that_of_the_rounded_weights(prepared, trained, packed, capsys):
    arguments = [prepared.path, packed / "round02/order-1", packed / "round02/order-2"]
    stability.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    found = pd.read_csv(io.StringIO(printed.out))
    expected = stability.rows(prepared, *(load(packed, 2, arm) for arm in trained))
    np.testing.assert_allclose(found["error"], [row["error"] for row in expected])
    exact = stability.rows(prepared, *trained.values())
    assert found["distance"][0] == pytest.approx(exact[0]["distance"], rel=1e-3)
    assert printed.err.count("weights are rounded to float16, by at most") == 2


def test_the_command_says_what_rounding_did(files, tmp_path, capsys):
    trained_bank.main([str(tmp_path / "new/seed3.h5"), *map(str, files)])
    assert "seed3.h5/round02/order-1: 0." in capsys.readouterr().out
    for arguments in ([str(tmp_path / "x.h5"), str(tmp_path / "none.h5")], []):
        with pytest.raises(SystemExit, match=r"none\.h5: no such file|usage: "):
            trained_bank.main(arguments)


# --- made to do harm -----------------------------------------------------------------------------


def again(name, **options):
    """Make a data set anew, as `create_dataset` has it by `options`."""

    def edit(file):
        del file[name]
        file.create_dataset(name, **options)

    return edit


def changed(name, value):
    def edit(file):
        file[name][0] = value

    return edit


def attribute(place, name, value):
    return lambda file: file[place].attrs.__setitem__(name, value)


def spec_text(part, key, value):
    def edit(file):
        parts = json.loads(file[PLACE].attrs["spec"])
        parts[part][key] = value
        text = json.dumps(parts)
        spec_sha256 = hashlib.sha256(text.encode()).hexdigest()
        file[PLACE].attrs.update(spec=text, spec_sha256=spec_sha256)

    return edit


def linked(file):
    del file[f"{LAYER}/weight"]
    file[f"{LAYER}/weight"] = h5py.ExternalLink("/etc/hostname", "/x")


HOSTILE = [
    (changed(f"{LAYER}/weight", np.inf), "hidden1 has weights that are not finite"),
    (changed(f"{LAYER}/bias", np.nan), "weights or biases are not finite"),
    (again(f"{LAYER}/weight", data=np.zeros(3, "f2")), r"shape \(3,\); its mask keeps"),
    (again(f"{LAYER}/weight", shape=(10**15,), dtype="f2"), "10{15} entries of float16; exp"),
    (again(f"{LAYER}/weight", data=np.zeros(3, "f4")), "3 entries of float32; expected"),
    (again(f"{LAYER}/bias", data=np.zeros(3, "f4")), "shapes disagree"),
    (again("round02/mask/00-hidden1", data=np.zeros(3, "u1")), r"mask of 00-hidden1 has shape"),
    (again("round02/mask/00-hidden1", shape=(2**40,), dtype="u1"), "entries of uint8; expected"),
    (linked, "weight is missing or a link"),
    (lambda file: file.__delitem__(f"{PLACE}/layers/00-hidden1"), "layers .*, the spec says"),
    (lambda file: file.create_group("layers"), "group 'layers'; expected roundNN"),
    (attribute(PLACE, "spec", "{}"), "spec does not match its SHA-256"),
    (attribute(PLACE, ERROR, 0.5), "largest_rounding_error is 0.5; weights up to"),
    (attribute(PLACE, ERROR, float("nan")), "largest_rounding_error is nan"),
    (attribute(PLACE, "note", np.arange(3)), "extra attribute 'note' is"),
    (attribute("/", "seed", -1), "seed -1, round 2; both must be >= 0"),
    (spec_text("network", "width", 10**9), f"expected at most {MAX_WEIGHTS}"),
    (spec_text("network", "hidden_layers", 10**9), "hidden_layers is 1000000000; allowed"),
    (spec_text("network", "width", 7), "00-hidden1 has 108 entries of uint8; expected at most"),
    (lambda file: None, "the seal at its end is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), HOSTILE)
def test_hostile_files_are_refused_by_name(packed, tmp_path, edit, message):
    path = edited_copy(packed, tmp_path / "hostile.h5", edit)
    if message.startswith("the seal"):
        path.write_bytes(packed.read_bytes()[: -hdf5.SEAL_BYTES])
    with pytest.raises(BankError, match=rf"hostile\.h5: damaged or foreign: .*(?:{message})"):
        load(path, 2, "order-1")


def test_other_files_are_not_taken_for_it(files, packed, tmp_path):
    with pytest.raises(BankError, match="holds no trained networks of version 1"):
        load(files[0], 2, "order-1")
    with pytest.raises(BankError, match="not a ticket bank of version 1"):
        bank.bank.read_bank(packed)
    with pytest.raises(BankError, match=r"seed9\.h5: no such file"):
        load(tmp_path / "seed9.h5", 2, "order-1")
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.h5").write_bytes(content)
    with pytest.raises(BankError, match=r"flipped\.h5: damaged .* not those that were written"):
        load(tmp_path / "flipped.h5", 2, "order-1")


# --- what is shipped -----------------------------------------------------------------------------


def test_the_bank_has_both_orders_of_two_rounds_of_three_seeds():
    assert [path.name for path in SHIPPED] == ["seed0.h5", "seed1.h5", "seed2.h5"]
    assert sum(path.stat().st_size for path in SHIPPED) < 8e6
    wanted = [(number, arm) for number in (7, 10) for arm in ("order-1", "order-2")]
    assert all(networks(path) == wanted for path in SHIPPED)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_networks_lie_on_the_masks_of_their_chain(path):
    study = path.parents[1].name
    seed = int(path.stem[4:])
    chain = bank.chain(study, seed)
    for number, arm in networks(path):
        network = bank.trained(study, seed, number, arm)
        for layer in network.layers:
            assert np.array_equal(layer.mask, removed_mask(chain.removed_in[layer.name], number))
        own = Spec.from_json(network.spec.to_json()).training
        assert f"order-{own.data_order}" == arm
        assert replace(own, data_order=0).learning_rate == chain.spec.training.learning_rate
        assert network.extra[ERROR] < 2.5e-4
        assert 0.45 < network.history["final_test_accuracy"][0] < 0.52

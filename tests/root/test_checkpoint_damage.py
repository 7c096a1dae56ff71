"""Damaged, foreign and hostile checkpoints are refused by a message that names the file."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_tools import edited_copy
from ticketlens import checkpoint
from ticketlens.checkpoint import CheckpointError, read, read_summary, verify, write
from ticketlens.files import hdf5
from ticketlens.spec import Spec

READERS = pytest.mark.parametrize("reader", [read, read_summary], ids=["read", "read_summary"])


@pytest.fixture(scope="module")
def original(make_ticket, make_trained, tmp_path_factory):
    """Return the file of a trained network of a pruned ticket. Read only."""
    path = tmp_path_factory.mktemp("original") / "trained.h5"
    trained = make_trained(make_ticket(0.6, seed=3, round_=2, network={"width": 4}))
    write(path, replace(trained, extra={"device": "cpu"}))
    return path


def same_content(one, other):
    found, wanted = read(one), read(other)
    return (found.content_sha256, found.attrs) == (wanted.content_sha256, wanted.attrs)


# --- damage --------------------------------------------------------------------------------------


@given(st.data())
def test_a_flipped_bit_anywhere_is_refused_or_harmless(original, data):
    raw = bytearray(original.read_bytes())
    position = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[position // 8] ^= 1 << position % 8
    damaged = original.with_name("flipped.h5")
    damaged.write_bytes(raw)
    for reader in (read, read_summary):
        with suppress(CheckpointError):
            reader(damaged)
            assert same_content(damaged, original)


@given(st.data())
def test_a_truncated_file_is_refused(original, data):
    raw = original.read_bytes()
    damaged = original.with_name("truncated.h5")
    damaged.write_bytes(raw[: data.draw(st.integers(0, len(raw) - hdf5.SEAL_BYTES - 1))])
    for reader in (read, read_summary, verify):
        with pytest.raises(
            CheckpointError, match=r"truncated\.h5: .*snakemake \S*truncated\.h5 all"
        ):
            reader(damaged)


@pytest.mark.parametrize("lost", [1, 70, hdf5.SEAL_BYTES])
def test_a_file_that_lost_only_its_seal_is_whole(original, lost):
    damaged = original.with_name("unsealed.h5")
    damaged.write_bytes(original.read_bytes()[:-lost])
    assert same_content(damaged, original)


@pytest.mark.parametrize("name", ["layers/00-hidden1/weight", "best_validation/01-hidden2/bias"])
def test_damaged_chunks_are_refused_by_their_own_checksums(original, tmp_path, name):
    with h5py.File(original) as file:
        chunk = file[name].id.get_chunk_info(0)
    raw = bytearray(original.read_bytes()[: -hdf5.SEAL_BYTES])
    raw[chunk.byte_offset + chunk.size // 2] ^= 1
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"damaged\.h5: damaged or foreign"):
        read(damaged)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    for reader in (read, read_summary, verify):
        with pytest.raises(FileNotFoundError, match=r"none\.h5: no such file"):
            reader(tmp_path / "none.h5")


# --- foreign and edited files --------------------------------------------------------------------


@READERS
def test_foreign_hdf5_is_refused(tmp_path, reader):
    with h5py.File(tmp_path / "foreign.h5", "w", libver="latest") as file:
        file["data"] = np.arange(3)
    with pytest.raises(CheckpointError, match=r"foreign\.h5: .*'format' is missing"):
        reader(tmp_path / "foreign.h5")


@READERS
def test_layouts_without_checksums_are_refused(original, tmp_path, reader):
    with h5py.File(original) as source, h5py.File(tmp_path / "old.h5", "w") as file:
        for key in source:
            source.copy(key, file)
        file.attrs.update(source.attrs)
    with pytest.raises(CheckpointError, match=r"old\.h5: .*layout without checksums .*v110"):
        reader(tmp_path / "old.h5")


def set_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def drop_attribute(name):
    return lambda file: file.attrs.__delitem__(name)


@READERS
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_attribute("format", "other"), "not a ticketlens file"),
        (set_attribute("format", np.bytes_("ticketlens")), "'format' is not of type str"),
        (set_attribute("format_version", 99), "format version 99; this ticketlens reads 1"),
        (set_attribute("seed", "0"), "'seed' is not of type int"),
        (set_attribute("seed", 0.0), "'seed' is not of type int"),
        (set_attribute("spec", "{}"), "spec does not match its SHA-256"),
        (set_attribute("spec", "["), "spec is not valid"),
        (set_attribute("spec", '{"traning": {}}'), "unknown part 'traning'"),
        (set_attribute("spec_sha256", "0" * 64), "spec does not match its SHA-256"),
        (lambda file: file.move("layers/00-hidden1", "layers/00"), "layer group '00'"),
        (lambda file: file.move("layers/00-hidden1", "layers/07-x"), "expected 00-name"),
        (lambda file: file.__delitem__("layers"), "/layers is missing or a link"),
    ]
    + [
        (drop_attribute(name), f"root attribute '{name}' is missing")
        for name in ("format", "format_version", "study", "seed", "round", "arm", "spec")
    ],
)
def test_an_edited_header_is_refused(original, tmp_path, reader, edit, message):
    path = edited_copy(original, tmp_path / "edited.h5", edit)
    with pytest.raises(CheckpointError, match=rf"edited\.h5: .*{message}"):
        reader(path)


def replaced(name, values):
    def edit(file):
        attrs = dict(file[name].attrs)
        del file[name]
        file[name] = values(file) if callable(values) else values
        file[name].attrs.update(attrs)

    return edit


def flip_sign_of_first(name):
    def edit(file):
        values = file[name][()]
        values.flat[np.flatnonzero(values)[0]] *= -1
        file[name][...] = values

    return edit


def revive(value):
    """Put `value` on the first weight off the mask."""

    def edit(file):
        group = file["layers/00-hidden1"]
        shape = tuple(group["mask"].attrs["shape"])
        mask = np.unpackbits(group["mask"][()], count=np.prod(shape)).reshape(shape)
        weight = group["weight"][()]
        weight[tuple(np.argwhere(mask == 0)[0])] = value
        group["weight"][...] = weight

    return edit


LAYER = "layers/00-hidden1"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_attribute("kind", "model"), "kind is 'model'"),
        (set_attribute("study", "other"), "content does not match its SHA-256"),
        (set_attribute("seed", 4), "content does not match its SHA-256"),
        (set_attribute("device", "cuda"), "content does not match its SHA-256"),
        (set_attribute("note", "by hand"), "content does not match its SHA-256"),
        (set_attribute("note", [1, 2]), "extra attribute 'note'"),
        (set_attribute("round", -1), "round -1"),
        (flip_sign_of_first(f"{LAYER}/weight"), "content does not match its SHA-256"),
        (flip_sign_of_first("best_validation/02-readout/bias"), "content does not match"),
        (flip_sign_of_first("history/train_loss"), "content does not match its SHA-256"),
        (revive(0.5), "hidden1: 1 weights off the mask are not exactly 0.0"),
        (revive(-0.0), "hidden1: 1 weights off the mask are not exactly 0.0"),
        (replaced(f"{LAYER}/bias", np.zeros(3, np.float32)), "shapes disagree"),
        (replaced(f"{LAYER}/weight", np.zeros((4, 108))), "entries of float64"),
        (replaced(f"{LAYER}/weight", np.zeros((4, 108), ">f4")), "entries of >f4"),
        (replaced(f"{LAYER}/weight", np.zeros(10**6, np.float32)), "expected at most 432"),
        (replaced(f"{LAYER}/mask", np.zeros(53, np.uint8)), "53 bytes for the shape"),
        (replaced(f"{LAYER}/mask", np.zeros(54, np.int8)), "entries of int8"),
        (replaced(f"{LAYER}/mask", np.zeros(54, np.uint8)), "stored density is not the mask's"),
        (
            lambda file: file[f"{LAYER}/mask"].attrs.__delitem__("shape"),
            "mask: attribute 'shape' is m",
        ),
        (lambda file: file[LAYER].attrs.__setitem__("fan_in", 7), "stored fan_in is not"),
        (lambda file: file[LAYER].attrs.__setitem__("kind", "conv"), "kind 'conv' with shape"),
        (lambda file: file[LAYER].attrs.__delitem__("density"), "'density' is missing"),
        (lambda file: file.__delitem__(f"{LAYER}/bias"), "bias is missing or a link"),
        (lambda file: file.__delitem__("layers/02-readout"), "for another number of layers"),
        (lambda file: file.__delitem__("best_validation"), "content does not match its SHA-256"),
        (lambda file: file.__delitem__("history/best_epoch"), "content does not match"),
        (replaced("history/best_epoch", np.array([b"1"])), "best_epoch has 1 entries"),
        (replaced("history/best_epoch", np.void(b"\x80\x04K\x01.")), "best_epoch has 1 entries"),
    ],
)
def test_edited_content_is_refused(original, tmp_path, edit, message):
    path = edited_copy(original, tmp_path / "edited.h5", edit)
    with pytest.raises(CheckpointError, match=rf"edited\.h5: .*{message}"):
        verify(path)


@pytest.mark.parametrize(
    "shape", [(), (0, 108), (-4, 108), (2**40, 2**40), (4, 109), (2**62, 4), (432, 2)]
)
def test_absurd_mask_shapes_are_refused_before_memory_is_taken(original, tmp_path, shape):
    def edit(file):
        file[f"{LAYER}/mask"].attrs["shape"] = np.array(shape, dtype=np.int64)

    path = edited_copy(original, tmp_path / "edited.h5", edit)
    for reader in (read, read_summary):
        with pytest.raises(CheckpointError, match=r"edited\.h5: .*bytes for the shape"):
            reader(path)


@pytest.mark.parametrize("name", [LAYER, f"{LAYER}/weight", f"{LAYER}/mask", "history", "layers"])
@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links_are_not_followed(original, tmp_path, name, kind):
    def edit(file):
        file.move(name, "elsewhere")
        soft = h5py.SoftLink("/elsewhere")
        file[name] = soft if kind == "soft" else h5py.ExternalLink(str(original), f"/{name}")

    path = edited_copy(original, tmp_path / "linked.h5", edit)
    with pytest.raises(CheckpointError, match=rf"linked\.h5: .*{name} is missing or a link"):
        verify(path)


def test_data_kept_in_another_file_are_not_read(original, tmp_path):
    (tmp_path / "secret").write_bytes(b"\0" * 4 * 4)

    def edit(file):
        del file[f"{LAYER}/bias"]
        file.create_dataset(
            f"{LAYER}/bias", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)]
        )

    path = edited_copy(original, tmp_path / "outside.h5", edit)
    with pytest.raises(CheckpointError, match=r"outside\.h5: .*keeps its data in another file"):
        verify(path)


def test_a_summary_without_a_seal_is_checked_by_the_content(original, tmp_path):
    changed = edited_copy(original, tmp_path / "changed.h5", set_attribute("study", "tiny-"))
    with pytest.raises(CheckpointError, match="content does not match its SHA-256"):
        read_summary(changed)


def test_a_file_without_content_digest_is_read_and_still_checked(original, tmp_path):
    path = edited_copy(original, tmp_path / "plain.h5", drop_attribute("content_sha256"))
    assert same_content(path, original)
    revive(-0.0)(file := h5py.File(path, "r+"))
    file.close()
    with pytest.raises(CheckpointError, match="weights off the mask are not exactly"):
        read(path)


@pytest.mark.parametrize("name", ["/", "/layers/00-hidden1"])
def test_a_kind_that_there_is_not_is_refused_with_the_file_s_name(original, tmp_path, name):
    def edit(file):
        file[name].attrs["kind"] = "spline"

    path = edited_copy(original, tmp_path / "spline.h5", edit)
    with pytest.raises(CheckpointError, match=r"spline\.h5: .*kind is 'spline'"):
        read(path)


def test_another_kind_than_asked_for_is_refused(original):
    with pytest.raises(CheckpointError, match="kind is 'trained', expected 'ticket'"):
        read(original, kind="ticket")


def test_no_module_of_the_library_can_unpickle():
    unsafe = re.compile(r"\b(pickle|torch\.load|allow_pickle|joblib|marshal|shelve)\b")
    for path in Path(checkpoint.__file__).parent.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        code = [line for line in lines if unsafe.search(line) and "import" in line.split()]
        assert code == [], path.name
        runs_code = re.compile(r"torch\.load\((?!.*weights_only=True)|allow_pickle=True")
        assert not [line for line in lines if runs_code.search(line)], path.name


def test_a_default_spec_of_another_data_set_is_not_mistaken(original):
    assert read(original).spec != Spec()

"""Files made to do harm: each is refused by name, within a second, before memory is taken."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tracemalloc
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image

from core_tools import CLASSES, edited_copy, write_images
from ticketlens import checkpoint
from ticketlens.checkpoint import CheckpointError, read, read_summary, write
from ticketlens.files import hdf5, sources
from ticketlens.files.dataset import DatasetError, open_prepared, read_part
from ticketlens.files.sources import folder
from ticketlens.spec import Spec
from ticketlens.tickets import bank
from ticketlens.tickets.bank import BankError, export, read_bank

LAYER = "layers/00-hidden1"
ENOUGH = 100_000_000  # bytes for any refusal


@pytest.fixture
def little_memory():
    """Assert that numpy and Python take little memory in the test."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < ENOUGH


@pytest.fixture(scope="module")
def original(make_ticket, make_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "trained.h5"
    write(path, make_trained(make_ticket(0.6, seed=3, round_=2, network={"width": 4})))
    return path


def again(file, name, **options):
    """Make a data set anew with its attributes, as `create_dataset` has it by `options`."""
    attrs = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, **options).attrs.update(attrs)


def declared(file, shape, **options):
    """Declare a first layer of this shape, of which nothing is stored."""
    packed = -(-int(np.prod(shape)) // 8)
    again(file, f"{LAYER}/mask", shape=(packed,), dtype="u1", **options)
    again(file, f"{LAYER}/weight", shape=shape, dtype="f4", **options)
    file[f"{LAYER}/mask"].attrs["shape"] = shape


def long_text(file):
    file.attrs["note"] = "x" * 1_000_000


def many_texts(file):
    file.attrs.create("note", ["x"] * 20_000, dtype=h5py.string_dtype())


def twice_compressed(file):
    pipeline = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    pipeline.set_chunk((4,))
    pipeline.set_deflate(9)
    pipeline.set_deflate(9)
    del file[f"{LAYER}/bias"]
    space, kind = h5py.h5s.create_simple((4,)), h5py.h5t.IEEE_F32LE
    h5py.h5d.create(file[LAYER].id, b"bias", kind, space, pipeline)


def inflating(file):
    """A chunk of 4 floats that is stored as 3 MB, which could inflate to 3 GB."""
    again(file, f"{LAYER}/bias", shape=(4,), dtype="f4", chunks=(4,), compression="gzip")
    stored = os.urandom(3_000_000)
    try:
        file[f"{LAYER}/bias"].id.write_direct_chunk((0,), stored)
    except OSError as error:
        pytest.skip(f"HDF5 {h5py.version.hdf5_version} cannot write such a file: {error}")


def large_chunk(file):
    again(
        file, f"{LAYER}/bias", shape=(4,), maxshape=(None,), chunks=(2**28,), dtype="f4",
        compression="gzip",
    )  # fmt: skip


def long_history(file):
    for number in range(30):
        file.create_dataset(f"history/h{number}", (500_000,), "f8", chunks=(1000,))


def many_arrays(file):
    history = file.require_group("history").id
    space, kind = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.IEEE_F64LE
    for number in range(20_000):
        h5py.h5d.create(history, f"h{number}".encode(), kind, space)


def spec_text(edit):
    """Change the spec's JSON, with the digest that belongs to it."""

    def edited(file):
        parts = json.loads(file.attrs["spec"])
        edit(parts)
        text = json.dumps(parts)
        file.attrs["spec"] = text
        file.attrs["spec_sha256"] = hashlib.sha256(text.encode()).hexdigest()

    return edited


def circle(file):
    file[f"{LAYER}/again"] = file["layers"]
    del file[f"{LAYER}/weight"]
    file[f"{LAYER}/weight"] = h5py.SoftLink(f"/{LAYER}/weight")


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    del file[f"{LAYER}/bias"]
    file.create_virtual_dataset(f"{LAYER}/bias", layout)


def typed(kind):
    return lambda file: again(file, f"{LAYER}/bias", shape=(4,), dtype=kind)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: declared(file, (2**20, 2**10)), "entries of uint8; expected at most 67108"),
        (lambda file: declared(file, (2**13, 2**13 + 1)), "for the shape|expected at most"),
        (long_text, "a heap of .* bytes; expected at most 65536"),
        (many_texts, "'note' holds 20000 texts"),
        (twice_compressed, r"uses the HDF5 filters \[1, 1\]"),
        (lambda file: again(file, f"{LAYER}/bias", shape=(4,), dtype="f4", chunks=(4,),
                            scaleoffset=3), r"uses the HDF5 filters \[6\]"),
        (inflating, "bias has chunks of 3000000 bytes"),
        (large_chunk, r"bias has chunks \(268435456,\), more than \(4,\)"),
        (long_history, "history/h.* has 500000 entries of float64; expected at most"),
        (circle, "weight is missing or a link"),
        (virtual, "keeps its data in another file"),
        (typed([("a", "f4"), ("b", "f4")]), "bias has 4 entries of "),
        (typed(h5py.string_dtype()), "bias has 4 entries of object"),
        (typed(h5py.vlen_dtype("f4")), "bias has 4 entries of object"),
        (typed(h5py.ref_dtype), "bias has 4 entries of object"),
        (lambda file: file.attrs.__setitem__("seed", [1, 2]), "'seed' is not of type int"),
        (lambda file: file.attrs.__setitem__("study", h5py.Empty("f4")), "'study' is not of type"),
        (lambda file: file.attrs.__setitem__("kind", np.void(b"x")), "'kind' is not of type str"),
        (lambda file: file[LAYER].attrs.__setitem__("density", "1"), "'density' is not of type"),
        (lambda file: file[LAYER].attrs.__setitem__("fan_in", [1]), "'fan_in' is not of type int"),
        (lambda file: file.attrs.__setitem__("spec", "[" * 60_000), "spec is nested too deeply"),
        (lambda file: file.attrs.__setitem__("spec", "9" * 6_000), "spec is not valid"),
        (lambda file: file["layers"].create_group("03-\x1b[2J\n"), r"03-\\x1b\[2J\\n"),
        (lambda file: file[f"{LAYER}/mask"].attrs.__setitem__("shape", [np.nan, 4.0]),
         r"shape is \[nan +4\.\]; expected whole numbers"),
        (lambda file: file[f"{LAYER}/mask"].attrs.__setitem__("shape", [np.inf, 4.0]),
         r"shape is \[inf +4\.\]; expected whole numbers"),
        (spec_text(lambda parts: parts["network"].__setitem__("width", 10**399)),
         "network.width is"),
        (spec_text(lambda parts: parts["init"].__setitem__("sigma_w", 10**399)), "init.sigma_w is"),
        (many_arrays, r"holds 200\d\d arrays; expected at most 1000"),
    ],
)  # fmt: skip
def test_hostile_checkpoints_are_refused(original, tmp_path, little_memory, edit, message):
    path = edited_copy(original, tmp_path / "hostile.h5", edit)
    with pytest.raises(CheckpointError, match=rf"hostile\.h5: damaged or foreign: .*({message})"):
        read(path)


def test_weights_that_are_not_finite_are_refused(original, tmp_path):
    def edit(file):
        values = file[f"{LAYER}/bias"][()]
        values[1] = np.nan
        file[f"{LAYER}/bias"][...] = values

    with pytest.raises(CheckpointError, match=r"hidden1: weights or biases are not finite"):
        read(edited_copy(original, tmp_path / "nan.h5", edit))


@pytest.mark.parametrize("density", [np.nan, np.inf, -0.5, 1e300])
def test_a_summary_of_an_absurd_density_is_refused(original, tmp_path, density):
    path = edited_copy(
        original, tmp_path / "x.h5", lambda file: file[LAYER].attrs.__setitem__("density", density)
    )
    with pytest.raises(CheckpointError, match="density is"):
        read_summary(path)


@pytest.mark.parametrize("at", [16, 24, 40])
def test_a_heap_that_leads_in_a_circle_does_not_hang_the_reader(original, tmp_path, at):
    raw = bytearray(original.read_bytes()[: -hdf5.SEAL_BYTES])
    start = raw.index(b"GCOL\x01") + at
    raw[start : start + 16] = bytes(16)
    (tmp_path / "circle.h5").write_bytes(raw + hdf5.seal(raw))
    with pytest.raises(CheckpointError, match=r"circle\.h5: damaged or foreign"):
        read(tmp_path / "circle.h5")


def test_more_weights_than_can_be_read_are_not_written(original, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_WEIGHTS", 400)
    with pytest.raises(CheckpointError, match="weights; allowed: at most 400"):
        write(tmp_path / "x.h5", replace(_read_unlimited(original)))
    assert not (tmp_path / "x.h5").exists()


def _read_unlimited(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "MAX_WEIGHTS", 2**26)
        return read(path)


# --- the bank ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(make_ticket, make_trained, tmp_path_factory):
    folder, ticket = tmp_path_factory.mktemp("bank"), make_ticket(seed=5)
    write(folder / "ticket.h5", ticket)
    write(folder / "trained.h5", make_trained(ticket))
    export(folder / "seed5.h5", folder / "ticket.h5", [], [folder / "trained.h5"])
    return folder / "seed5.h5"


def spec_with(**network):
    def edit(file):
        spec = Spec.from_json(file.attrs["spec"])
        spec = spec.replace(network=replace(spec.network, **network))
        file.attrs["spec"], file.attrs["spec_sha256"] = spec.to_json(), spec.sha256

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (spec_with(hidden_layers=10**9), "hidden_layers is 1000000000; allowed: 1 to 98"),
        (spec_with(hidden_layers=-1), "hidden_layers is -1; allowed"),
        (spec_with(width=10**9), "weights; expected at most"),
        (spec_with(width=0), "weights; expected at most"),
        (spec_with(family="transformer"), "network family is 'transformer'"),
        (lambda file: file.attrs.__setitem__("rounds", 10**15), "rounds; expected at most 99"),
        (lambda file: file.attrs.__setitem__("rounds", -3), "rounds; expected at most 99"),
        (lambda file: file.attrs.__setitem__("theta_0_sha256", 3), "is not of type str"),
        (lambda file: file.attrs.__setitem__("seed", -1), "seed is -1; expected at least 0"),
        (
            spec_text(lambda parts: parts["network"].__setitem__("width", 10**399)),
            "network.width is",
        ),
        (lambda file: None, "the seal at its end is missing"),
    ],
)
def test_hostile_banks_are_refused(packed, tmp_path, little_memory, edit, message):
    path = edited_copy(packed, tmp_path / "hostile.h5", edit)
    if message.startswith("the seal"):
        path.write_bytes(packed.read_bytes()[: -hdf5.SEAL_BYTES])
    with pytest.raises(BankError, match=rf"hostile\.h5: damaged or foreign: .*{message}"):
        read_bank(path)
    assert bank.read_bank(packed).rounds == 0


def test_a_bank_of_an_unknown_scheme_says_which_are_known(packed, tmp_path):
    edit = spec_text(lambda parts: parts["init"].__setitem__("scheme", "xavier"))
    path = edited_copy(packed, tmp_path / "scheme.h5", edit)
    with pytest.raises(BankError, match=r"scheme\.h5: init scheme is 'xavier', .*'orthogonal'\]"):
        read_bank(path)


# --- prepared data sets --------------------------------------------------------------------------


def unlabelled(file):
    file["train/labels"][3] = 7


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: again(file, "train/images", shape=(2**40, 6, 6, 3), dtype="u1",
                            chunks=(256, 6, 6, 3)), "entries of uint8; expected at most"),
        (lambda file: again(file, "train/images", shape=(96, 18, 6), dtype="u1"), "has shape"),
        (lambda file: again(file, "test/images", shape=(24, 5, 6, 3), dtype="u1"), "several sizes"),
        (lambda file: again(file, "train/labels", shape=(95,), dtype="i8"), "labels that are not"),
        (unlabelled, "labels that are not those"),
        (lambda file: file.attrs.__setitem__("mean", [0.5]), "for 3 channels"),
        (lambda file: file.attrs.__setitem__("std", [0.0, 1, 1]), "for 3 channels"),
        (lambda file: file.attrs.__setitem__("mean", "0.5"), "is not of type ndarray"),
        (lambda file: file.attrs.__setitem__("classes", "ant"), "is not a list of texts"),
        (lambda file: file.move("train", "elsewhere") or file.__setitem__(
            "train", h5py.ExternalLink("/etc/hostname", "/")), "/train is missing or a link"),
    ],
)  # fmt: skip
def test_hostile_data_sets_are_refused(prepared, tmp_path, little_memory, edit, message):
    path = edited_copy(prepared.path, tmp_path / "hostile.h5", edit)
    with pytest.raises(DatasetError, match=rf"hostile\.h5: damaged or foreign: .*{message}"):
        read_part(open_prepared(path), "train")


# --- images --------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images")


def archive(images, path, members):
    """Zip a folder of images with further members, given as name and content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member in sorted(images.rglob("*.png")):
            file.write(member, member.relative_to(images).as_posix())
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would mend it
            file.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def image(size=(6, 6), mode="RGB", **options):
    content = io.BytesIO()
    Image.new(mode, size).save(content, "PNG", **options)
    return content.getvalue()


@pytest.mark.parametrize(
    "name",
    ["/train/ant/9.png", "../train/ant/9.png", "train/../../x.png", "train/ant/9\n.png",
     "train/a\x1b[2Jt/9.png", "train/\udc80/9.png"],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_hide_are_refused(images, tmp_path, name):
    if "\udc80" in name:  # a folder: zips know UTF-8 only
        os.makedirs(images / "train" / os.fsdecode(b"\x80"))
        (images / name).write_bytes(image())
        path = images
    else:
        path = archive(images, tmp_path / "images.zip", {name: image()})
    with pytest.raises(DatasetError, match=r"is not a name for an image: it leads elsewhere"):
        folder(path)
    assert not (tmp_path / "x.png").exists()


def test_a_name_of_six_thousand_digits_is_a_name(images, tmp_path):
    path = archive(images, tmp_path / "images.zip", {f"train/ant/{'1' * 6000}.png": image()})
    assert len(folder(path).train_images) == 13


def test_links_in_a_zip_are_no_images_and_broken_links_and_pipes_are_named(images, tmp_path):
    linked = archive(images, tmp_path / "linked.zip", {})
    with zipfile.ZipFile(linked, "a") as file:
        info = zipfile.ZipInfo("train/ant/9.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DatasetError, match=r"train/ant/9\.png is not a readable image"):
        folder(linked)
    (images / "train/ant/8.png").symlink_to("nowhere.png")
    with pytest.raises(DatasetError, match=r"train/ant/8\.png is no file"):
        folder(images)
    (images / "train/ant/8.png").unlink()
    os.mkfifo(images / "train/ant/7.png")
    with pytest.raises(DatasetError, match=r"train/ant/7\.png is no file"):
        folder(images)


@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "zip"])
def test_a_large_file_is_refused_before_it_is_read(images, tmp_path, little_memory, as_zip):
    content = bytes(sources.MAX_FILE_BYTES + 1)
    if as_zip:
        path = archive(images, tmp_path / "images.zip", {"train/ant/9.png": content})
        assert path.stat().st_size < 50_000
    else:
        path = images
        (images / "train/ant/9.png").write_bytes(content)
    with pytest.raises(DatasetError, match=r"9\.png claims 10,000,001 bytes; too large"):
        folder(path)


def test_many_small_files_that_are_large_images_are_refused(tmp_path, little_memory, monkeypatch):
    monkeypatch.setattr(sources, "MAX_PIXEL_BYTES", 10_000_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in CLASSES:
            for part in ("train", "test"):
                file.writestr(f"{part}/{name}/0.png", image((1000, 1000), "L"))
                file.writestr(f"{part}/{name}/1.png", image((1000, 1000), "L"))
    with pytest.raises(DatasetError, match=r"12 images of 1000×1000 pixels take 12,000,000 bytes"):
        folder(path)


def test_a_text_bomb_in_a_png_is_refused(images):
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("bomb", "x" * 3_000_000, zip=True)
    (images / "train/ant/1.png").write_bytes(image(pnginfo=note))
    with pytest.raises(DatasetError, match=r"train/ant/1\.png is not a readable image"):
        folder(images)


def test_a_thousand_classes_are_read(tmp_path):
    names = [f"class{number}" for number in range(1000)]
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as file:
        for name in names:
            for part in ("train", "test"):
                file.writestr(f"{part}/{name}/0.png", image((1, 1), "L"))
    raw = folder(tmp_path / "many.zip")
    assert len(raw.classes) == 1000 and np.bincount(raw.train_labels).tolist() == [1] * 1000

"""Checkpoints: what is written comes back bit for bit, in the documented format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core_tools import same_bits
from ticketlens import checkpoint
from ticketlens.architecture import DIMENSIONS
from ticketlens.checkpoint import Checkpoint, CheckpointError, Layer, read, read_summary, write
from ticketlens.spec import NetworkSpec, Spec

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
)


@st.composite
def layers(draw, name="hidden1"):
    shape = draw(SHAPES)
    mask = draw(hnp.arrays(bool, shape))
    weight = np.where(mask, draw(hnp.arrays(np.float32, shape, elements=FLOAT32)), np.float32(0))
    bias = draw(hnp.arrays(np.float32, shape[:1], elements=FLOAT32))
    return Layer(name, "linear" if len(shape) == 2 else "conv", weight, bias, mask)


@st.composite
def checkpoints(draw):
    names = [f"hidden{n}" for n in range(1, draw(st.integers(1, 3)) + 1)] + ["readout"]
    found = tuple(draw(layers(name)) for name in names)
    kind = draw(st.sampled_from(checkpoint.KINDS))
    if kind == "mask":
        found = tuple(replace(layer, weight=None, bias=None) for layer in found)
    trained = kind == "trained"
    history = {"train_loss": draw(hnp.arrays(float, 3)), "best_epoch": np.asarray(2.0)}
    best = tuple((-layer.weight + np.float32(0), layer.bias) for layer in found) if trained else ()
    extra = {"device": "cpu", "epoch": 4, "share": 0.1, "flag": True, "größe": "ü"}
    return Checkpoint(
        kind,
        draw(st.sampled_from(["fcnet-normal", "a"])),
        draw(st.integers(0, 2**40)),
        draw(st.integers(0, 99)),
        "imp",
        Spec(NetworkSpec(width=draw(st.integers(1, 99)))),
        found,
        history if trained else {},
        best,
        extra if draw(st.booleans()) else {},
    )


@given(checkpoints())
def test_what_is_written_comes_back_bit_for_bit(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("round-trip") / "file.h5"
    write(path, written)
    found = read(path, kind=written.kind)
    assert found.attrs == written.attrs
    assert found.content_sha256 == written.content_sha256
    for one, other in zip(found.layers, written.layers, strict=True):
        assert (one.name, one.kind, one.fan_in, one.density) == (
            other.name, other.kind, other.fan_in, other.density
        )  # fmt: skip
        assert same_bits(one.mask, other.mask)
        for name in ("weight", "bias"):
            values = getattr(one, name), getattr(other, name)
            assert values == (None, None) if written.kind == "mask" else same_bits(*values)
    for one, other in zip(found.best_validation, written.best_validation, strict=True):
        assert all(same_bits(*arrays) for arrays in zip(one, other, strict=True))
    assert set(found.history) == set(written.history)
    for name, values in written.history.items():
        assert same_bits(found.history[name], np.atleast_1d(values))


@given(checkpoints())
def test_a_summary_says_the_same_as_the_whole_file(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("summary") / "file.h5"
    write(path, written)
    summary = read_summary(path)
    for name in ("study", "seed", "round", "arm", "spec", "density"):
        assert getattr(summary, name) == getattr(written, name)
    assert dict(summary.kept) == {
        layer.name: (np.count_nonzero(layer.mask), layer.mask.size) for layer in written.layers
    }
    assert set(summary.history) == set(written.history)


def test_density_counts_weights_of_all_layers_and_no_biases():
    full, half = np.ones((4, 5), bool), np.arange(10).reshape(2, 5) % 2 == 0
    pair = (Layer("hidden1", "linear", None, None, full), Layer("r", "linear", None, None, half))
    assert pair[1].density == 0.5
    assert Checkpoint("mask", "s", 0, 1, "imp", Spec(), pair).density == 25 / 30


@pytest.fixture(scope="module")
def written(make_ticket, make_trained, tmp_path_factory):
    """Return a trained network of a pruned ticket, and its file."""
    ticket = make_ticket(0.6, seed=3, round_=2)
    trained = replace(make_trained(ticket), extra={"device": "cpu"})
    path = tmp_path_factory.mktemp("contract") / "trained.h5"
    write(path, trained)
    return trained, path


# --- the format, as another program sees it -----------------------------------------------------


def test_root_attributes_say_what_the_file_is_and_how_it_was_made(written):
    trained, path = written
    with h5py.File(path) as file:
        attrs = dict(file.attrs)
    assert attrs["format"] == "ticketlens"
    assert attrs["format_version"] == 1
    assert (attrs["kind"], attrs["study"], attrs["arm"]) == ("trained", "tiny-normal", "imp")
    assert (attrs["seed"], attrs["round"], attrs["device"]) == (3, 2, "cpu")
    spec = json.loads(attrs["spec"])
    assert set(spec) == {"network", "init", "training", "pruning", "dataset"}
    assert spec["dataset"]["sha256"] == trained.spec.dataset.sha256
    assert attrs["spec_sha256"] == hashlib.sha256(attrs["spec"].encode()).hexdigest()
    for library in ("numpy", "h5py", "torch"):
        assert attrs[f"version_{library}"] == version(library)


def test_layers_are_stored_in_forward_order_with_packed_masks_and_checksums(written):
    trained, path = written
    with h5py.File(path) as file:
        assert list(file["layers"]) == ["00-hidden1", "01-hidden2", "02-readout"]
        for group, layer in zip(file["layers"].values(), trained.layers, strict=True):
            assert group.attrs["kind"] == "linear"
            assert group.attrs["fan_in"] == layer.weight.shape[1]
            assert group.attrs["density"] == layer.mask.mean()
            assert tuple(group["mask"].attrs["shape"]) == layer.mask.shape
            packed = np.packbits(layer.mask.ravel(), bitorder="big")
            assert same_bits(group["mask"][()], packed)
            assert same_bits(group["weight"][()], layer.weight)
            assert same_bits(group["bias"][()], layer.bias)
            assert all(dataset.fletcher32 for dataset in group.values())


def test_history_and_best_validation_weights_lie_beside_the_layers(written):
    trained, path = written
    with h5py.File(path) as file:
        assert set(file) == {"layers", "best_validation", "history"}
        assert set(file["history"]) == set(trained.history)
        assert len(file["history/validation_accuracy"]) == trained.spec.training.epochs
        assert list(file["best_validation"]) == list(file["layers"])
        weight = file["best_validation/01-hidden2/weight"][()]
    assert same_bits(weight, trained.best_validation[1][0])


def test_convolutions_keep_their_four_axes(make_ticket, tmp_path):
    ticket = make_ticket(0.5, network={"family": "convolutional", "width": 4})
    write(tmp_path / "ticket.h5", ticket)
    with h5py.File(tmp_path / "ticket.h5") as file:
        group = file["layers/01-hidden2"]
        assert group.attrs["kind"] == "conv"
        assert group["weight"].shape == tuple(group["mask"].attrs["shape"]) == (4, 4, 3, 3)
        assert group.attrs["fan_in"] == 36
    assert read(tmp_path / "ticket.h5").layers[1].fan_in == 36


def test_no_dataset_or_attribute_holds_python_objects(written):
    kinds = set()
    with h5py.File(written[1]) as file:
        file.visititems(lambda _, item: kinds.add(getattr(item, "dtype", np.dtype("u1")).kind))
    assert kinds <= {"f", "u", "i"}


def test_the_same_content_has_the_same_identity_and_any_change_another(written):
    trained, path = written
    assert read(path).content_sha256 == trained.content_sha256
    layer = trained.layers[0]
    weight, bias = layer.weight.copy(), layer.bias + np.float32(1)
    weight[layer.mask.nonzero()[0][0], layer.mask.nonzero()[1][0]] += np.float32(1)
    rest = trained.layers[1:]
    changes = [
        {"seed": 4},
        {"round": 3},
        {"arm": "random"},
        {"study": "other"},
        {"kind": "ticket"},
        {"spec": Spec()},
        {"extra": {}},
        {"history": {**trained.history, "best_epoch": np.asarray(2.0)}},
        {"layers": (replace(layer, weight=weight), *rest)},
        {"layers": (replace(layer, bias=bias), *rest)},
        {"layers": (replace(layer, mask=~layer.mask), *rest)},
        {"layers": (replace(layer, name="hidden9"), *rest)},
        {"best_validation": trained.best_validation[::-1]},
    ]
    digests = {replace(trained, **change).content_sha256 for change in changes}
    assert len(digests | {trained.content_sha256}) == len(changes) + 1


def test_a_file_from_before_a_key_was_added_to_the_spec_stays_readable(written, tmp_path):
    trained, path = written
    older = json.loads(trained.spec.to_json())
    del older["training"]["threads"]
    text = json.dumps(older, sort_keys=True, separators=(",", ":"))
    attrs = {
        **trained.attrs,
        "spec": text,
        "spec_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    copy = tmp_path / "older.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.attrs["spec"], file.attrs["spec_sha256"] = text, attrs["spec_sha256"]
        file.attrs["content_sha256"] = checkpoint._content_sha256(trained, attrs)
    assert read(copy).spec == read_summary(copy).spec == trained.spec


# --- what is refused before it is written -------------------------------------------------------


def test_a_file_that_breaks_an_invariant_is_not_written(written, tmp_path):
    trained, _ = written
    layer = trained.layers[0]
    off_mask = tuple(axis[0] for axis in np.nonzero(~layer.mask))

    def with_value(value, where=off_mask):
        weight = layer.weight.copy()
        weight[where] = value
        return {"layers": (replace(layer, weight=weight), *trained.layers[1:])}

    nan_bias = np.full_like(layer.bias, np.nan)
    best = ((layer.weight, nan_bias), *trained.best_validation[1:])
    broken = [
        (with_value(1e-30), "hidden1: 1 weights off the mask are not exactly 0.0"),
        (with_value(-0.0), "hidden1: 1 weights off the mask are not exactly 0.0"),
        (with_value(np.inf, layer.mask), "hidden1: weights or biases are not finite"),
        ({"layers": ()}, "no layers"),
        ({"layers": (replace(layer, weight=layer.weight.T),)}, "shapes disagree"),
        ({"layers": (replace(layer, bias=layer.bias[1:]),)}, "shapes disagree"),
        (
            {"layers": (replace(layer, weight=layer.weight.astype(float)),)},
            "float64, .*not float32",
        ),
        ({"layers": (replace(layer, mask=layer.mask.astype(int)),)}, "mask .* of int64"),
        ({"layers": (replace(layer, weight=None),)}, "weight or bias is missing"),
        ({"layers": (replace(layer, kind="conv"),)}, "kind 'conv' with shape"),
        ({"kind": "mask"}, "a mask file holds no weights"),
        ({"seed": -1}, "seed -1, round 2; both must be >= 0"),
        ({"best_validation": trained.best_validation[:1]}, "another number of layers"),
        ({"best_validation": best}, "best-validation weights of layer hidden1: .*not finite"),
        ({"extra": {"kind": "ticket"}}, "extra attribute 'kind'"),
        ({"extra": {"version_numpy": "9"}}, "extra attribute 'version_numpy'"),
        ({"extra": {"probes": [1, 2]}}, r"extra attribute 'probes' is \[1, 2\]; allowed: text"),
    ]
    path = tmp_path / "broken.h5"
    for change, message in broken:
        with pytest.raises(CheckpointError, match=f"broken.h5.*{message}"):
            write(path, replace(trained, **change))
        assert not path.exists()


@pytest.mark.parametrize("kind", ["linaer", "Conv", ""])
def test_a_misspelt_kind_is_refused_where_a_layer_or_a_checkpoint_is_built(written, kind):
    trained, _ = written
    with pytest.raises(CheckpointError, match=f"hidden1: kind is {kind!r}; allowed: linear, conv"):
        replace(trained.layers[0], kind=kind)
    with pytest.raises(CheckpointError, match=f"is {kind!r}; allowed: ticket, trained, mask"):
        replace(trained, kind=kind)


def test_files_and_networks_know_the_same_kinds_of_layers() -> None:
    assert tuple(DIMENSIONS) == checkpoint.LAYER_KINDS

"""Specs: canonical JSON that any change of meaning changes, and nothing else does."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.architecture import LayerShape, layer_shapes
from ticketlens.spec import (
    LATER,
    PARTS,
    DatasetSpec,
    InitSpec,
    NetworkSpec,
    PruningSpec,
    Spec,
    TrainingSpec,
)
from ticketlens.study import config

FLOATS = st.floats(0, 1e6, allow_nan=False)
FIELDS = [(part, field) for part, kind in PARTS.items() for field in dataclasses.fields(kind)]


def of_kind(field):
    """Return a strategy for values of the type of a key's default."""
    default = field.default
    if words := field.metadata.get("words"):
        return st.sampled_from(words)
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, tuple):
        return st.tuples(*[st.integers(1, 64)] * len(default))
    return {int: st.integers(0, 10**9), float: FLOATS, str: st.text(max_size=9)}[type(default)]


PART_STRATEGIES = {
    name: st.builds(part, **{f.name: of_kind(f) for f in dataclasses.fields(part)})
    for name, part in PARTS.items()
}


@st.composite
def networks_of_lists(draw):
    """Networks with a kernel, a stride and a width of its own for each layer."""
    count = draw(st.integers(1, 5))
    lists = st.lists(st.integers(1, 9), min_size=count, max_size=count)
    return NetworkSpec(widths=draw(lists), kernel=draw(lists), stride=draw(lists))


PART_STRATEGIES["network"] |= networks_of_lists()
SPECS = st.builds(Spec, **PART_STRATEGIES)


@given(SPECS)
def test_json_round_trip_gives_an_equal_spec_and_the_same_digest(spec):
    again = Spec.from_json(spec.to_json())
    assert again == spec
    assert (again.to_json(), again.sha256) == (spec.to_json(), spec.sha256)


@given(SPECS)
def test_json_is_canonical_and_complete(spec):
    parsed = json.loads(spec.to_json())
    assert spec.to_json() == json.dumps(parsed, sort_keys=True, separators=(",", ":"))
    for name, part in PARTS.items():
        wanted = {field.name for field in dataclasses.fields(part)}
        kept = {key for key in LATER.get(name, ()) if key in parsed[name]}
        assert set(parsed[name]) == wanted - set(LATER.get(name, ())) | kept
        for key in set(LATER.get(name, ())) - kept:
            assert getattr(getattr(spec, name), key) == getattr(part(), key)


def test_the_default_spec_has_the_digest_that_it_always_had():
    digest = "de5da6ac99b015c9269f53a0365f08a234c60ea0fad4f61b08718898f76a17d7"
    assert Spec().sha256 == digest


@pytest.mark.parametrize("key", ["kernel", "stride"])
def test_a_list_of_equal_numbers_is_the_number(key):
    listed, single = (NetworkSpec(hidden_layers=3, **{key: own}) for own in ([5, 5, 5], 5))
    assert listed == single
    assert Spec(network=listed).to_json() == Spec(network=single).to_json()
    assert Spec(network=NetworkSpec(hidden_layers=3, **{key: [5, 3, 5]})) != Spec(network=single)


def test_equal_widths_are_layers_of_one_width():
    assert NetworkSpec(widths=[64, 64]) == NetworkSpec(hidden_layers=2, width=64)


def test_widths_say_how_many_layers_there_are():
    network = NetworkSpec(widths=[300, 100])
    assert (network.hidden_layers, network.width, network.layer_widths) == (2, 300, (300, 100))
    shapes = [layer.shape for layer in layer_shapes(Spec(network=network))]
    assert shapes == [(300, 3072), (100, 300), (10, 100)]


def test_convolutions_have_their_own_kernels_strides_and_channels():
    network = NetworkSpec("convolutional", widths=(8, 16), kernel=(5, 3), stride=(1, 2))
    first, second, readout = layer_shapes(Spec(network=network))
    assert (first.shape, first.stride) == ((8, 3, 5, 5), 1)
    assert (second.shape, second.stride) == ((16, 8, 3, 3), 2)
    assert readout.shape == (10, 16)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"stride": [1, 2]}, r"stride is \[1, 2\]; allowed: a number, or a list with one for each"),
        ({"stride": [2, 2]}, r"stride is \[2, 2\]; allowed: .* of the 3 hidden layers"),
        ({"kernel": []}, r"kernel is \[\]; allowed: .* of the 3 hidden layers"),
        ({"stride": [1, 0, 1]}, r"stride is \[1, 0, 1\]; allowed: at least 1"),
        ({"stride": 0}, "stride is 0; allowed: at least 1"),
        ({"kernel": [3, 2, 3]}, r"kernel is \[3, 2, 3\]; allowed: odd numbers"),
        ({"widths": [3, 0, 3]}, r"widths is \[3, 0, 3\]; allowed: at least 1 each"),
        ({"stride": [1, 1.5, 1]}, "network.stride is 1.5; allowed: a int"),
        ({"stride": [16, 2, 1], "kernel": [3, 3, 5]}, "layer 3 reaches around its 1×1 map more"),
        (
            {"family": "resnet-conv", "stride": [1, 2, 1]},
            r"stride is \[1, 2, 1\]; .*'resnet-conv': 1",
        ),
        ({"family": "resnet-conv", "kernel": [1, 3, 1]}, r"kernel is \[1, 3, 1\]; .*: one number"),
        (
            {"family": "resnet-fc", "widths": [8, 9, 8]},
            r"widths is \[8, 9, 8\]; .*'resnet-fc': none",
        ),
    ],
)
def test_lists_that_make_no_network_are_refused_by_name(network, message):
    mapping = {"family": "convolutional", "hidden_layers": 3, **network}
    with pytest.raises(ValueError, match=message):
        layer_shapes(Spec.from_mapping({"network": mapping}))


@pytest.mark.parametrize(("part", "field"), FIELDS, ids=lambda x: getattr(x, "name", x))
def test_every_field_changes_the_digest(part, field):
    default = field.default
    if isinstance(default, bool):
        other = not default
    elif isinstance(default, tuple):
        other = (1, *default[1:])
    elif "words" in field.metadata:
        other = field.metadata["words"][-1]
    else:
        other = default + {str: "x", int: 1, float: 0.5}[type(default)]
    assert Spec.from_mapping({part: {field.name: other}}).sha256 != Spec().sha256


def test_of_pruning_round_0_has_the_rewind_epoch_alone():
    pruned = Spec(pruning=PruningSpec(rate=0.5, scope="global", rewind_epoch=2))
    assert pruned.of_round(0) == Spec(pruning=PruningSpec(rewind_epoch=2))
    assert pruned.of_round(1) == pruned


def test_the_number_of_rounds_is_no_part_of_a_spec():
    # An added round must leave the rounds that exist untouched.
    assert "rounds" not in {field.name for field in dataclasses.fields(PruningSpec)}


@pytest.mark.parametrize("one", [1, 1.0, np.float64(1), np.int64(1), np.float32(1)])
def test_numbers_of_any_kind_make_the_same_spec(one):
    wanted = Spec(init=InitSpec(sigma_w=1.0), training=TrainingSpec(epochs=1))
    built = Spec(init=InitSpec(sigma_w=one), training=TrainingSpec(epochs=one))
    mapped = Spec.from_mapping({"init": {"sigma_w": one}, "training": {"epochs": one}})
    assert built == mapped == wanted
    assert built.to_json() == mapped.to_json() == wanted.to_json()


def test_a_key_that_an_older_file_lacks_takes_its_default():
    older = json.loads(Spec().to_json())
    del older["training"]["threads"], older["pruning"]
    assert Spec.from_json(json.dumps(older)) == Spec()


def test_keys_that_an_older_file_lacks_take_their_defaults():
    parsed = json.loads(Spec().to_json())
    del parsed["training"]["sparse_below"], parsed["training"]["sparse_kernel"]
    assert Spec.from_json(json.dumps(parsed)) == Spec()


def test_specs_are_immutable_and_hashable():
    spec = Spec()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.training.epochs = 3
    assert hash(spec) == hash(Spec())
    assert spec.replace(training=TrainingSpec(epochs=3)).training.epochs == 3
    assert spec.training.epochs == 50


def test_an_image_shape_may_come_as_a_list():
    spec = Spec.from_mapping({"dataset": {"shape": [8, 8, 1]}})
    assert spec.dataset == DatasetSpec(shape=(8, 8, 1))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"networks": {}}, "unknown part 'networks'"),
        ({"training": {"epoch": 3}}, "unknown key training.epoch; allowed: .*'epochs'"),
        ({"training": 3}, "part 'training' is 3"),
        ({"training": {"epochs": 2.5}}, "training.epochs is 2.5; allowed: a int"),
        ({"training": {"epochs": True}}, "training.epochs is True"),
        ({"training": {"tf32": 1}}, "training.tf32 is 1; allowed: a bool"),
        ({"training": {"learning_rate": "0.1"}}, "training.learning_rate is '0.1'"),
        ({"training": {"learning_rate": float("nan")}}, "learning_rate is nan; .* finite float"),
        ({"training": {"epochs": float("inf")}}, "training.epochs is inf"),
        ({"training": {"device": None}}, "training.device is None; allowed: a str"),
        ({"training": {"schedule": "consine"}}, "schedule is 'consine'; allowed: constant, cosine"),
        ({"pruning": {"rewind": "weight"}}, "rewind is 'weight'; allowed: weights, schedule, none"),
        ({"dataset": {"shape": [32, 32]}}, "dataset.shape is \\[32, 32\\]"),
        ({"dataset": {"shape": [32, 32, "3"]}}, "dataset.shape is '3'"),
    ],
)
def test_a_bad_spec_is_refused_with_key_and_value(mapping, message):
    with pytest.raises(ValueError, match=message):
        Spec.from_mapping(mapping)


def test_a_part_built_directly_is_checked_as_well():
    with pytest.raises(ValueError, match=r"network.width is '256'"):
        NetworkSpec(width="256")


@pytest.mark.parametrize(("part", "field"), FIELDS, ids=lambda x: getattr(x, "name", x))
def test_words_are_those_of_the_config(part, field):
    """What a config may say, a spec may say, and the other way round."""
    if words := field.metadata.get("words"):
        section = "networks" if part == "network" else part
        found = json.loads(config.SCHEMA.read_text(encoding="utf-8"))
        keys = found["$defs"].get(section) or found["properties"][section]["additionalProperties"]
        assert set(keys["properties"][field.name]["enum"]) == set(words)


def test_a_misspelt_word_is_refused_where_a_part_is_built():
    for part, key, word, allowed in (
        (NetworkSpec, "padding", "cicular", "circular, zeros"),
        (TrainingSpec, "device", "gpu", "auto, cpu, cuda"),
        (PruningSpec, "scope", "layers", "layer, global"),
    ):
        with pytest.raises(ValueError, match=f"{key} is {word!r}; allowed: {allowed}"):
            part(**{key: word})


def test_the_shape_of_a_layer_has_the_kind_that_it_says():
    assert LayerShape("h", "conv", (4, 3, 3, 3)).fan_in == 27
    for kind, shape in (("linaer", (4, 3)), ("conv", (4, 3)), ("linear", (4, 3, 3, 3))):
        with pytest.raises(ValueError, match=f"layer h: kind is {kind!r} with shape .*allowed: "):
            LayerShape("h", kind, shape)


@pytest.mark.parametrize("text", ["[]", "3", "{", "null", ""])
def test_text_that_is_no_json_object_is_refused(text):
    with pytest.raises(ValueError):
        Spec.from_json(text)


def test_precision_is_left_out_at_float32_and_carries_a_version_otherwise():
    assert "precision" not in Spec().to_json()
    assert "bfloat16_kernel" not in Spec().to_json()
    spec = Spec(training=TrainingSpec(precision="bfloat16"))
    assert spec.training.bfloat16_kernel == 1
    assert '"bfloat16_kernel":1' in spec.to_json()
    assert '"precision":"bfloat16"' in spec.to_json()
    assert Spec.from_json(spec.to_json()) == spec

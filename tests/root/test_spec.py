"""Specs: canonical JSON that any change of meaning changes, and nothing else does."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.spec import (
    PARTS,
    DatasetSpec,
    InitSpec,
    NetworkSpec,
    PruningSpec,
    Spec,
    TrainingSpec,
)

FLOATS = st.floats(0, 1e6, allow_nan=False)
FIELDS = [(part, field) for part, kind in PARTS.items() for field in dataclasses.fields(kind)]


def of_kind(default):
    """Return a strategy for values of the type of a default."""
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, tuple):
        return st.tuples(*[st.integers(1, 64)] * len(default))
    return {int: st.integers(0, 10**9), float: FLOATS, str: st.text(max_size=9)}[type(default)]


PART_STRATEGIES = {
    name: st.builds(part, **{f.name: of_kind(f.default) for f in dataclasses.fields(part)})
    for name, part in PARTS.items()
}
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
        assert set(parsed[name]) == {field.name for field in dataclasses.fields(part)}


@pytest.mark.parametrize(("part", "field"), FIELDS, ids=lambda x: getattr(x, "name", x))
def test_every_field_changes_the_digest(part, field):
    default = field.default
    if isinstance(default, bool):
        other = not default
    elif isinstance(default, tuple):
        other = (1, *default[1:])
    else:
        other = default + {str: "x", int: 1, float: 0.5}[type(default)]
    assert Spec.from_mapping({part: {field.name: other}}).sha256 != Spec().sha256


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


@pytest.mark.parametrize("text", ["[]", "3", "{", "null", ""])
def test_text_that_is_no_json_object_is_refused(text):
    with pytest.raises(ValueError):
        Spec.from_json(text)

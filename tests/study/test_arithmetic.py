"""Arithmetic on shapes, counts and rounds: said before any job, with the number that is allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.spec import PruningSpec
from ticketlens.study import arithmetic
from ticketlens.study.arithmetic import emptied_round
from ticketlens.study.studies import study_spec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune


def problems(config: dict[str, Any], **known: Any) -> list[str]:
    return list(arithmetic.problems(config, **known))


def config(**changes: Any) -> dict[str, Any]:
    """A study `mine` of a small network, with changes by `section={key: value}`."""
    sections: dict[str, Any] = {
        "network": {"family": "fully-connected", "hidden_layers": 2, "width": 16},
        "training": {"epochs": 2, "batch_size": 8},
        "pruning": {"rounds": 3, "rate": 0.2, "readout_rate": 0.1},
    }
    for section, values in changes.items():
        sections[section] = {**sections.get(section, {}), **values}
    return {
        "networks": {"net": sections["network"]},
        "inits": {"normal": {"scheme": "gaussian"}},
        "training": sections["training"],
        "pruning": sections["pruning"],
        "studies": {"mine": {"network": "net", "init": "normal", **sections.get("study", {})}},
    }


@given(st.integers(1, 3000), st.floats(0.05, 0.95), st.integers(1, 30))
def test_a_layer_is_empty_when_pruning_says_so(weights: int, rate: float, rounds: int) -> None:
    rate = round(rate, 2)
    found = emptied_round(weights, rate, rounds)
    kept = [weights]
    while len(kept) <= rounds and kept[-1] > 0:
        kept.append(kept[-1] - int(np.floor(rate * kept[-1] + 0.5 + 1e-12)))
    assert found == (kept.index(0) if 0 in kept else None)


def test_the_round_that_empties_a_layer_is_the_one_in_which_pruning_refuses() -> None:
    spec_of = config(pruning={"rounds": 20, "rate": 0.5})
    (line,) = problems(spec_of)
    assert line == (
        "studies.mine: pruning.rate is 0.5 and pruning.rounds 20, which leaves none of the 256 "
        "weights of layer hidden2 in round 9; allowed: at most 8 rounds, or a lower rate"
    )
    layers = initial_layers(study_spec(spec_of, "mine"), 0)[1:2]
    pruning = PruningSpec(rate=0.5)
    for number in range(1, 9):
        masks = prune(layers, layers, pruning, 0, number)
        layers = tuple(
            replace(layer, mask=mask, weight=np.where(mask, layer.weight, np.float32(0)))
            for layer, mask in zip(layers, masks, strict=True)
        )
    with pytest.raises(ValueError, match="would remove all"):
        prune(layers, layers, pruning, 0, 9)


def test_a_batch_larger_than_the_training_part_is_refused_once_images_are_counted() -> None:
    large = config(training={"batch_size": 100})
    assert problems(large) == []
    assert problems(large, images=100) == []
    assert problems(large, images=99) == [
        "studies.mine: training.batch_size is 100, more than the 99 training images; allowed: at "
        "most 99"
    ]


def test_a_layer_of_more_weights_than_places_have_numbers_is_refused() -> None:
    one, two = problems(config(network={"width": 1_000_000}))
    assert "layer hidden1 has 3,072,000,000 weights; allowed: at most 2,147,483,647" in one
    assert "layer hidden2 has 1,000,000,000,000 weights" in two


def test_weights_beyond_the_mean_field_integrals_are_refused_before_any_job() -> None:
    large = config(network={"activation": "tanh"})
    large["inits"]["normal"]["sigma_w"] = 300
    assert problems(large) == []
    large["inits"]["normal"]["sigma_w"] = 1000
    assert problems(large) == [
        "studies.mine: sigma_w² + sigma_b² of its init are 1e+06; allowed: at most 100,000 with "
        "tanh, beyond which its mean-field integrals are not computed"
    ]
    large["networks"]["net"]["activation"] = "relu"
    assert problems(large) == []


def test_kernels_that_leave_the_map_are_refused_once_the_size_of_images_is_known() -> None:
    network = {
        "family": "convolutional",
        "hidden_layers": 4,
        "width": 4,
        "kernel": 5,
        "stride": 2,
        "padding": "circular",
    }
    (line,) = problems(config(network=network), image_shape=(8, 8, 3))
    assert line.startswith("studies.mine: of images of this size, the network's kernel is 5")
    assert problems(config(network=network), image_shape=(64, 64, 3)) == []


def test_studies_of_the_bank_are_not_trained_and_not_asked() -> None:
    assert problems(config(study={"tickets": "bank"}, pruning={"rounds": 20, "rate": 0.5})) == []

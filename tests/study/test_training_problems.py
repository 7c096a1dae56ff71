"""What a training cannot be, said of a place that has another word for `sparse_below: 0`."""

from __future__ import annotations

from typing import Any

import pytest

from ticketlens.study.training_problems import training_problems


@pytest.mark.parametrize(
    "training",
    [
        {"precision": "autocast", "device": "cuda"},
        {"precision": "bfloat16", "device": "cpu"},
        {"kernel": "stacked", "device": "cpu"},
        {"device": "auto"},
    ],
    ids=["autocast", "bfloat16", "stacked", "device"],
)
def test_each_message_says_how_the_place_turns_sparse_layers_off(training: dict[str, Any]) -> None:
    network = {"family": "fully-connected", "activation": "tanh"}
    asked = {**training, "sparse_below": 0.5}
    of_study = [*training_problems("studies.s", asked, network)]
    of_arm = [*training_problems("arms.x", asked, network, off="none")]
    assert of_study and len(of_study) == len(of_arm)
    for line, other in zip(of_study, of_arm, strict=True):
        assert other == line.replace("studies.s", "arms.x").replace(
            "sparse_below 0 ", "sparse_below none "
        ).replace("sparse_below 0)", "sparse_below none)").replace("allowed: 0", "allowed: none")
        assert "none" in other

"""What a checked config says of a study, and of how its images are split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ticketlens.spec import Spec


def study_spec(config: Mapping[str, Any], study: str) -> Spec:
    """Return the spec of a study, data set apart: its network, init, training and pruning.

    `training` and `pruning` of the study override those of the config.
    """
    entry = config["studies"][study]
    pruning = {**config["pruning"], **entry.get("pruning", {})}
    return Spec.from_mapping(
        {
            "network": config["networks"][entry["network"]],
            "init": config["inits"][entry["init"]],
            "training": {**config["training"], **entry.get("training", {})},
            "pruning": {key: value for key, value in pruning.items() if key != "rounds"},
        }
    )


def rounds(config: Mapping[str, Any], study: str) -> int:
    """Return the number of pruning rounds of a study."""
    return int({**config["pruning"], **config["studies"][study].get("pruning", {})}["rounds"])


def dataset_split(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how training images are split: what `dataset.prepare` takes, by the same names."""
    given = config["dataset"]
    return {
        "validation": given["validation"],
        "split_seed": given.get("split_seed", 0),
        "train_on_validation": given.get("train_on_validation", False),
    }

"""What a checked config says of a study, and of how its images are split."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from ticketlens.architecture import is_convolutional
from ticketlens.spec import Spec


def study_spec(config: Mapping[str, Any], study: str) -> Spec:
    """Return the spec of a study, data set apart: its network, init, training and pruning.

    `training` and `pruning` of the study override those of the config. How tickets from files were
    pruned is not known: theirs is the default.
    """
    entry = config["studies"][study]
    pruning = {} if is_filed(entry) else {**config["pruning"], **entry.get("pruning", {})}
    return Spec.from_mapping(
        {
            "network": config["networks"][entry["network"]],
            "init": config["inits"][entry["init"]],
            "training": _training(config, study),
            "pruning": {key: value for key, value in pruning.items() if key != "rounds"},
        }
    )


def threads(config: Mapping[str, Any], study: str) -> int:
    """Return how many threads a training of a study takes.

    In float32 they are part of the spec. In bfloat16 they change no bits, and its convolutions
    alone share their work.
    """
    spec = study_spec(config, study)
    if spec.training.precision != "bfloat16":
        return spec.training.threads
    return int(_training(config, study).get("threads", 1)) if is_convolutional(spec) else 1


def _training(config: Mapping[str, Any], study: str) -> dict[str, Any]:
    return {**config["training"], **config["studies"][study].get("training", {})}


def rounds(config: Mapping[str, Any], study: str) -> int:
    """Return the number of pruning rounds of a study: its last round."""
    if is_filed(config["studies"][study]):
        return round_numbers(config, study)[-1]
    return int({**config["pruning"], **config["studies"][study].get("pruning", {})}["rounds"])


def is_filed(entry: Mapping[str, Any]) -> bool:
    """Whether the tickets of a study are files of other systems."""
    return bool(entry.get("tickets") == "files")


def round_numbers(config: Mapping[str, Any], study: str) -> list[int]:
    """Return the rounds that a study has, in ascending order: all, but of files those there are.

    These are its `rounds`; without them round 1 of one file, all rounds of a pattern.
    """
    entry = config["studies"][study]
    if not is_filed(entry):
        return list(range(rounds(config, study) + 1))
    if "rounds" in entry:
        return sorted(entry["rounds"])
    is_pattern = "round" in fields(str(entry.get("path", "")))
    return list(range(int(config["pruning"]["rounds"]) + 1)) if is_pattern else [1]


def fields(pattern: str) -> set[str]:
    """Return the names in braces of a pattern; doubled braces hold none, nor does a broken one."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
    except ValueError:
        return set()


def dataset_split(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how training images are split: what `dataset.prepare` takes, by the same names."""
    given = config["dataset"]
    return {
        "validation": given["validation"],
        "split_seed": given.get("split_seed", 0),
        "train_on_validation": given.get("train_on_validation", False),
    }

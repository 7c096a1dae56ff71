"""Reading the config: problems found before anything runs, one clear line each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from ticketlens import architecture
from ticketlens.files import sources
from ticketlens.spec import Spec
from ticketlens.study import (
    arithmetic,
    claim_plan,
    config_files,
    factorial,
    foreign_files,
    schema_errors,
    texts,
)
from ticketlens.study import arms as arm_config
from ticketlens.study.hints import did_you_mean
from ticketlens.study.training_problems import training_problems
from ticketlens.theory import activations
from ticketlens.tickets import initialization
from ticketlens.tickets.pruning import CRITERIA

# Sections that an overlay may set to null.
OPTIONAL = ("experiments", "contrasts", "factorial", "interventions", "claims")
LIBRARY = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).resolve().parents[1]
# In a clone beside the package, in an installed copy inside it.
SCHEMA = (
    next((path for path in (LIBRARY / "schemas", PACKAGE / "schemas") if path.is_dir()), LIBRARY)
    / "config.schema.json"
)
SHIPPED = LIBRARY.parent / "config" / "config.yaml"


class ConfigError(ValueError):
    """The config is not valid; the message lists all problems."""


def check_files(paths: Iterable[str | Path]) -> None:
    """Raise ConfigError if a mapping of a config file names a key twice."""
    refuse(config_files.problems(paths))


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without its removed (null) entries, after checking it.

    Overlays merge mappings; an entry of `networks`, `inits`, `studies`, `arms` or `experiments`
    that an overlay sets to null is removed, and so is what names it; an optional section that is
    null is as if it were not there. Raises ConfigError with all problems: the key, the value, what
    is allowed, and for an unknown key the nearest known one.
    """
    pruned = _without_removed(config)
    found = list(_problems(pruned))
    if not any(line.startswith("results is") for line in found):
        found += _results_in_a_file(pruned.get("results"))
    refuse(found)
    return {**pruned, "results": os.path.expanduser(pruned["results"])}


def _results_in_a_file(results: object) -> list[str]:
    """Return what is wrong if a file stands where `results`, or a folder above it, is to be."""
    if not isinstance(results, str) or "\0" in results:
        return []
    folder = Path(os.path.expanduser(results))
    there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), None)
    if there is None or there.is_dir():
        return []
    return [f"results is {results!r}, but {there} is a file; allowed: a folder, or a new name"]


def refuse(problems: Collection[str]) -> None:
    """Raise ConfigError with the problems, if there are any."""
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(
            f"the config has {len(problems)} problem(s):\n{lines}\nsee config/README.md"
        )


Check = Callable[[Mapping[str, Any]], Iterable[str]]
CHECKS: tuple[Check, ...] = (
    lambda config: _reference_problems(config),
    texts.problems,
    foreign_files.problems,
    arm_config.problems,
    claim_plan.problems,
    factorial.problems,
    arithmetic.problems,
)


def _problems(config: Mapping[str, Any]) -> list[str]:
    """Return what all checks find. What the schema refuses is repaired before the others look.

    So a wrong value is named once, and hides no problem elsewhere.
    """
    errors = schema_errors.errors(schema(), config)
    lines = [line for error in errors for line in schema_errors.lines(error)]
    if errors:
        shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.is_file() else {}
        config = schema_errors.repaired(config, errors, shipped)
        if schema_errors.errors(schema(), config):
            return list(dict.fromkeys(lines))
    for check in CHECKS:
        lines += _as_far_as_possible(check, config, not lines)
    return list(dict.fromkeys(lines))


def _as_far_as_possible(check: Check, config: Mapping[str, Any], is_sound: bool) -> list[str]:
    """Return what a check finds; where it meets what is refused already, what it found before."""
    problems: list[str] = []
    try:
        problems.extend(check(config))
    except (KeyError, TypeError, ValueError, AttributeError):
        if is_sound:
            raise
    return problems


def _without_removed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the entries that an overlay sets to null, nor what names them.

    Not checked yet: what should be a name may be anything, a list too, so no sets.
    """
    kept = {
        name: entry for name, entry in config.items() if entry is not None or name not in OPTIONAL
    }
    removed: dict[str, list[str]] = {}
    for key in ("networks", "inits", "studies", "arms", "experiments"):
        if isinstance(config.get(key), Mapping):
            removed[key] = [name for name, entry in config[key].items() if entry is None]
            kept[key] = {name: entry for name, entry in config[key].items() if entry is not None}
    studies, arms = removed.get("studies", []), removed.get("arms", [])

    def entries(key: str) -> list[tuple[str, Any]]:
        return list(kept[key].items()) if isinstance(kept.get(key), Mapping) else []

    if entries("arms"):
        kept["arms"] = {name: _leaving(arm, "studies", studies) for name, arm in entries("arms")}
    for key, names, gone in (("interventions", "studies", studies), ("contrasts", "arms", arms)):
        if key in kept:
            kept[key] = _leaving(kept[key], names, gone)
    if entries("experiments"):
        kept["experiments"] = {
            name: _leaving(entry, "arms", arms)
            for name, entry in entries("experiments")
            if not (isinstance(entry, Mapping) and entry.get("study") in studies)
        }
    if entries("claims") and kept["claims"].get("bimodal_arm") in arms:
        kept["claims"] = {**kept["claims"], "bimodal_arm": None}
    return kept


def _leaving(entry: Any, key: str, gone: Collection[str]) -> Any:
    """Return a mapping whose list `key` lacks the names that are gone."""
    if not (isinstance(entry, Mapping) and isinstance(entry.get(key), list)):
        return entry
    return {**entry, key: [name for name in entry[key] if name not in gone]}


def export_environment() -> None:
    """Let scripts find the library without installation, on cluster nodes and in conda, too.

    They draw to files: a notebook's MPLBACKEND, which its `!snakemake` inherits, names a backend
    that matplotlib refuses at import (3.11) where the notebook's packages are not installed.
    """
    os.environ["MPLBACKEND"] = "agg"
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(LIBRARY), *(path for path in others if path and path != str(LIBRARY))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the config; what a registry has, it allows.

    These are sources of images, families, activations, initial weights, criteria, and the sources
    of an arm.
    """
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    sections = document["properties"]

    def allow(section: dict[str, Any], key: str, names: Iterable[str]) -> None:
        section["properties"][key] = {"enum": list(names)}

    allow(sections["dataset"], "source", sources.SOURCES)
    network = sections["networks"]["additionalProperties"]
    allow(network, "family", architecture.FAMILIES)
    allow(network, "activation", activations.ACTIVATIONS)
    allow(sections["inits"]["additionalProperties"], "scheme", initialization.SCHEMES)
    allow(document["$defs"]["pruning"], "criterion", CRITERIA)
    allow(sections["arms"]["additionalProperties"], "mask", arm_config.mask_names())
    allow(sections["arms"]["additionalProperties"], "weights", arm_config.weight_names())
    return cast(dict[str, Any], document)


def _rewind_problems(
    name: str, study: Mapping[str, Any], pruning: Mapping[str, Any], training: Mapping[str, Any]
) -> Iterator[str]:
    """What cannot be with tickets that start from trained weights."""
    rewind = pruning.get("rewind", "weights")
    if rewind == "weights" or study.get("tickets") == "files":
        return
    value = f"studies.{name}: pruning.rewind is {rewind!r}"
    if study.get("tickets", "train") != "train":
        yield (
            f"{value} with tickets: {study['tickets']}, from the bank, which holds rewound tickets "
            "only; allowed: weights"
        )
    if pruning.get("rewind_epoch", 0):
        yield (
            f"{value} with pruning.rewind_epoch {pruning['rewind_epoch']}, which then has no "
            "effect; allowed: rewind_epoch 0"
        )
    if rewind == "none" and training.get("schedule", "constant") != "constant":
        yield (
            f"{value} with training.schedule {training['schedule']!r}, whose final rate is 0; "
            "allowed: constant, or rewind: schedule"
        )


def _reference_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What the schema cannot say: names that must exist, and values that exclude each other."""
    for name, network in config["networks"].items():
        try:
            architecture.layer_shapes(Spec.from_mapping({"network": network}))
        except ValueError as error:
            yield f"networks.{name}.{error}"
    for name, study in config["studies"].items():
        for kind, table in (("network", "networks"), ("init", "inits")):
            if study[kind] not in config[table]:
                hint = did_you_mean(study[kind], config[table])
                yield (
                    f"studies.{name}.{kind} is {study[kind]!r}, which {table} does not define "
                    f"(defined: {', '.join(config[table])}){hint}"
                )
        training = {**config["training"], **study.get("training", {})}
        pruning = {**config["pruning"], **study.get("pruning", {})}
        if pruning.get("rewind_epoch", 0) >= training["epochs"]:
            yield (
                f"studies.{name}: pruning.rewind_epoch is {pruning['rewind_epoch']}; allowed: less "
                f"than training.epochs ({training['epochs']})"
            )
        yield from _rewind_problems(name, study, pruning, training)
        if training.get("warmup_epochs", 0) >= training["epochs"]:
            yield (
                f"studies.{name}: training.warmup_epochs is {training['warmup_epochs']}; allowed: "
                f"less than training.epochs ({training['epochs']})"
            )
        network = config["networks"].get(study["network"])
        yield from training_problems(f"studies.{name}", training, network)
    if config["arms"].get("imp") != {"mask": "imp", "weights": "rewind"}:
        yield "arms.imp must be {mask: imp, weights: rewind}: it is the chain that all arms need"

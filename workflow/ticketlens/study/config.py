"""Reading the config: problems found before anything runs, one clear line each."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from ticketlens import architecture
from ticketlens.files import sources
from ticketlens.spec import Spec
from ticketlens.study import arms as arm_config
from ticketlens.study import claim_plan, factorial
from ticketlens.study.hints import did_you_mean
from ticketlens.theory import activations
from ticketlens.tickets import initialization
from ticketlens.tickets.pruning import CRITERIA

LIBRARY = Path(__file__).resolve().parents[2]
SCHEMA = LIBRARY / "schemas" / "config.schema.json"


class ConfigError(ValueError):
    """The config is not valid; the message lists the problems of the first check that finds any."""


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without its removed (null) entries, after checking it.

    Overlays merge mappings; an entry of `networks`, `inits`, `studies`, `arms` or `experiments`
    that an overlay sets to null is removed, and so is what names it. Four checks go from form to
    sense: the schema, names and values, arms and claims, the factorial. Raises ConfigError with all
    problems of the first check that finds any, as later ones rely on it: the key, the value, what
    is allowed, and for an unknown key the nearest known one.
    """
    pruned = _without_removed(config)
    problems = (
        list(_schema_problems(pruned))
        or list(_reference_problems(pruned))
        or [*arm_config.problems(pruned), *claim_plan.problems(pruned)]
        or list(factorial.problems(pruned))
    )
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(
            f"the config has {len(problems)} problem(s):\n{lines}\nsee config/README.md"
        )
    return pruned


def _without_removed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the entries that an overlay sets to null, nor what names them.

    Not checked yet: what should be a name may be anything, a list too, so no sets.
    """
    kept, removed = dict(config), {}
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


def export_library_path() -> None:
    """Let scripts find the library without installation, on cluster nodes and in conda, too."""
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
    return document


def _schema_problems(config: Mapping[str, Any]) -> Iterator[str]:
    # JSON schema takes 1.0 for an integer and .nan for a number; as seed or rate they are neither.
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and abs(value) <= sys.float_info.max
            ),
        }
    )
    strict = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)
    validator = strict(schema())
    errors = sorted(
        validator.iter_errors(_document(config)), key=lambda error: list(map(str, error.path))
    )
    # One error comes per missing key, and each names all of them: say every line once.
    yield from dict.fromkeys(line for error in errors for line in _lines(error))


def _document(value: Any) -> Any:
    """Return the config as JSON has it: keys are text, mappings and lists are plain."""
    if isinstance(value, Mapping):
        return {str(key): _document(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_document(entry) for entry in value]
    return value


def _lines(error: Any) -> Iterator[str]:
    where = ".".join(str(part) for part in error.absolute_path) or "config"
    prefix = "" if where == "config" else f"{where}."
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        for key in sorted(set(error.instance) - set(known)):
            hint = did_you_mean(key, known)
            yield f"unknown key {prefix}{key}{hint} (allowed: {', '.join(known)})"
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield f"missing key {prefix}{key}"
    elif error.validator == "enum":
        allowed = ", ".join(str(value) for value in error.validator_value)
        wanted = str(error.instance).lower()
        hint = did_you_mean(wanted, error.validator_value)
        yield f"{where} is {error.instance!r}; allowed: {allowed}{hint}"
    elif error.validator in ("propertyNames", "pattern"):
        yield (
            f"{where}: {error.instance!r} is not a valid name; allowed: lower-case letters, digits "
            "and single hyphens, starting with a letter"
            if "$comment" not in error.schema
            else f"{where} is {error.instance!r}; allowed: {error.schema['$comment']}"
        )
    else:
        yield f"{where} is {error.instance!r}; allowed: {_allowed(error)}{_as_number(error)}"


def _as_number(error: Any) -> str:
    """Hint at numbers that YAML reads as text: '3', and 1e-3 without a decimal point."""
    if error.validator != "type" or error.validator_value not in ("number", "integer"):
        return ""
    try:
        number = float(error.instance) if isinstance(error.instance, str) else math.nan
    except ValueError:
        return ""
    hint = f"; did you mean {number:g}, written as a number (1.0e-3, not 1e-3)?"
    return hint if math.isfinite(number) else ""


def _allowed(error: Any) -> str:
    types = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "integer": "an integer",
        "number": "a finite number",
        "boolean": "true or false",
        "null": "null",
    }
    wording = {
        "type": lambda value: " or ".join(
            types[name] for name in ([value] if isinstance(value, str) else value)
        ),
        "minimum": lambda value: f"at least {value}",
        "maximum": lambda value: f"at most {value}",
        "exclusiveMinimum": lambda value: f"more than {value}",
        "exclusiveMaximum": lambda value: f"less than {value}",
        "minItems": lambda value: f"{value} or more entries",
        "maxItems": lambda value: f"at most {value} entries",
        "uniqueItems": lambda value: "no entry twice",
        "minProperties": lambda value: f"{value} or more entries",
        "const": lambda value: repr(value),
        "not": lambda value: error.schema.get("$comment", "another value"),
        "minLength": lambda value: "a non-empty text",
        "maxLength": lambda value: f"at most {value} characters",
    }
    return wording.get(error.validator, lambda value: f"{error.validator} {value}")(
        error.validator_value
    )


def _sparse_problems(
    name: str, training: Mapping[str, Any], network: Mapping[str, Any] | None
) -> Iterator[str]:
    """What the sparse step cannot do: convolutions, GPUs."""
    value = f"studies.{name}: training.sparse_below is {training['sparse_below']:g}"
    if network and network["family"] != "fully-connected":
        yield f"{value} for a {network['family']} network; allowed: 0 (it trains dense)"
    elif training.get("device", "auto") != "cpu":
        yield (
            f"{value} with training.device {training.get('device', 'auto')!r}; allowed: cpu (or "
            "sparse_below 0)"
        )


def _bfloat16_problems(
    name: str, training: Mapping[str, Any], network: Mapping[str, Any] | None
) -> Iterator[str]:
    """What bfloat16 does not define: linear layers, GPUs."""
    value = f"studies.{name}: training.precision is 'bfloat16'"
    if network and network["family"] not in ("convolutional", "resnet-conv"):
        yield (
            f"{value} for a {network['family']} network; allowed: float32 (bfloat16 is for "
            "convolutions)"
        )
    elif training.get("device", "auto") != "cpu":
        yield (
            f"{value} with training.device {training.get('device', 'auto')!r}; allowed: cpu (or "
            "precision float32)"
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
        if training.get("warmup_epochs", 0) >= training["epochs"]:
            yield (
                f"studies.{name}: training.warmup_epochs is {training['warmup_epochs']}; allowed: "
                f"less than training.epochs ({training['epochs']})"
            )
        if training.get("precision") == "bfloat16":
            yield from _bfloat16_problems(name, training, config["networks"].get(study["network"]))
        if training.get("sparse_below", 0) > 0:
            yield from _sparse_problems(name, training, config["networks"].get(study["network"]))
    if config["arms"].get("imp") != {"mask": "imp", "weights": "rewind"}:
        yield "arms.imp must be {mask: imp, weights: rewind}: it is the chain that all arms need"

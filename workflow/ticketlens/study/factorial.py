"""The factorial: a table of mask sources × weight sources, each cell an arm of its own target.

Masks go by the names of `arms.*.mask`; `erk-shuffled` is the layer-shuffle of ERK's own mask, its
control. A cell that no arm could be (see `arm_config`) is left out, and says why. One whose recipe
the config's `arms` has, made at that round for all seeds, is that arm: nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ticketlens.architecture import is_fully_connected
from ticketlens.study.arms import (
    arm_problems,
    arm_rounds,
    arm_seeds,
    mask_names,
    recipes,
    shuffled_names,
    weight_names,
)
from ticketlens.study.hints import did_you_mean
from ticketlens.study.studies import round_numbers, study_spec
from ticketlens.tickets.recipe import Arm

Config = Mapping[str, Any]
SUFFIX = "-shuffled"
ITSELF = "the IMP ticket itself"


@dataclass(frozen=True)
class Cell:
    """One combination at one round: the arm that it is, or why there is none (`reason`)."""

    round: int
    mask: str
    weights: str
    arm: str
    reason: str = ""


def factorial_study(config: Config) -> str | None:
    """Return the study of the factorial: its own, or the first fully connected one, if any."""
    if "factorial" not in config:
        return None
    dense = [name for name in config["studies"] if _is_fully_connected(config, name)]
    return cast(str | None, config["factorial"].get("study", next(iter(dense), None)))


def cells(config: Config) -> list[Cell]:
    """Return all combinations at all rounds that the study has, by round, mask and weights."""
    study = factorial_study(config)
    if study is None:
        return []
    seeds = list(config["studies"][study]["seeds"])
    known = {
        name: (arm, arm_rounds(config, name, study))
        for name, arm in recipes(config).items()
        if arm_seeds(config, name, study) == seeds
    }
    table = config["factorial"]
    combinations = []
    for number in sorted(set(table["rounds"]) & set(round_numbers(config, study))):
        at_round = {arm: name for name, (arm, where) in known.items() if number in where}
        for mask in table["masks"]:
            for weights in table["weights"]:
                entry = _recipe(mask, weights)
                if (mask, weights) == ("imp", "rewind"):
                    combinations.append(Cell(number, mask, weights, "imp", ITSELF))
                    continue
                name = _name(mask, weights)
                reason = _reason(config, name, {**entry, "rounds": [number], "studies": [study]})
                arm = at_round.get(Arm.from_config(entry), name)
                combinations.append(Cell(number, mask, weights, arm, reason))
    return combinations


def with_factorial(config: Config) -> dict[str, Any]:
    """Return the config with the cells that are no arm yet among its `arms`, as recipes."""
    study, added = factorial_study(config), {}
    for cell in cells(config):
        if not cell.reason and cell.arm not in config["arms"]:
            added[cell.arm] = {**_recipe(cell.mask, cell.weights), "studies": [study]}
    return {**config, "arms": {**config["arms"], **added}}


def problems(config: Config) -> Iterator[str]:
    """Yield what is wrong with the config's `factorial`, one line per problem."""
    table = config.get("factorial", {})
    for key, names in (("masks", mask_choices()), ("weights", weight_names())):
        for name in table.get(key, ()):
            if name not in names:
                hint = did_you_mean(name, names)
                yield f"factorial.{key} has {name!r}; allowed: {', '.join(names)}{hint}"
    study = table.get("study")
    if study is not None and study not in config["studies"]:
        defined = ", ".join(config["studies"])
        yield (
            f"factorial.study is {study!r}, which studies does not define (defined: {defined})"
            f"{did_you_mean(study, config['studies'])}"
        )
    elif study is not None and not _is_fully_connected(config, study):
        yield (
            f"factorial.study is {study!r}, whose network is of family "
            f"{study_spec(config, study).network.family!r}; allowed: studies of fully connected "
            "networks without skips"
        )
    taken = {_name(m, w) for m in table.get("masks", ()) for w in table.get("weights", ())}
    for name in sorted(taken & set(config["arms"])):
        yield f"arms.{name}: a cell of the factorial has this name; allowed: another name"


def mask_choices() -> list[str]:
    """Return the names that an entry of `factorial.masks` may have."""
    return [*mask_names(), *(f"{name}{SUFFIX}" for name in shuffled_names())]


def _recipe(mask: str, weights: str) -> dict[str, Any]:
    """Return the recipe of a combination, as an entry of `arms`."""
    source = mask.removesuffix(SUFFIX)
    return {"mask": source, "weights": weights, **({"shuffle": True} if source != mask else {})}


def _name(mask: str, weights: str) -> str:
    return f"f-{mask}-x-{weights}"


def _reason(config: Config, name: str, entry: Mapping[str, Any]) -> str:
    """Return why an arm of this entry does not make sense, in few words; "" if it does."""
    places = config.get("interventions", {})
    donors = {key: value for key, value in places.items() if key.startswith("donor_")}
    probe = {**config, "arms": {name: entry}, "interventions": donors}
    first = next(arm_problems(probe, name), "")
    for place in (f"arms.{name} in study {entry['studies'][0]}: ", f"arms.{name} "):
        first = first.removeprefix(place)
    return first.split(";")[0].replace(f"arms.{name}.", "")


def _is_fully_connected(config: Config, study: str) -> bool:
    return is_fully_connected(study_spec(config, study))

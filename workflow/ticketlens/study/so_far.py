"""Chains as far as they are: what `bank_so_far` packs, and what continues from the ticket bank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ticketlens.study import packing
from ticketlens.study.config import ConfigError
from ticketlens.study.plan import Plan
from ticketlens.study.studies import rounds

Wildcards = Mapping[str, str]


def of_chain(plan: Plan) -> Callable[[Wildcards], dict[str, str | list[str]]]:
    """Return the input function of what is packed: a chain's files as far as it is trained.

    `masks` (the next one too) and `trained` networks, from the first round that is trained here
    on; `earlier`, the file of the bank that the chain continues, if it does. Raises ConfigError
    if no network is trained yet, or if the study's tickets do not rewind to theta_0.
    """

    def files(wildcards: Wildcards) -> dict[str, str | list[str]]:
        study, seed = wildcards["study"], int(wildcards["seed"])
        packing.check_all(plan, [study])
        places = _places(plan, study, seed)
        done = _trained(places)
        if not done:
            raise ConfigError(
                f"{study} seed {seed}: no network of round {plan.first(study, seed)} is trained "
                "yet, there is nothing to pack"
                if places
                else f"{study} seed {seed}: the bank holds all of its rounds"
            )
        return {
            "masks": [f"{place}/mask.h5" for place in places[1 : done + 1]],
            "trained": [f"{place}/trained.h5" for place in places[:done]],
            "earlier": _held(plan, study, seed) if study in plan.continued else [],
        }

    return files


def of_next_ticket(plan: Plan) -> Callable[[Wildcards], str | list[str]]:
    """Return the input function of the mask of a ticket that goes on: [] in rounds of the bank."""

    def files(wildcards: Wildcards) -> str | list[str]:
        study, seed, number = wildcards["study"], int(wildcards["seed"]), int(wildcards["round"])
        is_new = number > plan.first(study, seed)
        return plan.checkpoint(study, seed, number, "imp", "mask.h5") if is_new else []

    return files


def under_way(plan: Plan, folder: str, shown: str) -> Callable[[Wildcards], list[str]]:
    """Return the input function of `bank_so_far`: files in `folder` of chains that have begun.

    `shown` is the folder as messages name it. Raises ConfigError if no network is trained yet, or,
    by name, if tickets of a study do not rewind to theta_0.
    """

    def files(_wildcards: Wildcards) -> list[str]:
        packable = [name for name in plan.trained if name not in plan.late + plan.inheriting]
        packed = [
            f"{study}/seed{seed}.h5"
            for study in packable
            for seed in plan.config["studies"][study]["seeds"]
            if _trained(_places(plan, study, seed))
        ]
        packing.check_all(plan, plan.trained, [f"{shown}/{file}" for file in packed])
        if not packed:
            raise ConfigError("nothing to pack: no chain has a trained network yet")
        return [f"{folder}/{file}" for file in packed]

    return files


def _held(plan: Plan, study: str, seed: int) -> str:
    return f"{plan.bank}/{study}/seed{seed}.h5"


def _places(plan: Plan, study: str, seed: int) -> list[str]:
    """Return the folders of the rounds that are trained here, in the real results folder."""
    rounds_here = range(plan.first(study, seed), rounds(plan.config, study) + 1)
    checkpoints = f"{plan.config['results']}/checkpoints"
    return [f"{checkpoints}/{study}/seed{seed}/round{n:02d}/imp" for n in rounds_here]


def _trained(places: Sequence[str]) -> int:
    """Return how many of the rounds, from the first on, have a trained network."""
    are_there = [Path(place, "trained.h5").is_file() for place in places]
    return are_there.index(False) if False in are_there else len(are_there)

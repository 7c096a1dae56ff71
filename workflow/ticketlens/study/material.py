"""What jobs read: the files behind a ticket, an arm, a measurement and the bimodal law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ticketlens.study import foreign_files
from ticketlens.study.arms import arm_rounds, arm_seeds, donor_seed
from ticketlens.study.catalogue.kinds import Measurement
from ticketlens.study.plan import Plan
from ticketlens.tickets.construction import needs
from ticketlens.tickets.recipe import Arm

Wildcards = Mapping[str, str]
FILES = {"init": "ticket.h5", "trained": "trained.h5"}
"""Name of a checkpoint's file by its state."""


def of_round_before(plan: Plan, file: str) -> Callable[[Wildcards], str]:
    """Return the input function of a file of the same chain, one round earlier."""
    return lambda wildcards: plan.checkpoint(
        wildcards["study"], wildcards["seed"], int(wildcards["round"]) - 1, "imp", file
    )


def measured(plan: Plan, entry: Measurement) -> str | Callable[[Wildcards], str]:
    """Return the checkpoint that a measurement is about: a path, or an input function by state."""
    place = f"{plan.root}/checkpoints/{{study}}/seed{{seed}}/round{{round}}/{{arm}}"
    if entry.state in FILES:
        return f"{place}/{FILES[entry.state]}"
    return lambda wildcards: f"{place}/{FILES[wildcards['state']]}".format(**wildcards)


def theta(plan: Plan, study: str, seed: int | str) -> str:
    """Return the weights to rewind to: theta_0, or theta_k of round 0's training."""
    file = "theta_k.h5" if study in plan.late else "ticket.h5"
    return plan.checkpoint(study, seed, 0, "imp", file)


def survivors(plan: Plan, arm: Arm, study: str, seed: int | str, number: int | str) -> str:
    """Return the checkpoint whose weights' law an arm copies: of its source round, or its own."""
    file = "trained.h5" if arm.source_state == "trained" else "ticket.h5"
    source = number if arm.source_round is None else arm.source_round
    return plan.checkpoint(study, seed, source, "imp", file)


def of_arm(plan: Plan, dataset: str) -> Callable[[Wildcards], dict[str, str]]:
    """Return the input function of a ticket: what its sources draw on, by name in the library.

    `dataset` is the prepared data set.
    """

    def files(wildcards: Wildcards) -> dict[str, str]:
        study, seed, number = (wildcards[name] for name in ("study", "seed", "round"))
        arm, donor = plan.all_arms[wildcards["arm"]], donor_seed(plan.config, int(seed))
        places = {
            "ticket": plan.checkpoint(study, seed, number, "imp", "ticket.h5"),
            "theta": theta(plan, study, seed),
            "donor": plan.checkpoint(study, donor, number, "imp", "ticket.h5"),
            "dense": plan.checkpoint(study, seed, 0, "imp", "trained.h5"),
            "survivors": survivors(plan, arm, study, seed, number),
            "dataset": dataset,
        }
        return {name: places[name] for name in needs(arm)}

    return files


def bimodal_material(plan: Plan) -> dict[str, str]:
    """Return a ticket with bimodal weights, and the checkpoint whose law they follow.

    Of the first arm and seed of the experiment.
    """
    study, name = plan.config["experiments"]["bimodal"]["study"], plan.bimodal[0]
    seed = arm_seeds(plan.config, name, study)[0]
    number = arm_rounds(plan.config, name, study)[0]
    return {
        "survivors": survivors(plan, plan.arms[name], study, seed, number),
        "arm": plan.checkpoint(study, seed, number, name, "ticket.h5"),
    }


def foreign_files_of(plan: Plan, study: str, seed: str, round: str) -> list[str]:
    """Return the files that a ticket of another system is taken from, and those of its theta."""
    of_ticket = foreign_files.of_ticket(plan.config, study, int(seed), int(round))
    theta = foreign_theta(plan, study, seed, round)
    told = [of_ticket] if theta is None else [of_ticket, theta]
    return list(dict.fromkeys(name for one in told for name in foreign_files.files(one)))


def foreign_ticket(plan: Plan, study: str, seed: str, round: str) -> dict[str, Any]:
    """Return what `exchange.ticket` is told of a ticket's file."""
    return foreign_files.of_ticket(plan.config, study, int(seed), int(round))


def foreign_theta(plan: Plan, study: str, seed: str, round: str) -> dict[str, Any] | None:
    """Return the same of round 0 where arms beside this ticket take its weights, else None."""
    at = int(seed), int(round)
    if study in plan.completed or not at[1]:
        return None
    has_arms = any((one, number) == at for one, number, _ in plan.made(study))
    return foreign_files.of_ticket(plan.config, study, at[0], 0) if has_arms else None

"""All trainings that a config asks for, by the stage that needs them first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ticketlens.study.arms import donor_seed
from ticketlens.study.selection import Selection
from ticketlens.study.studies import rounds
from ticketlens.tickets.construction import needs
from ticketlens.tickets.recipe import Arm

Training = tuple[str, int, int, str]
"""Study, seed, round, arm."""


def trainings(plan: Selection) -> dict[Training, str]:
    """Return the stage of every training; one that several stages need is the first one's."""
    stages: dict[Training, str] = {}
    for study in plan.trained:
        last = rounds(plan.config, study)
        for seed in plan.config["studies"][study]["seeds"]:
            for number in range(plan.first(study, seed), last + 1):
                stages[study, seed, number, "imp"] = "chains"
    for stage, (study, seed, number, name), arm in _rivals(plan):
        for key in _sources(arm, study, seed, number):
            stages.setdefault(key, stage)
        if "donor" in needs(arm) and study in plan.trained:
            # The mask of round r is made of the network of round r - 1.
            donor = donor_seed(plan.config, seed)
            for before in range(plan.first(study, donor), number):
                stages.setdefault((study, donor, before, "imp"), "donors")
        if study in plan.filed:  # the ticket itself, which the arm is compared with
            stages.setdefault((study, seed, number, "imp"), stage)
        stages.setdefault((study, seed, number, name), stage)
    return stages


def _rivals(plan: Selection) -> Iterator[tuple[str, Training, Arm]]:
    """Yield (stage, training, recipe) of all arms, then of all cells of the factorial."""
    for study in plan.config["studies"]:
        for seed, number, name in plan.made(study):
            yield "arms", (study, seed, number, name), plan.arms[name]
    for study, cell in product(plan.factorial, plan.cells):
        for seed in () if cell.reason else plan.config["studies"][study]["seeds"]:
            yield "factorial", (study, seed, cell.round, cell.arm), plan.all_arms[cell.arm]


def donors(plan: Selection, study: str) -> dict[int, int]:
    """Return the chains that a study's arms need for their masks alone: last round by seed."""
    last_rounds: dict[int, int] = {}
    for seed, number, name in plan.made(study) if study in plan.trained else ():
        donor = donor_seed(plan.config, seed)
        is_beyond = donor not in plan.config["studies"][study]["seeds"]
        if is_beyond and number > 0 and "donor" in needs(plan.arms[name]):
            last_rounds[donor] = max(last_rounds.get(donor, 0), number - 1)
    return dict(sorted(last_rounds.items()))


def _sources(arm: Arm, study: str, seed: int, number: int) -> Iterator[Training]:
    """Yield the trained IMP networks that an arm is made from."""
    if "dense" in needs(arm):
        yield study, seed, 0, "imp"
    if "survivors" in needs(arm) and arm.source_state == "trained":
        yield study, seed, number if arm.source_round is None else arm.source_round, "imp"

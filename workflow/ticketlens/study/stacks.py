"""Which trainings run together, in one job: those of studies with `training.kernel: stacked`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ticketlens.spec import NetworkSpec, Spec, TrainingSpec
from ticketlens.study.selection import Selection
from ticketlens.study.trainings import Training, donors, trainings
from ticketlens.tickets.mask_sources import SMALL

KERNEL = "stacked"
IMP, ARMS, SMALL_ARMS = "imp", "arms", "small"


@dataclass(frozen=True)
class Stack:
    """Trainings that one job runs together, and the name of its rule.

    `study` is the first of their studies, which all train alike. `keeping_theta_k` are the
    trainings whose theta_k late rewinding needs.
    """

    name: str
    study: str
    trainings: tuple[Training, ...]
    keeping_theta_k: tuple[Training, ...]


def alone(plan: Selection) -> list[str]:
    """Return the studies whose trainings are jobs of their own."""
    return [name for name, spec in plan.specs.items() if spec.training.kernel != KERNEL]


def stacks(plan: Selection) -> list[Stack]:
    """Return the stacks of a config: over all studies that train alike, round by round.

    A training never needs another one of its stack: chains and arms are apart, and so are the
    rounds of a chain that is trained here. Rounds of a chain from the bank need not wait for each
    other. Small dense networks have other layers than the rest, in each round.
    """
    leaders = _leaders(plan)
    lenders = {study: donors(plan, study) for study in leaders}
    found: dict[str, list[Training]] = {}
    for training, stage in trainings(plan).items() if leaders else ():
        study, _, number, arm = training
        if study not in leaders:
            continue
        kind = IMP if arm == "imp" else ARMS
        if kind == ARMS and plan.all_arms[arm].mask == SMALL:
            kind = SMALL_ARMS
        is_ready = study in plan.banked and kind != SMALL_ARMS
        if stage == "donors":  # chains that lend their masks keep pace with the others
            last = lenders.get(study, {}).get(training[1], -1)
            stage = "chains" if number <= last else "factorial"
        level = "" if is_ready else f"_round{number:02d}"
        name = f"train_{leaders[study]}{level}_{stage}_{kind}".replace("-", "_")
        found.setdefault(name, []).append(training)
    return [_of(plan, name, tuple(members)) for name, members in found.items()]


def _leaders(plan: Selection) -> dict[str, str]:
    """Return, by stacked study, the first study of the config that trains alike."""
    firsts: dict[tuple[NetworkSpec, TrainingSpec], str] = {}
    own = plan.specs.keys() - alone(plan)
    return {
        name: firsts.setdefault(_alike(spec), name)
        for name, spec in plan.specs.items()
        if name in own
    }


def _alike(spec: Spec) -> tuple[NetworkSpec, TrainingSpec]:
    """Return what networks of one stack share: not the learning rate, nor the data's order."""
    common = TrainingSpec()
    return spec.network, replace(
        spec.training, learning_rate=common.learning_rate, data_order=common.data_order
    )


def _of(plan: Selection, name: str, members: tuple[Training, ...]) -> Stack:
    keeping = [one for one in members if one[0] in plan.late and one[2:] == (0, "imp")]
    return Stack(name, members[0][0], members, tuple(keeping))

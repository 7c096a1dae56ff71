"""Which chains go into the ticket bank, and what is said of those that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ticketlens.study.config import ConfigError
from ticketlens.study.plan import Plan

Wildcards = Mapping[str, str]
TICKETS = {
    "bank": "has its tickets from the bank already",
    "continue": "goes on from a file of the bank: `snakemake bank_so_far` packs it",
    "files": "has its tickets from files of another system, not from training",
}
"""Why a study that is not trained from round 0 on has nothing to pack, by its `tickets`."""


def banks(plan: Plan, folder: str, shown: str) -> Callable[[Wildcards], list[str]]:
    """Return the input function of `bank`: the files in `folder` of the chains that are trained.

    `shown` is the folder as messages name it. Raises ConfigError, which names each study, if one
    of them rewinds to other weights than theta_0, or if there is none.
    """

    def files(_wildcards: Wildcards) -> list[str]:
        packed = [name for name in plan.begun if not _other_start(plan, name)]
        check_all(plan, plan.begun, plan.banks(packed, shown))
        if not packed:
            reasons = (
                f"{name} {TICKETS[study['tickets']]}"
                for name, study in plan.config["studies"].items()
            )
            raise ConfigError(f"nothing to pack: {'; '.join(reasons) or 'there is no study'}")
        return plan.banks(packed, folder)

    return files


def of_chain(plan: Plan) -> Callable[[Wildcards], dict[str, list[str]]]:
    """Return the input function of one bank file: masks and trained networks of a finished chain.

    Raises ConfigError before anything is trained if the study's tickets do not rewind to theta_0.
    """

    def files(wildcards: Wildcards) -> dict[str, list[str]]:
        study, seed = wildcards["study"], wildcards["seed"]
        check_all(plan, [study])
        return {
            "masks": plan.chain("mask.h5", study, seed, 1),
            "trained": plan.chain("trained.h5", study, seed),
        }

    return files


def check_all(plan: Plan, studies: Iterable[str], others: Sequence[str] = ()) -> None:
    """Raise ConfigError, by name, if tickets of one of these studies do not rewind to theta_0.

    `others` are the files that can be made all the same.
    """
    refused = {name: start for name in studies if (start := _other_start(plan, name))}
    if not refused:
        return
    reasons = "; ".join(f"studies.{name}: {start}" for name, start in refused.items())
    message = f"{reasons}. The ticket bank rebuilds tickets that rewind to theta_0 only"
    if others:
        more = "" if len(others) == 1 else f" (and {len(others) - 1} more files)"
        message += f"; of the other studies: snakemake {others[0]}{more}"
    raise ConfigError(message)


def _other_start(plan: Plan, study: str) -> str:
    """Return the key by which tickets do not start from theta_0, and from what; "" if they do."""
    pruning = plan.specs[study].pruning
    if study in plan.inheriting:
        return f"pruning.rewind is {pruning.rewind!r}, tickets start from trained weights"
    if study in plan.late:
        return f"pruning.rewind_epoch is {pruning.rewind_epoch}, theta_k comes from training"
    return ""

"""The tickets that come with ticketlens: `load` one by study, seed and round, without training.

The bank holds finished chains of the reference study, one small file each, in resources/tickets of
the repository. `ticketlens.tickets.bank` says how a ticket is rebuilt from it, and checks it.
`trained` gives one of the few trained networks beside them, rounded (`tickets.trained_bank`).

    >>> from ticketlens import bank
    >>> ticket = bank.load("fcnet-normal", seed=0, round=7)
    >>> print(round(ticket.layers[0].density, 4))
    0.2097
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ticketlens.checkpoint import Checkpoint
from ticketlens.tickets import bank, trained_bank
from ticketlens.tickets.bank import Bank, BankError

__all__ = ["FOLDER", "Bank", "BankError", "chain", "load", "shipped", "trained"]

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "tickets"
"""Where the repository keeps the bank: `{study}/seed{n}.h5`."""


def load(
    study: str,
    seed: int = 0,
    round: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Return the ticket of `study`, `seed` and `round`; round 0 is the dense network.

    `folder` is another bank than the shipped one, laid out alike. Raises BankError, saying what
    there is, if the bank has no such study, seed or round, or if the file is damaged.

    >>> bank.load("fcnet-normal", seed=0, round=7).kind
    'ticket'
    """
    return bank.ticket(chain(study, seed, folder), round)


def chain(study: str, seed: int = 0, folder: str | os.PathLike[str] | None = None) -> Bank:
    """Return the whole chain: per weight the round that removed it. Raises as `load`.

    >>> bank.chain("fcnet-normal", seed=0).study
    'fcnet-normal'
    """
    place = FOLDER if folder is None else Path(folder)
    seeds_of = shipped(place)
    if study not in seeds_of or seed not in seeds_of[study]:
        raise BankError(f"no ticket of study {study!r}, seed {seed}; {_offer(place, seeds_of)}")
    path = place / study / f"seed{seed}.h5"
    found_chain = bank.read_bank(path)
    bank.check_place(path, found_chain, study, seed)
    return found_chain


def trained(
    study: str,
    seed: int = 0,
    round: int = 0,
    arm: str = "imp",
    folder: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Return a trained network that the bank keeps, its weights rounded to float16.

    Few are kept: `fcnet-normal`, seeds 0 to 2, rounds 7 and 10, trained in two orders of the data
    (arms `order-1`, `order-2`). `extra` says that it is rounded, and by how much at most. Raises
    BankError, saying what there is, if the bank has no such network, or if the file is damaged.

    >>> network = bank.trained("fcnet-normal", seed=0, round=10, arm="order-1")
    >>> network.extra["weights_rounded_to"]
    'float16'
    """
    place = FOLDER if folder is None else Path(folder)
    files = [path.relative_to(place).as_posix() for path in place.glob("*/trained/seed*.h5")]
    wanted = f"{study}/trained/seed{seed}.h5"
    if wanted not in files:
        raise BankError(
            f"no trained networks of study {study!r}, seed {seed}; in {place}: "
            f"{', '.join(sorted(files)) or 'none'}"
        )
    network = trained_bank.load(place / wanted, round, arm)
    if (network.study, network.seed) != (study, seed):
        raise BankError(
            f"{place / wanted}: the file holds networks of {network.study} seed {network.seed} "
            "and is in the place of others; put it back in its own"
        )
    return network


def shipped(folder: str | os.PathLike[str] | None = None) -> dict[str, tuple[int, ...]]:
    """Return the seeds of every study in the bank, by the names of its files.

    >>> 0 in bank.shipped()["fcnet-normal"]
    True
    """
    found: dict[str, list[int]] = {}
    for path in Path(FOLDER if folder is None else folder).glob("*/seed*.h5"):
        if number := re.fullmatch(r"seed(0|[1-9][0-9]{0,18})", path.stem):
            found.setdefault(path.parent.name, []).append(int(number[1]))
    return {study: tuple(sorted(seeds)) for study, seeds in sorted(found.items())}


def _offer(folder: Path, found: dict[str, tuple[int, ...]]) -> str:
    if not found:
        return (
            f"{folder} holds no bank: it comes with a clone of the repository, not with an "
            "installed package; say folder=<clone>/resources/tickets"
        )
    studies = (f"{study} (seeds {_ranges(seeds)})" for study, seeds in found.items())
    return f"in {folder}: {', '.join(studies)}"


def _ranges(seeds: tuple[int, ...]) -> str:
    """Return '0-7' for a run of seeds, else the numbers."""
    is_run = len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if is_run else ", ".join(map(str, seeds))

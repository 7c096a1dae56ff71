"""Chains that continue from the ticket bank (`tickets: continue`): which round is trained first.

The bank holds rounds 0 to r of a chain. Their tickets are rebuilt and their accuracies read from
the histories; training continues with the ticket of round r, trained again if the bank knows
its history: the next mask needs the trained network, and a chain's file has no trained weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ticketlens.study.arms import donor_seed
from ticketlens.study.config import ConfigError, refuse
from ticketlens.study.studies import rounds
from ticketlens.tickets import bank

Firsts = dict[tuple[str, int], int]
"""First round that is trained, by study and seed."""


def firsts(config: Mapping[str, Any], studies: Iterable[str], folder: str) -> Firsts:
    """Return the first round that each chain of `studies` trains, of donors in the bank as well.

    A chain that is complete trains none: its number is beyond the last round. Raises ConfigError
    for a chain that the bank in `folder` does not hold, for a damaged file, and for a study of
    which no chain is left to go on.
    """
    begun: Firsts = {}
    for study in studies:
        seeds = config["studies"][study]["seeds"]
        last = rounds(config, study)
        of_study = {seed: _first(folder, study, seed, last) for seed in seeds}
        if min(of_study.values()) > last:
            refuse([
                f"studies.{study}.tickets is 'continue', and {folder}/{study} holds all of rounds "
                f"0 to {last} of seeds {seeds}; allowed: 'bank', or more pruning.rounds"
            ])  # fmt: skip
        begun |= {(study, seed): first for seed, first in of_study.items()}
        for donor in {donor_seed(config, seed) for seed in seeds} - set(seeds):
            if Path(folder, study, f"seed{donor}.h5").is_file():
                begun[study, donor] = _first(folder, study, donor, last)
    return begun


def _first(folder: str, study: str, seed: int, last: int) -> int:
    path = Path(folder, study, f"seed{seed}.h5")
    if not path.is_file():
        refuse([
            f"studies.{study}.tickets is 'continue', and there is no {path}; allowed: seeds whose "
            "chains the bank holds, or 'train' (`snakemake bank_so_far` packs a chain as far as it "
            "is trained)"
        ])  # fmt: skip
    try:
        held, is_open = bank.reach(path)
    except bank.BankError as error:
        raise ConfigError(str(error)) from None
    is_complete = held > last or (held == last and not is_open)
    return last + 1 if is_complete else held

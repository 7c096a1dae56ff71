"""What a results folder no longer has, and on how many kinds of CPU its networks were trained.

Snakemake makes nothing again whose dependents are newer than their other inputs: where a trained
network or a measurement was deleted, `all` says "Nothing to be done", and tables and figures stay
as they were. Nobody could check them any more, so the front page says what they rest on.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ticketlens.files.folded import unfolded


def missing_files(foundations: Iterable[str], results: str) -> list[str]:
    """Return the files that are not in the folder `results`, sorted.

    `foundations` are those that tables and figures rest on, as paths within `results`, folded (see
    `files.folded`). The plan makes the list, and the job does not: so code that only the plan needs
    is no part of the job's digest.
    """
    files = [f"{results}/{path}" for path in unfolded(foundations)]
    return sorted(path for path in files if not Path(path).exists())


def kinds_of_cpu(accuracy: str | Path) -> dict[str, dict[str, int]]:
    """Return how many networks were trained on each kind of CPU, by study, from accuracy.csv.

    A run that was resumed on another kind counts under both together, "A, B". The bank's chains and
    files of version 0.1.0 do not say; their kind is "". Without a table there is nothing.
    """
    path = Path(accuracy)
    if not path.is_file():
        return {}
    networks: dict[str, Counter[str]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            networks.setdefault(row["study"], Counter())[row.get("cpu_capability") or ""] += 1
    return {study: dict(sorted(kinds.items())) for study, kinds in networks.items()}


def sentence(kinds: Mapping[str, int]) -> str:
    """Return the kinds of CPU of one study in words, those that do not say last."""
    known = {kind: count for kind, count in kinds.items() if kind}
    parts = [f"{kind} ({count} {_networks(count)})" for kind, count in known.items()]
    if unknown := kinds.get(""):
        parts.append(f"not recorded ({unknown} {_networks(unknown)})")
    number = len({kind for names in known for kind in names.split(", ")})
    head = f"{number} kind{'' if number == 1 else 's'} of CPU: " if known else "kind of CPU "
    return head + "; ".join(parts)


def message(missing: Sequence[str], shown: int = 5) -> str:
    """Return what is missing and how it is made again, as plain lines; "" if nothing is."""
    if not missing:
        return ""
    more = [f"  … and {len(missing) - shown} more"] if len(missing) > shown else []
    return "\n".join([
        f"{len(missing)} files that the tables and figures rest on are not there any more:",
        *(f"  {path}" for path in missing[:shown]),
        *more,
        f"make one again, and what depends on it: snakemake {missing[0]} all",
    ])  # fmt: skip


def _networks(count: int) -> str:
    return "network" if count == 1 else "networks"

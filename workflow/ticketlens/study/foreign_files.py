"""Studies whose tickets are files of other systems: where their files are, and what cannot work.

`{tickets: files, path: …}`: the path is one file or level folder, or a pattern with `{seed}` and
`{round}`. The files themselves are read by `exchange`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ticketlens.study.studies import fields, is_filed, round_numbers

FIELDS = ("round", "seed")
KEYS = ("path", "masks", "state", "rounds")
OF_A_LEVEL = ("mask.pth", "model_ep*_it*.pth", "ticketlens.json")
OF_THETA = ("rewind", "sign-kept", "sign-redrawn")
"""Weights of arms that are theta's, at the arm's own places."""
MASKS_OF_THETA = ("magnitude-at-init", "one-shot", "imp-other-seed", "snip", "grasp", "synflow")
"""Masks of arms that need theta_0 off the ticket's mask, or networks that no file holds."""


def path(entry: Mapping[str, Any], key: str, seed: int, number: int) -> str | None:
    """Return a study's `path` or `masks` for one seed and round; None if it does not have it."""
    pattern = entry.get(key)
    if pattern is None:
        return None
    return os.path.expanduser(str(pattern).format(seed=seed, round=number))


def of_ticket(config: Mapping[str, Any], study: str, seed: int, number: int) -> dict[str, Any]:
    """Return what `exchange.ticket` is told of one ticket's file.

    Of a round 0 that no file has these are those of the first round that there is.
    """
    entry, numbers = config["studies"][study], round_numbers(config, study)
    chosen = number if number in numbers else numbers[0]
    return {
        "path": path(entry, "path", seed, chosen),
        "masks": path(entry, "masks", seed, chosen),
        "state": entry.get("state", "init"),
        "round": number,
    }


def files(told: Mapping[str, Any]) -> list[str]:
    """Return the files of one ticket: the model and its masks; of a level's folder what it has."""
    names: list[str] = []
    for name in filter(None, (told["path"], told["masks"])):
        folder = Path(name)
        of_level = [str(one) for part in OF_A_LEVEL for one in sorted(folder.glob(part))]
        names += of_level if folder.is_dir() and of_level else [name]
    return names


def missing(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield, for each key that names files which are not there, the first of them and how many."""
    for name, entry in config["studies"].items():
        if not is_filed(entry):
            continue
        numbers = round_numbers(config, name)
        for key in ("path", "masks"):
            made = {
                (seed, number): path(entry, key, seed, number)
                for seed in entry["seeds"]
                for number in numbers
            }
            gone = {at: file for at, file in made.items() if file and not _is_there(file, key)}
            if not gone:
                continue
            (seed, number), file = next(iter(gone.items()))
            is_folder = Path(file).is_dir()
            what = f"holds no {' and '.join(OF_A_LEVEL[:2])}" if is_folder else "is not there"
            count = f" ({len(gone)} of {len(made)} are missing)" if len(made) > 1 else ""
            yield (
                f"studies.{name}.{key}: {os.path.abspath(file)}, of seed {seed} round {number}, "
                f"{what}{count}; allowed: a file, or the folder of an open_lth level, for each of "
                f"studies.{name}.seeds and studies.{name}.rounds, here {_listed(numbers)}"
            )


def _is_there(name: str, key: str) -> bool:
    folder = Path(name)
    if key == "masks" or not folder.is_dir():
        return folder.is_file()
    return all(any(folder.glob(part)) for part in OF_A_LEVEL[:2])


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the schema cannot say about tickets from files, one line per problem."""
    for name, entry in config["studies"].items():
        where = f"studies.{name}"
        if not is_filed(entry):
            for key in KEYS:
                if key in entry:
                    yield f"{where}.{key} has no effect; allowed with tickets: files"
            continue
        if "path" not in entry:
            yield f"missing key {where}.path, which tickets: files needs"
            continue
        if "pruning" in entry:
            yield (
                f"{where}.pruning has no effect on tickets from files; allowed: {where}.rounds, "
                "which rounds there are"
            )
        wrong = [line for key in ("path", "masks") for line in _pattern(where, key, entry)]
        yield from wrong
        if not wrong:
            yield from _ambiguous(config, where, name)


def _pattern(where: str, key: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if key not in entry:
        return
    try:
        if unknown := sorted(fields(entry[key]) - {*FIELDS}):
            problem = f"has {{{unknown[0]}}}"
        elif set("{}") & set(str(path(entry, key, 0, 0))):  # Snakemake's wildcards
            problem = f"is {entry[key]!r}, a name with braces"
        else:
            return
    except (ValueError, KeyError, IndexError) as error:
        problem = f"is {entry[key]!r} ({error})"
    yield f"{where}.{key} {problem}; allowed in braces: {{seed}}, {{round}}, {{round:02d}}"


def _ambiguous(config: Mapping[str, Any], where: str, name: str) -> Iterator[str]:
    """Yield keys that name one file for two tickets, which would be one ticket counted twice."""
    entry, numbers = config["studies"][name], round_numbers(config, name)
    for key in ("path", "masks"):
        if key not in entry:
            continue
        lacking = [
            (field, values)
            for field, values in (("seed", entry["seeds"]), ("round", numbers))
            if len(values) > 1 and field not in fields(entry[key])
        ]
        for field, values in lacking:
            yield (
                f"{where}.{key} names one file for {len(values)} {field}s ({_listed(values)}); "
                f"allowed: one, or a path with {{{field}}}"
            )
        if not lacking:
            yield from _met_twice(entry, f"{where}.{key}", key, numbers)


def _met_twice(
    entry: Mapping[str, Any], where: str, key: str, numbers: Sequence[int]
) -> Iterator[str]:
    """Yield the first file that a pattern makes for two tickets, e.g. m111 of m{seed}{round}."""
    seen: dict[str | None, str] = {}
    for seed in entry["seeds"]:
        for number in numbers:
            made, ticket = path(entry, key, seed, number), f"seed {seed} round {number}"
            if made in seen:
                yield (
                    f"{where} names one file, {made!r}, for {seen[made]} and {ticket}; allowed: a "
                    "file for each, e.g. with a character between {seed} and {round}"
                )
                return
            seen[made] = ticket


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:6])) + (", …" if len(values) > 6 else "")


def arm_problems(
    config: Mapping[str, Any], where: str, study: str, entry: Mapping[str, Any], made: Sequence[int]
) -> Iterator[str]:
    """Yield why an arm (an `entry` of arms), made at rounds `made`, cannot be of a filed study.

    theta_0 is the file of round 0. Where there is none, weights off the mask are known to nobody.
    """
    if not is_filed(config["studies"][study]) or not made:
        return
    numbers = round_numbers(config, study)
    mask, weights = entry["mask"], entry["weights"]
    if mask in ("one-shot", "imp-other-seed"):
        yield f"{where}: mask {mask!r} needs networks that no file holds; allowed: other masks"
        return
    if 0 in numbers:
        return
    beyond = [number for number in made if number != numbers[0]]
    if beyond:
        yield (
            f"{where}: round {beyond[0]} needs theta_0, and the files have no round 0; allowed: "
            f"round {numbers[0]}, or a study whose files have round 0"
        )
    takes_theta = weights in OF_THETA or entry.get("signs") == "kept"
    if mask in MASKS_OF_THETA or (mask not in ("imp", "dense-small") and takes_theta):
        yield (
            f"{where}: mask {mask!r} with weights {weights!r} needs theta_0 off the ticket's mask, "
            "and the files have no round 0; allowed: mask imp, or weights that are drawn anew or "
            "shuffled"
        )

"""What a digest covers, held against what a job ran: functions by file, line and name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ticketlens.jobs.reach import Node, Reached

Function = tuple[str, int, str]
"""File within the package, first line, name."""


def lines(reached: Reached, without: Node | None = None) -> Mapping[str, list[tuple[int, int]]]:
    """Lines of definitions in reach, by file within the package."""
    found = defaultdict(list)
    package = reached.library.package
    for node in reached.nodes - {without}:
        file = reached.library.file(node[0])
        if file is not None and file.is_relative_to(package):
            spans = reached.library.definition(node).spans
            found[file.relative_to(package).as_posix()] += spans
    return found


def missing(ran: Iterable[Function], covered: Mapping[str, list[tuple[int, int]]]) -> list[str]:
    """Functions that a job ran and its digest does not cover."""
    return [
        f"{file}:{line} {name}"
        for file, line, name in ran
        if not any(first <= line <= last for first, last in covered.get(file, ()))
    ]

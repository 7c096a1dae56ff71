"""Many paths as a few lines: `seed{0,1}/round{03,07}/imp/trained.h5`, as a shell would expand them.

Ten thousand files of a full study are about forty such lines. They fit into a job's parameters and
into what Snakemake prints when these change.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any


def folded(paths: Iterable[str]) -> list[str]:
    """Return patterns that stand for exactly these paths: names whose contents agree share one.

    Names in the paths hold no braces and no commas.
    """
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for name in path.split("/"):
            node = node.setdefault(name, {})
    return list(_patterns(tree))


def unfolded(patterns: Iterable[str]) -> list[str]:
    """Return the paths that the patterns of `folded` stand for."""
    paths = []
    for pattern in patterns:
        parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
        paths += ["".join(choice) for choice in itertools.product(*parts)]
    return paths


def _patterns(tree: dict[str, Any]) -> tuple[str, ...]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, below in tree.items():
        alike.setdefault(_patterns(below), []).append(name)
    return tuple(
        f"{_any(names)}/{rest}" if rest else _any(names)
        for inside, names in alike.items()
        for rest in inside or ("",)
    )


def _any(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"

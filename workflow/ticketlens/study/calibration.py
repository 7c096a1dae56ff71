"""What `make benchmark` found on this machine of the steps that `cost` counts.

Constants of `speeds` are one CPU's. On another, kinds of steps (dense or sparse, float32 or
bfloat16, linear or convolutional) may take up to half more or less of the reference product.
`benchmarks/check_cost.py` measures some of each kind; `cost` then counts as they took.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

from ticketlens.study.speeds import Machine

LATEST = Path(__file__).resolve().parents[3] / "benchmarks" / "latest.json"
KEY = "cost_corrections"
"""Of latest.json: way → kind of step → seconds measured / seconds counted by the constants."""


def corrections(ratios: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the factor of each kind of step, from (kind, counted over measured) of some steps."""
    by_kind: dict[str, list[float]] = {}
    for kind, ratio in ratios:
        by_kind.setdefault(kind, []).append(1 / ratio)
    return {kind: geometric_mean(factors) for kind, factors in by_kind.items()}


def calibrated(machine: Machine, processor: str, path: str | os.PathLike[str] = LATEST) -> Machine:
    """Return `machine` with what a benchmark's file at `path` says of it.

    A file that is not there, is of another processor, or lacks the way that `machine` computes by,
    says nothing.
    """
    file = Path(path)
    if not file.is_file():
        return machine
    found = json.loads(file.read_text(encoding="utf-8"))
    if found.get("machine", {}).get("processor") != processor:
        return machine
    return replace(machine, corrections=dict(found.get(KEY, {}).get(machine.way, {})))

"""What `make benchmark` found on this machine of the steps and measurements that `cost` counts.

Constants of `speeds` and `cost` are one CPU's. On another, kinds of steps (dense or sparse, float32
or bfloat16, linear or convolutional) may take up to half more or less of the reference product, and
kinds of measurements twice. `benchmarks/check_cost.py` and `check_measurements.py` measure some of
each kind; `cost` then counts as they took.
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
MEASUREMENTS_KEY = "measurement_cost_corrections"
"""The same by kind of measurement."""


def corrections(ratios: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the factor of each kind, from (kind, counted over measured) of some jobs."""
    by_kind: dict[str, list[float]] = {}
    for kind, ratio in ratios:
        by_kind.setdefault(kind, []).append(1 / ratio)
    return {kind: geometric_mean(factors) for kind, factors in by_kind.items()}


def calibrated(machine: Machine, processor: str, path: str | os.PathLike[str] = LATEST) -> Machine:
    """Return `machine` with what a benchmark's file at `path` says of it.

    A file that is not there or is of another processor says nothing, one without the way that
    `machine` computes by nothing of steps. Raises ValueError for one that cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        return machine
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{file} is no JSON ({error}); allowed: what `make benchmark` writes, or no file"
        ) from error
    if found.get("machine", {}).get("processor") != processor:
        return machine
    steps = found.get(KEY, {}).get(machine.way, {})
    return replace(machine, corrections={**steps, **found.get(MEASUREMENTS_KEY, {})})

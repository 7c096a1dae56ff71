"""Steps of the full study's networks against what `snakemake cost` counts for this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from measuring import interleaved, medians, table  # sets the library's path

# isort: split
import numpy as np
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import build
from ticketlens.spec import NetworkSpec, TrainingSpec
from ticketlens.study.calibration import KEY, corrections
from ticketlens.study.speeds import SIDE, Machine, step_kind, step_seconds
from ticketlens.training import sparse, ways
from ticketlens.training.loop import _Run
from ticketlens.training.memory import keep_freed_memory
from training_step import BATCH, RATE, batches, ticket

CONVNET = NetworkSpec("convolutional", width=128, stride=(1, 2, 2, 1, 1, 1, 1, 1))
RESIDUAL = NetworkSpec("resnet-conv", hidden_layers=9, width=64)
NARROW = NetworkSpec("convolutional", hidden_layers=2, width=8)
BF16 = TrainingSpec(precision="bfloat16", device="cpu")
Case = tuple[NetworkSpec, TrainingSpec, int]
CASES: dict[str, Case] = {
    "fcnet": (NetworkSpec(), TrainingSpec(device="cpu"), 0),
    "fcnet, 8 x 64": (NetworkSpec(width=64), TrainingSpec(device="cpu"), 0),
    "fcnet, bfloat16": (NetworkSpec(), BF16, 0),
    "fcnet, 8 x 64, bfloat16": (NetworkSpec(width=64), BF16, 0),
    "fcnet, round 10, sparse": (NetworkSpec(), TrainingSpec(device="cpu", sparse_below=0.46), 10),
    "convnet": (CONVNET, TrainingSpec(device="cpu", kernel="onednn-channels-last"), 0),
    "convnet, round 10, sparse": (CONVNET, TrainingSpec(device="cpu", sparse_below=0.55), 10),
    "convnet, bfloat16": (CONVNET, BF16, 0),
    "resnet-conv, bfloat16": (RESIDUAL, BF16, 0),
}
QUICK: dict[str, Case] = {
    "narrow": (NARROW, TrainingSpec(device="cpu"), 0),
    "narrow, bfloat16": (NARROW, BF16, 0),
    "fcnet, bfloat16": (NetworkSpec(hidden_layers=2, width=8), BF16, 0),
}


def step(case: Case) -> tuple[Callable[[], None], Checkpoint]:
    """One step of a case, its batch included, and its ticket."""
    network, training, rounds = case
    own = ticket(rounds, network)
    own = replace(own, spec=replace(own.spec, training=training))
    model = sparse.compressed(
        build(own, training.kernel, masked=False), [layer.mask for layer in own.layers], network,
        training,
    )  # fmt: skip
    run = _Run(own, training, model, torch.device("cpu"))
    source = batches(run.descent.gather)
    return lambda: run.take_step(*next(source), RATE), own


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table: counted over measured, by network, and corrections.

    The reference product takes turns with the steps, so that a busy machine slows both.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    way = ways.chosen()
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    rows, values, kinds = [], {}, {}
    for name, case in (QUICK if quick else CASES).items():
        os.environ[ways.VARIABLE] = way
        job, own = step(case)
        del os.environ[ways.VARIABLE]
        jobs = {"product": lambda: one @ two, "step": job}
        seconds = medians(interleaved(jobs, groups=1 if quick else 5, calls=1))
        machine = Machine(way, SIDE**3 / seconds["product"], True)
        densities = [layer.density for layer in own.layers]
        counted = step_seconds(own.spec, densities, machine, BATCH)
        values[name], kinds[name] = counted / seconds["step"], step_kind(own.spec, densities)
        rows.append(
            {"network": name, "way": way, "step ms": 1000 * seconds["step"],
             "counted ms": 1000 * counted, "counted over measured": values[name]}
        )  # fmt: skip
    found = {} if quick else {way: corrections((kinds[name], values[name]) for name in values)}
    return {"cost_over_measured": values, "cost_kinds": kinds, KEY: found}, table(rows)

"""16-level chains of convolutional networks, against the build of commit 1fb1ed6, and what `all`
takes on this machine by `snakemake cost`.

Steps and evaluations of a few levels take turns with those of the older build, in processes of
their own; the chain is their sum over the levels, evaluations of every epoch and the final ones in
float32 included, which bfloat16 leaves to the dense network and float32 runs to their own layers.
Masks are those of pruning by the magnitude of theta_0.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml
from snakemake.utils import update_config

from measuring import ROOT, Times, table  # sets the library's path

# isort: split
from old_build import Worker, in_turns, old_build
from ticketlens.study import cost, speeds
from ticketlens.study.config import checked
from ticketlens.training import ways

BATCH, ROUNDS = 32, 15
LEVELS = (0, 3, 5, 7, 10, 15)
"""Measured rounds: 0 for those that train dense, the others sparse, in density order."""
KEPT = 0.8
"""Of the weights, by a round."""
STEPS, EVALUATED, FINAL = 50 * 351 * 128, 51 * 5_000, 120_000
"""Images of a training: in steps, evaluated after epochs, and evaluated at its end."""
SETUP = """
from dataclasses import replace
import numpy as np
from ticketlens.networks import build
from ticketlens.spec import NetworkSpec, TrainingSpec
try:
    from ticketlens.training.loop import Batches, _Run
    from ticketlens.training import sparse, memory
except ImportError:
    from ticketlens.training import Batches, _Run
    from ticketlens import memory, sparse
memory.keep_freed_memory()
training_step.BATCH = {batch}
network = NetworkSpec({family!r}, width={width}, hidden_layers={layers})
ticket = training_step.ticket({round}, network)
spec = TrainingSpec(device="cpu", **{training})
ticket = replace(ticket, spec=replace(ticket.spec, training=spec))
plain = {{"masked": False}} if "masked" in build.__code__.co_varnames else {{}}
masks = [layer.mask for layer in ticket.layers]
model = build(ticket, spec.kernel, **plain)
for layer, stride in zip(model.layers, {strides}):  # the older build's config has no list of them
    layer.stride = (stride, stride)
model = sparse.compressed(model, masks, network, spec)
run = _Run(ticket, spec, model, torch.device("cpu"))
images, labels = next(training_step.batches())
few = Batches(images, labels)
try:
    evaluate = run.evaluate
except AttributeError:
    import ticketlens.training as module
    evaluate = lambda data: module.evaluate(model, data)
jobs = {{
    "step": lambda: run.take_step(images, labels, 0.001), "image": lambda: evaluate(few)
}}
"""
OLD: dict[str, Any] = {"kernel": "onednn"}
FLOAT32: dict[str, Any] = {"kernel": "onednn-channels-last", "sparse_below": 0.55}
CHAIN: dict[str, Any] = {"family": "convolutional", "layers": 8, "width": 128, "strides": ()}
NETWORKS: dict[str, dict[str, Any]] = {
    "convnet-unstrided": CHAIN,
    "convnet": CHAIN | {"strides": (1, 2, 2, 1, 1, 1, 1, 1)},
    "resnet-conv": {"family": "resnet-conv", "layers": 9, "width": 64, "strides": ()},
}
UNSTRIDED, *OTHERS = NETWORKS
BFLOAT16: dict[str, Any] = {"precision": "bfloat16", "bfloat16_kernel": 1}


def measure_chain(name: str, quick: bool) -> tuple[dict[str, dict[str, float]], str]:
    """Chain over that of the older build, by precision and CPU, and a table of the parts."""
    size: dict[str, Any] = {"batch": BATCH, **NETWORKS[name]}
    if quick:
        size |= {"batch": 4, "width": 8, "layers": 3, "strides": size["strides"][:3]}
    kinds = [way for way in ways.available() if way not in ("plain", "avx2")]
    levels = LEVELS[::4] if quick else LEVELS
    with tempfile.TemporaryDirectory() as folder, old_build(Path(folder)) as older:
        workers = {
            name: Worker(
                root, SETUP.format(round=level, training=training, **size), {ways.VARIABLE: way}
            )
            for name, root, training, level, way in [
                ("old", older, OLD, 0, ""),
                *((f"float32 {level}", ROOT, FLOAT32, level, "") for level in levels),
                *((f"bfloat16 {way}", ROOT, BFLOAT16, 0, way) for way in kinds),
            ]
        }
        times = in_turns(workers, ("step", "image"), 1 if quick else 3, 1)
        for worker in workers.values():
            worker.close()
    old = _chain(times, {0: "old"})
    capability = "amx" if "amx" in kinds else kinds[0] if kinds else "plain"
    found = {
        "float32": {capability: median(_chain(times, {n: f"float32 {n}" for n in levels}) / old)},
        "bfloat16": {way: median(_chain(times, {0: f"bfloat16 {way}"}) / old) for way in kinds},
    }
    batch = size["batch"]
    rows = [
        {"job": name, "ms an image": 1000 * median(seconds) / batch,
         "over old": median(
             one / other
             for one, other in zip(seconds, times[f"old:{name.split(':')[1]}"], strict=True)
         )}
        for name, seconds in times.items()
    ]  # fmt: skip
    return found, f"{name}\n\n{table(rows)}"


def _chain(times: Times, measured: Mapping[int, str]) -> np.ndarray:
    """Relative seconds (groups,) of a chain's trainings.

    `measured` has what was timed by round, 0 for all that trains dense: a sparse step and
    evaluation take a time that is linear in the density, between the rounds that were timed. A
    training in bfloat16 ends with a float32 evaluation by the dense layers of the older build, one
    in float32 with an evaluation by its own layers.
    """
    final = FINAL * np.array(times["old: image"])
    seconds = {
        number: STEPS * np.array(times[f"{name}: step"])
        + EVALUATED * np.array(times[f"{name}: image"])
        + (FINAL * np.array(times[f"{name}: image"]) if name.startswith("float32") else final)
        for number, name in measured.items()
    }
    dense, *sparse = sorted(measured)
    total = np.zeros_like(final)
    for number in range(ROUNDS + 1):
        if not sparse or number < sparse[0]:
            total = total + seconds[dense]
            continue
        above = max(level for level in sparse if level <= number)
        below = min((level for level in sparse if level >= number), default=above)
        share = (
            0.0 if above == below else (KEPT**above - KEPT**number) / (KEPT**above - KEPT**below)
        )
        total = total + (1 - share) * seconds[above] + share * seconds[below]
    return total


def core_hours() -> dict[str, float]:
    """Core-hours of `all` on this machine, by precision, as `snakemake cost` counts them."""
    machine = speeds.measured(ways.chosen())
    found = {}
    for precision, overlays in (("float32", ()), ("bfloat16", ("bfloat16.yaml",))):
        config: dict[str, Any] = {}
        for name in ("config.yaml", *overlays):
            update_config(config, yaml.safe_load((ROOT / "config" / name).read_text("utf-8")))
        config = checked(copy.deepcopy(config))
        with tempfile.TemporaryDirectory() as empty:
            lines = cost.estimate(config | {"results": empty}, machine)
        found[precision] = sum(line.core_hours for line in lines if line.stage != "factorial")
    return found


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table."""
    os.environ.pop(ways.VARIABLE, None)
    found = {name: measure_chain(name, quick) for name in NETWORKS}
    hours = core_hours()
    values = {
        "convnet_chain_over_1fb1ed6": found[UNSTRIDED][0],
        "small_maps_chain_over_1fb1ed6": {name: found[name][0] for name in OTHERS},
        "all_core_hours": hours,
    }
    text = "\n\n".join(part for _, part in found.values())
    return values, f"{text}\n\n`all`, core-hours: {hours}"

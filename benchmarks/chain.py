"""16-level chains of convolutional networks, against the build of commit 1fb1ed6, and what `all`
takes on this machine by `snakemake cost`.

Steps and evaluations of a few levels take turns with those of the older build, in processes of
their own; the chain is their sum over the levels, evaluations of every epoch and the final ones in
float32 included, which take sparse layers in both precisions where the network is sparse.
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

BATCH, EVALUATION, ROUNDS = 128, 125, 15
"""Images of a timed step, as trainings take them, and of a timed evaluation, as one takes them."""
GROUPS = {"convnet-unstrided": 2}
"""Turns of all jobs, where not OTHER_GROUPS: a step without strides takes ten times as long."""
OTHER_GROUPS = 4
AGAIN = "old again"
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
few = Batches(images[:{evaluation}], labels[:{evaluation}])
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
    size: dict[str, Any] = {"batch": BATCH, "evaluation": EVALUATION, **NETWORKS[name]}
    if quick:
        size |= {
            "batch": 4,
            "evaluation": 4,
            "width": 8,
            "layers": 3,
            "strides": size["strides"][:3],
        }
    kinds = [way for way in ways.available() if way not in ("plain", "avx2")]
    levels = LEVELS[::4] if quick else LEVELS
    with tempfile.TemporaryDirectory() as folder, old_build(Path(folder)) as older:
        workers = {
            name: Worker(
                root,
                SETUP.format(round=level, training=training, **size),
                {ways.VARIABLE: way},
                warm=False,
            )
            for name, root, training, level, way in [
                ("old", older, OLD, 0, ""),
                *((f"float32 {level}", ROOT, FLOAT32, level, "") for level in levels),
                *((f"bfloat16 {way}", ROOT, BFLOAT16, 0, way) for way in kinds),
            ]
        }
        # What all are compared with stands at both ends of each turn.
        groups = 1 if quick else GROUPS.get(name, OTHER_GROUPS)
        times = in_turns({**workers, AGAIN: workers["old"]}, ("step", "image"), groups, 1)
        for job in ("step", "image"):
            twice = zip(times[f"old: {job}"], times.pop(f"{AGAIN}: {job}"), strict=True)
            times[f"old: {job}"] = [(one + two) / 2 for one, two in twice]
        times = {
            job: [one / size["batch" if job.endswith("step") else "evaluation"] for one in found]
            for job, found in times.items()
        }
        for worker in workers.values():
            worker.close()
    float32 = {number: f"float32 {number}" for number in levels}
    old = _chain(times, {0: "old"}, {0: "old"})
    capability = "amx" if "amx" in kinds else kinds[0] if kinds else "plain"
    found = {
        "float32": {capability: median(_chain(times, float32, float32) / old)},
        "bfloat16": {
            way: median(_chain(times, {0: f"bfloat16 {way}"}, float32) / old) for way in kinds
        },
    }
    rows = [
        {"job": name, "ms an image": 1000 * median(seconds),
         "over old": median(
             one / other
             for one, other in zip(seconds, times[f"old:{name.split(':')[1]}"], strict=True)
         )}
        for name, seconds in times.items()
    ]  # fmt: skip
    return found, f"{name}\n\n{table(rows)}"


def _chain(times: Times, trained: Mapping[int, str], final: Mapping[int, str]) -> np.ndarray:
    """Seconds (groups,) of a chain's trainings, from those of an image.

    What trains, and what evaluates at a training's end, by the round at which it was timed.
    """
    steps = {
        number: STEPS * np.array(times[f"{name}: step"])
        + EVALUATED * np.array(times[f"{name}: image"])
        for number, name in trained.items()
    }
    ends = {number: FINAL * np.array(times[f"{name}: image"]) for number, name in final.items()}
    return np.sum([_by_round(one, number) for one in (steps, ends) for number in range(ROUNDS + 1)],
                  axis=0)  # fmt: skip


def _by_round(measured: Mapping[int, np.ndarray], number: int) -> np.ndarray:
    """Seconds of a round, from those that were timed: 0 for all that trains dense.

    What is sparse takes a time that is linear in the density, between the rounds that were timed.
    """
    dense, *sparse = sorted(measured)
    if not sparse or number < sparse[0]:
        return measured[dense]
    above = max(level for level in sparse if level <= number)
    below = min((level for level in sparse if level >= number), default=above)
    if above == below:
        return measured[above]
    share = (KEPT**above - KEPT**number) / (KEPT**above - KEPT**below)
    return (1 - share) * measured[above] + share * measured[below]


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
    found = {}
    for name in NETWORKS:
        found[name] = measure_chain(name, quick)
        print(f"\n{found[name][1]}\n{found[name][0]}", flush=True)
    hours = core_hours()
    values = {
        "convnet_chain_over_1fb1ed6": found[UNSTRIDED][0],
        "small_maps_chain_over_1fb1ed6": {name: found[name][0] for name in OTHERS},
        "all_core_hours": hours,
    }
    return values, f"`all`, core-hours: {hours}"

"""A step and an evaluation of networks in bfloat16, by every way of this machine,
against those in float32, and from these parts a whole training of the full study;
and how much sooner a step of convolutions ends by several threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from measuring import interleaved, median_ratio, medians, table  # sets the library's path

# isort: split
import numpy as np
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import build
from ticketlens.spec import NetworkSpec, Spec, TrainingSpec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.training import ways
from ticketlens.training.loop import Batches, _Run
from ticketlens.training.memory import keep_freed_memory

BATCH, RATE = 128, 0.001
NETWORKS = {
    "fcnet": NetworkSpec(),
    "convnet-unstrided": NetworkSpec(family="convolutional", width=128),
    "convnet": NetworkSpec(
        family="convolutional", width=128, stride=(1, 2, 2, 1, 1, 1, 1, 1)
    ),
    "resnet-conv": NetworkSpec(family="resnet-conv", hidden_layers=9, width=64),
}  # fmt: skip
QUICK = {
    "fcnet": NetworkSpec(hidden_layers=2, width=32),
    "convnet": NetworkSpec(family="convolutional", hidden_layers=2, width=8),
}
STEPS, EPOCHS, VALIDATION, FINAL = 50 * 351, 51, 5_000, 2 * 60_000
"""Of a training of the full study: steps, evaluations of the validation images, final images."""


@dataclass(frozen=True)
class Sizes:
    """Images that batches are gathered from, images of an evaluation, groups and calls."""

    images: int
    evaluated: int
    groups: int
    calls: int

    @classmethod
    def of(cls, network: NetworkSpec, batch: int, quick: bool) -> Sizes:
        """A fully connected step is so short that gathering its batch counts."""
        if network.family == "fully-connected":
            return cls(4096, 1000, *((1, 1) if quick else (15, 8)))
        return cls(batch, min(batch, 64), 1 if quick else 3, 1)


def jobs(
    network: NetworkSpec, way: str, batch: int, sizes: Sizes, threads: int = 1
) -> dict[str, Callable[[], object]]:
    """A step and an evaluation by `way` ("float32": in float32), on random images."""
    precision = "float32" if way == "float32" else "bfloat16"
    spec = Spec(network=network, training=TrainingSpec(precision=precision, device="cpu"))
    ticket = Checkpoint("ticket", "bench", 0, 0, "imp", spec, initial_layers(spec, 0))
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((sizes.images, 3, 32, 32), dtype=np.float32))
    labels = torch.from_numpy(rng.integers(0, 10, sizes.images))
    model = build(ticket, spec.training.kernel, masked=False)
    os.environ[ways.VARIABLE] = "" if way == "float32" else way
    run = _Run(ticket, spec.training, model, torch.device("cpu"))
    del os.environ[ways.VARIABLE]
    if run.descent.network:
        run.descent.network.share_among(threads)
    few = Batches(images[: sizes.evaluated], labels[: sizes.evaluated])

    def step() -> None:
        chosen = torch.from_numpy(rng.permutation(sizes.images)[:batch])
        run.take_step(run.descent.gather(images, chosen), labels.index_select(0, chosen), RATE)

    return {f"{way}: step": step, f"{way}: evaluation": lambda: run.evaluate(few)}


def speedups(network: NetworkSpec, batch: int, sizes: Sizes) -> dict[str, float]:
    """How many times sooner a step ends by so many threads, up to the idle cores of this machine.

    Wall-clock time, in turns: other work on the machine makes it less.
    """
    way, cores = ways.available()[0], len(os.sched_getaffinity(0))
    counts = [1, *(count for count in (2, 4, 8) if count <= cores)]
    steps = {
        str(count): jobs(network, way, batch, sizes, count)[f"{way}: step"] for count in counts
    }
    times = interleaved(steps, sizes.groups, sizes.calls, time.perf_counter)
    return {name: median_ratio(times, "1", name) for name in steps if name != "1"}


def training_ratio(seconds: dict[str, float], way: str, batch: int, evaluated: int) -> float:
    """A training of the full study by `way` over one in float32; final images are float32 in both.

    `seconds` are those of a step of 128 images, here of `batch`, and of `evaluated` images.
    """
    step, image = (
        {kind: seconds[f"{kind}: {part}"] / size for kind in (way, "float32")}
        for part, size in (("step", batch), ("evaluation", evaluated))
    )
    final = FINAL * image["float32"]

    def whole(kind: str) -> float:
        return STEPS * BATCH * step[kind] + EPOCHS * VALIDATION * image[kind] + final

    return whole(way) / whole("float32")


def measure(
    quick: bool = False, batch: int = BATCH, names: Sequence[str] = ()
) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table; of all networks, or of those named."""
    torch.set_num_threads(1)
    keep_freed_memory()
    rows: list[dict[str, Any]] = []
    values: dict[str, Any] = {
        f"bfloat16_{part}_over_float32": {} for part in ("step", "evaluation", "training")
    }
    kinds = [way for way in ways.available() if way != "plain" or quick]
    batch = 8 if quick else batch
    for name, network in (QUICK if quick else NETWORKS).items():
        if names and name not in names:
            continue
        sizes = Sizes.of(network, batch, quick)
        both: dict[str, Callable[[], object]] = {}
        for way in ["float32", *kinds]:
            both |= jobs(network, way, batch, sizes)
        times = interleaved(both, groups=sizes.groups, calls=sizes.calls)
        seconds = medians(times)
        for way in kinds:
            found = {
                "bfloat16_step_over_float32": median_ratio(
                    times, f"{way}: step", "float32: step"
                ),
                "bfloat16_evaluation_over_float32": median_ratio(
                    times, f"{way}: evaluation", "float32: evaluation"
                ),
                "bfloat16_training_over_float32": training_ratio(
                    seconds, way, batch, sizes.evaluated
                ),
            }  # fmt: skip
            for key, value in found.items():
                values[key].setdefault(name, {})[way] = value
            rows.append(
                {
                    "network": name,
                    "way": way,
                    "step ms": 1000 * seconds[f"{way}: step"],
                    "float32 ms": 1000 * seconds["float32: step"],
                    **{key.split("_")[1]: value for key, value in found.items()},
                }
            )
    name, chosen = "convnet", QUICK if quick else NETWORKS
    if not names or name in names:
        found = speedups(chosen[name], batch, Sizes.of(chosen[name], batch, quick))
        values["bfloat16_step_speedup_by_threads"] = {name: found}
    return values, table(rows)

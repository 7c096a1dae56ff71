"""Check and time training on a GPU, in about ten minutes: python benchmarks/gpu.py

**Not run on a GPU by us.** On a machine without one it says so and ends with status 2. `--cpu` does
the same checks on the CPU, on small networks, where nothing is recorded: so they are tested.

Checked: a recorded step repeats itself bit for bit; it has the losses of the plain step; the mask
holds; nothing is read from the device within an epoch. Timed: the step, plain and recorded, of the
full study's networks, float32 and with TF32; convolutions in bfloat16 with their channels last, and
several networks of one shape by batched products, which the workflow does not offer yet, as bare
products. Written: benchmarks/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import rounded, table, versions  # sets the library's path

# isort: split
import torch
from torch import Tensor

from ticketlens.networks import build
from ticketlens.spec import NetworkSpec, TrainingSpec
from ticketlens.training.loop import _Run
from ticketlens.training.optimization import prepare_device
from ticketlens.training.step import Captured, Step
from training_step import RATE, batches, ticket

LATEST = Path(__file__).resolve().parent / "gpu.json"
NETWORKS = {
    "fcnet": NetworkSpec(),
    "convnet": NetworkSpec("convolutional", width=128, stride=(1, 2, 2, 1, 1, 1, 1, 1)),
    "convnet-unstrided": NetworkSpec("convolutional", width=128),
    "resnet-conv": NetworkSpec("resnet-conv", hidden_layers=9, width=64),
}
SMALL = {
    "fcnet": NetworkSpec(hidden_layers=2, width=16),
    "convnet": NetworkSpec("convolutional", hidden_layers=2, width=8, stride=(2, 1)),
}
STACKED = (1, 2, 4, 8, 16)


def run_of(network: NetworkSpec, device: torch.device, tf32: bool = False, rounds: int = 0) -> _Run:
    """A training of `network` after some rounds, on the device, before its first step."""
    spec = TrainingSpec(device=device.type, kernel="onednn" if device.type == "cpu" else "aten",
                        tf32=tf32)  # fmt: skip
    own = ticket(rounds, network)
    own = replace(own, spec=replace(own.spec, training=spec))
    prepare_device(spec)
    return _Run(own, spec, build(own, spec.kernel, masked=False).to(device), device)


def some_batches(device: torch.device, count: int) -> list[tuple[Tensor, Tensor]]:
    """The first batches of 128 random images, on the device."""
    source = batches()
    return [tuple(part.to(device) for part in next(source)) for _ in range(count)]


def check(network: NetworkSpec, device: torch.device) -> dict[str, bool]:
    """What must hold, by name; see the head of this file."""
    data = some_batches(device, 6)
    found: dict[str, bool] = {}
    ends = []
    for _ in range(2):
        run = run_of(network, device, rounds=3)
        for images, labels in data:
            run.take_step(images, labels, RATE)
        run.check_masks()
        ends.append([part.clone() for part in run.descent.state()])
    found["two runs have the same bits, and the mask holds"] = all(
        torch.equal(one, other) for one, other in zip(*ends, strict=True)
    )
    plain = run_of(network, device, rounds=3)
    for images, labels in data:
        plain.descent(images, labels, RATE)
    ours, theirs = ends[0][-1], plain.running
    found["a recorded step has the plain step's losses"] = bool(
        torch.allclose(ours, theirs, rtol=1e-5)
    )
    run = run_of(network, device)
    run.take_step(*data[0], RATE)  # records
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        for images, labels in data[1:]:
            run.take_step(images, labels, RATE)
        found["nothing is read from the device within an epoch"] = True
    except RuntimeError:
        found["nothing is read from the device within an epoch"] = False
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    return found


def milliseconds(job: Callable[[], object], device: torch.device, calls: int, groups: int) -> float:
    """Median wall milliseconds of a call, all of the device's work included."""
    job()
    found = []
    for _ in range(groups):
        _wait(device)
        start = time.perf_counter()
        for _ in range(calls):
            job()
        _wait(device)
        found.append(1000 * (time.perf_counter() - start) / calls)
    return statistics.median(found)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def steps(network: NetworkSpec, device: torch.device, quick: bool) -> dict[str, float]:
    """Milliseconds of a step of 128 images, by how it is taken."""
    ((images, labels),) = some_batches(device, 1)
    found = {}
    for tf32 in (False, True):
        run = run_of(network, device, tf32)
        kinds: dict[str, Callable[..., None] | Step | Captured] = {"plain": run.descent}
        if device.type == "cuda":
            kinds["recorded"] = run.advance
        for name, step in kinds.items():
            found[f"{name}, {'TF32' if tf32 else 'float32'}"] = milliseconds(
                lambda step=step: step(images, labels, RATE), device,
                1 if quick else 20, 1 if quick else 7,
            )  # fmt: skip
    return found


def prospects(device: torch.device, quick: bool) -> dict[str, Any]:
    """Bare products: channels last in bfloat16 over float32, and stacked networks over one."""
    side, groups = (8, 1) if quick else (128, 7)
    found: dict[str, Any] = {"stacked": {}}
    x = torch.randn(128, side, 16, 16, device=device)
    weight = torch.randn(side, side, 3, 3, device=device)
    own = {
        "float32": (x, weight),
        "bfloat16, channels last": tuple(
            part.bfloat16().contiguous(memory_format=torch.channels_last) for part in (x, weight)
        ),
    }
    for name, (images, kernel) in own.items():
        found[name] = milliseconds(
            lambda images=images, kernel=kernel: torch.conv2d(images, kernel, padding=1), device,
            1 if quick else 50, groups,
        )  # fmt: skip
    for number in STACKED:
        inputs = torch.randn(number, 128, 2 * side, device=device)
        weights = torch.randn(number, 2 * side, 2 * side, device=device)
        found["stacked"][number] = milliseconds(
            lambda a=inputs, b=weights: torch.bmm(a, b), device, 1 if quick else 200, groups
        )
    return found


def measure(device: torch.device, quick: bool = False) -> dict[str, Any]:
    """All checks and times, for gpu.json."""
    networks = SMALL if quick else NETWORKS
    return {
        "device": torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu",
        "versions": {**versions(), "cuda": torch.version.cuda},
        "checks": {name: check(network, device) for name, network in networks.items()},
        "step_milliseconds": {
            name: steps(network, device, quick) for name, network in networks.items()
        },
        "product_milliseconds": prospects(device, quick),
    }


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all checks hold, 1 if one does not, 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="the checks on the CPU, on little")
    parser.add_argument("--output", type=Path, default=LATEST)
    options = parser.parse_args(arguments)
    if not (options.cpu or torch.cuda.is_available()):
        print("PyTorch sees no GPU here: nothing was checked, nothing was timed.")
        return 2
    found = measure(torch.device("cpu" if options.cpu else "cuda"), quick=options.cpu)
    options.output.write_text(json.dumps(rounded(found), indent=1) + "\n", encoding="utf-8")
    for name, checks in found["checks"].items():
        for claim, holds in checks.items():
            print(f"{'holds' if holds else 'FAILS'}: {name}: {claim}")
    print(table([{"network": name, **own} for name, own in found["step_milliseconds"].items()]))
    return 0 if all(all(own.values()) for own in found["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())

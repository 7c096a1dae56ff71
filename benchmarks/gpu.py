"""Check and time training on a GPU, in a few minutes: python benchmarks/gpu.py

On a machine without one it says so and ends with status 2. `--cpu` does the same checks on the
CPU, on small networks, where nothing is recorded: so they are tested.

Checked: a recorded step repeats itself bit for bit; it has the losses of the plain step; the mask
holds; nothing is read from the device within an epoch; networks that train together end where each
ends alone. Timed: the step, plain and recorded, of the full study's networks, float32 and with
TF32, and in bfloat16 by autocast, channels last; the step of stacks (`training.kernel: stacked`).
Written: benchmarks/gpu.json.
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
from ticketlens.training.stacked import Stack
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
STACKED = (1, 4, 11, 27, 44)
"""Networks of a stack."""
CLOSE = 1e-3
"""Largest difference between weights trained together and alone, of those that a step moves."""


def run_of(
    network: NetworkSpec,
    device: torch.device,
    tf32: bool = False,
    rounds: int = 0,
    precision: str = "float32",
) -> _Run:
    """A training of `network` after some rounds, on the device, before its first step."""
    spec = TrainingSpec(device=device.type, kernel="onednn" if device.type == "cpu" else "aten",
                        tf32=tf32, precision=precision)  # fmt: skip
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
    ways = {
        "float32": (False, "float32"),
        "TF32": (True, "float32"),
        "autocast": (True, "autocast"),
    }
    for way, (tf32, precision) in ways.items():
        run = run_of(network, device, tf32, precision=precision)
        kinds: dict[str, Callable[..., None] | Step | Captured] = {"plain": run.descent}
        if device.type == "cuda":
            kinds["recorded"] = run.advance
        for name, step in kinds.items():
            found[f"{name}, {way}"] = milliseconds(
                lambda step=step: step(images, labels, RATE), device,
                1 if quick else 20, 1 if quick else 5,
            )  # fmt: skip
    return found


def stack_of(
    number: int, network: NetworkSpec, device: torch.device, tf32: bool, rounds: int = 0
) -> tuple[Stack, Tensor]:
    """A stack of FCNets before its first step, and the labels of its images."""
    own = ticket(rounds, network)
    spec = replace(own.spec.training, kernel="stacked", device=device.type, tf32=tf32)
    own = replace(own, spec=replace(own.spec, training=spec))
    prepare_device(spec)
    images, labels = some_batches(device, 1)[0]
    return Stack([replace(own, seed=seed) for seed in range(number)], images, device), labels


def stacked_step(number: int, device: torch.device, tf32: bool, quick: bool) -> float:
    """Milliseconds of a step of a stack, its batches gathered; FCNet of the full study."""
    network = SMALL["fcnet"] if quick else NETWORKS["fcnet"]
    stack, labels = stack_of(number, network, device, tf32)
    chosen = torch.arange(128, device=device).expand(number, -1)
    expected = labels.expand(number, -1)
    return milliseconds(
        lambda: stack.advance(chosen, expected, RATE), device, *((1, 1) if quick else (50, 5))
    )


def check_stack(network: NetworkSpec, device: torch.device) -> dict[str, bool]:
    """Whether three networks that train together are those that train alone, and repeat."""
    ends, moved = [], []
    for _ in range(2):
        stack, labels = stack_of(3, network, device, tf32=False, rounds=3)
        before = [part.detach().clone() for part in stack.parameters]
        for step in range(6):
            chosen = torch.stack([(torch.arange(128) + 7 * step * at) % 128 for at in range(3)])
            chosen = chosen.to(device)
            stack.advance(chosen, labels[chosen], RATE / stack.spec.learning_rate)
        ends.append([part.detach().clone() for part in stack.parameters])
        pairs = zip(ends[-1], before, strict=True)
        moved = [(one - other).abs().max().item() for one, other in pairs]
    run = run_of(network, device, rounds=3)
    images = stack.images.view(-1, 3, 32, 32)
    for _ in range(6):
        run.take_step(images, labels, RATE)  # the order of network 0
    apart = [
        (mine[0].reshape(-1) - (alone.T if alone.dim() == 2 else alone).reshape(-1)).abs().max()
        for mine, alone in zip(ends[0], run.parameters, strict=True)
    ]
    return {
        "two stacks have the same bits": all(map(torch.equal, *ends)),
        "a network of a stack is the one that trains alone": all(
            gap.item() <= CLOSE * way for gap, way in zip(apart, moved, strict=True)
        ),
    }


def check_autocast(network: NetworkSpec, device: torch.device) -> dict[str, bool]:
    """Whether gradients in bfloat16 point where those of float32 do, to 1.5 %."""
    ((images, labels),) = some_batches(device, 1)
    found = []
    for precision in ("float32", "autocast"):
        run = run_of(network, device, precision=precision)
        found.append(
            torch.cat([part.flatten() for part in run.descent.gradients(images, labels)[2]])
        )
    gap = (found[1] - found[0]).norm() / found[0].norm()
    return {"gradients by autocast are within 1.5 % of float32": gap.item() < 0.015}


def measure(device: torch.device, quick: bool = False) -> dict[str, Any]:
    """All checks and times, for gpu.json."""
    networks = SMALL if quick else NETWORKS
    return {
        "device": torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu",
        "versions": {**versions(), "cuda": torch.version.cuda},
        "checks": {
            **{name: check(network, device) for name, network in networks.items()},
            "stack": check_stack(networks["fcnet"], device),
            "autocast": check_autocast(networks["convnet"], device),
        },
        "step_milliseconds": {
            name: steps(network, device, quick) for name, network in networks.items()
        },
        "stacked_step_milliseconds": {
            f"{number} networks, {'TF32' if tf32 else 'float32'}": stacked_step(
                number, device, tf32, quick
            )
            for number in (STACKED[:2] if quick else STACKED)
            for tf32 in (False, True)
        },
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
    for name, value in found["stacked_step_milliseconds"].items():
        print(f"stack of {name}: {value:.3f} ms a step")
    return 0 if all(all(own.values()) for own in found["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())

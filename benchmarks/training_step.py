"""Time one training step of FCNet against the bare matrix products of its shapes, per kernel."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

import numpy as np
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.initialization import initial_layers
from ticketlens.kernels import KERNELS, linear_kernel
from ticketlens.masks import prune
from ticketlens.networks import build
from ticketlens.spec import PruningSpec, Spec
from ticketlens.training import _Run
from ticketlens.weights import rewind

BATCH, CLASSES = 128, 10


def ticket(rounds: int) -> Checkpoint:
    """FCNet's ticket after `rounds` of pruning by the magnitude of theta_0."""
    spec = Spec()
    dense = initial_layers(spec, 0)
    layers = dense
    pruning = PruningSpec(criterion="magnitude-at-init")
    for number in range(1, rounds + 1):
        layers = rewind(prune(layers, layers, pruning, 0, number), dense)
    return Checkpoint("ticket", "fcnet", 0, rounds, "imp", spec, layers)


def floor(shapes: list[tuple[int, int]], kernel: str) -> Callable[[], None]:
    """The step's products: forward, weight gradient, and input gradient but for layer 1."""
    product = linear_kernel(kernel)
    zero = {size: torch.zeros(size) for shape in shapes for size in shape}
    weights = [torch.randn(shape) for shape in shapes]
    inputs = [torch.randn(BATCH, columns) for _, columns in shapes]
    grads = [torch.randn(BATCH, rows) for rows, _ in shapes]

    def run() -> None:
        with torch.no_grad():
            for index, (w, x, g) in enumerate(zip(weights, inputs, grads, strict=True)):
                product(x, w, zero[len(w)])
                product(g.t(), x.t(), zero[x.shape[1]])
                if index:
                    product(g, w.t(), zero[w.shape[1]])

    return run


def step(checkpoint: Checkpoint, kernel: str) -> Callable[[], None]:
    """One masked step on a random batch drawn from 4,096 images."""
    run = _Run(checkpoint, checkpoint.spec.training, build(checkpoint, kernel), torch.device("cpu"))
    images = torch.randn(4096, 3, 32, 32)
    labels = torch.randint(0, CLASSES, (4096,))
    batches = torch.from_numpy(np.random.default_rng(0).permutation(4096)).split(BATCH)
    position = iter(range(10**9))

    def take() -> None:
        chosen = batches[next(position) % len(batches)]
        run.take_step(images[chosen], labels[chosen], 0.01)

    return take


def milliseconds(jobs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median time of each job over interleaved repeats."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 3):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if repeat >= 3:
                times[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    dense, sparse = ticket(0), ticket(7)
    shapes = [layer.mask.shape for layer in dense.layers]
    jobs = {}
    for kernel in KERNELS:
        jobs[f"{kernel}: matrix products"] = floor(shapes, kernel)
        jobs[f"{kernel}: dense step"] = step(dense, kernel)
        jobs[f"{kernel}: masked step, round 7"] = step(sparse, kernel)
    found = milliseconds(jobs, repeats)
    for kernel in KERNELS:
        found[f"{kernel}: dense step / products"] = (
            found[f"{kernel}: dense step"] / found[f"{kernel}: matrix products"]
        )
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()

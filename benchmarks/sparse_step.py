"""Measure the sparse training step against the dense one on real masks, and suggest sparse_below.

Two tables: per layer shape and density the time of the layer's own work (forward and gradients),
from which `training.sparse_below` is suggested for this machine; and per level of a chain of the
ticket bank the time of a whole step, summed to the chain's cost in dense trainings. Times are CPU
times of this thread, medians over interleaved groups of steps.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

import numpy as np
import torch
from torch import nn

from ticketlens import bank, sparse
from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import KernelLinear, build, linear_kernel
from ticketlens.spec import NetworkSpec, TrainingSpec
from ticketlens.training import _Run

ROOT = Path(__file__).resolve().parent.parent
BANK = ROOT / "resources" / "tickets" / "fcnet-normal" / "seed0.h5"
BATCH = 128
DENSITIES = (0.8, 0.64, 0.51, 0.41, 0.33, 0.26, 0.21, 0.107, 0.055, 0.035)


def milliseconds(jobs: dict[str, Callable[[], None]], groups: int, steps: int) -> dict[str, float]:
    """CPU milliseconds of each job: the median over `groups`, in turn, of `steps` calls each."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for group in range(groups + 1):
        for name, job in jobs.items():
            job()  # what the other jobs displaced is back in the caches
            start = time.thread_time()
            for _ in range(steps):
                job()
            if group:
                times[name].append(1000 * (time.thread_time() - start) / steps)
    return {name: statistics.median(values) for name, values in times.items()}


def layer(
    inputs: int, outputs: int, density: float, below: float, first: bool
) -> Callable[[], None]:
    """One layer's forward and gradients, by its input, too, unless it is the first."""
    rng = np.random.default_rng(0)
    mask = rng.random((outputs, inputs)) < density
    dense = KernelLinear(inputs, outputs)
    dense.kernel = linear_kernel("onednn")
    model = nn.Module()
    model.layers, model.activation = nn.ModuleList([dense]), None
    spec = TrainingSpec(sparse_below=below, device="cpu")
    found = sparse.compressed(model, [mask], NetworkSpec(activation="linear"), spec)
    module = found.stages[0] if below else dense
    # Between sparse layers activations are transposed; the first layer's images never are.
    x = torch.randn(BATCH, inputs) if first or not below else torch.randn(inputs, BATCH).t()
    grad = torch.randn(outputs, BATCH).t() if below else torch.randn(BATCH, outputs)
    x.requires_grad_(not first)
    kept = torch.from_numpy(mask.astype(np.float32))

    def work() -> None:
        for leaf in (x, *module.parameters()):
            leaf.grad = None
        module(x).backward(grad)
        if not below and density < 1:
            dense.weight.grad.mul_(kept)

    return work


def measure_layers(
    densities: Sequence[float] = DENSITIES, groups: int = 9, steps: int = 10
) -> list[dict[str, float]]:
    """Rows (inputs, outputs, density, dense_ms, sparse_ms, ratio) of FCNet's two shapes."""
    rows = []
    for inputs, outputs, first in ((3072, 256, True), (256, 256, False)):
        for density in densities:
            jobs = {
                "dense": layer(inputs, outputs, density, 0.0, first),
                "sparse": layer(inputs, outputs, density, 1.0, first),
            }
            found = milliseconds(jobs, groups, steps)
            rows.append(
                {"inputs": inputs, "outputs": outputs, "density": density,
                 "dense_ms": found["dense"], "sparse_ms": found["sparse"],
                 "ratio": found["dense"] / found["sparse"]}
            )  # fmt: skip
    return rows


def suggest(rows: Sequence[dict[str, float]], gain: float = 1.05) -> float:
    """The density below which every measured layer is faster sparse by at least `gain`.

    The middle between the last density at which all shapes gain and the next, 0 if none gains.
    """
    slow = [row["density"] for row in rows if row["ratio"] < gain]
    limit = min(slow, default=1.0)
    gaining = [row["density"] for row in rows if row["density"] < limit]
    return round((max(gaining) + limit) / 2, 2) if gaining else 0.0


def step(ticket: Checkpoint, below: float) -> Callable[[], None]:
    """One step of training on a batch drawn from 4,096 random images."""
    spec = replace(ticket.spec.training, sparse_below=below, device="cpu")
    masks = [each.mask for each in ticket.layers]
    model = sparse.compressed(build(ticket, spec.kernel), masks, ticket.spec.network, spec)
    run = _Run(ticket, spec, model, torch.device("cpu"))
    images, labels = torch.randn(4096, 3, 32, 32), torch.randint(0, 10, (4096,))
    batches = torch.from_numpy(np.random.default_rng(0).permutation(4096)).split(BATCH)
    position = iter(range(10**9))

    def take() -> None:
        chosen = batches[next(position) % len(batches)]
        run.take_step(images.index_select(0, chosen), labels[chosen], 0.001)

    return take


def measure(
    path: Path = BANK, below: float = 0.4, groups: int = 9, steps: int = 10
) -> list[dict[str, float]]:
    """Rows (round, density, dense_ms, masked_ms, chosen_ms, ratio), one per level of a chain.

    `dense_ms` is the step of round 0, `masked_ms` that of the level's ticket held by its mask,
    `chosen_ms` with `sparse_below` = `below`; `ratio` is dense_ms / chosen_ms. The three are
    interleaved at every level.
    """
    chain, rows = bank.read_bank(path), []
    dense = step(bank.ticket(chain, 0), 0.0)
    for number in range(chain.rounds + 1):
        ticket = bank.ticket(chain, number)
        jobs = {"dense": dense, "masked": step(ticket, 0.0), "chosen": step(ticket, below)}
        found = milliseconds(jobs, groups, steps)
        rows.append(
            {"round": number, "density": ticket.layers[0].density,
             **{f"{name}_ms": value for name, value in found.items()},
             "ratio": found["dense"] / found["chosen"]}
        )  # fmt: skip
    return rows


def chain_cost(rows: Sequence[dict[str, float]]) -> float:
    """Return the sum over a chain's levels in units of dense trainings."""
    return sum(row["chosen_ms"] / row["dense_ms"] for row in rows)


def table(rows: Sequence[dict[str, float]]) -> str:
    """Return the rows as a Markdown table."""
    head = list(rows[0])
    body = [[f"{row[key]:.3g}" for key in head] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=9)
    parser.add_argument("--below", type=float, help="default: what the layers' times suggest")
    options = parser.parse_args()
    torch.set_num_threads(1)
    layers = measure_layers(groups=options.groups)
    suggestion = suggest(layers)
    print(table(layers), f"\nsuggested: training.sparse_below: {suggestion}\n")
    below = suggestion if options.below is None else options.below
    levels = measure(below=below, groups=options.groups)
    print(table(levels), f"\nsparse_below {below}: {len(levels)} levels cost", end=" ")
    print(f"{chain_cost(levels):.1f} dense trainings")


if __name__ == "__main__":
    main()

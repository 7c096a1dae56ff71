"""The sparse training step against the dense one on real masks, and a `sparse_below` for this
machine.

Three tables: per layer shape and density the time of the layer's own work (forward and gradients),
from which `training.sparse_below` is suggested; and per level of a chain of the ticket bank the
time of a whole step, summed to the chain's cost in dense trainings; per level of a chain pruned by
the magnitude of theta_0 the step of the ConvNet, over that of `onednn` dense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measuring import ROOT, interleaved, median_ratio, medians, table  # sets the library's path

# isort: split
import numpy as np
import torch
from torch import nn

from ticketlens.networks import KernelLinear, linear_kernel
from ticketlens.spec import NetworkSpec, TrainingSpec
from ticketlens.tickets import bank
from ticketlens.training import sparse
from training_step import BATCH, step, ticket

BANK = ROOT / "resources" / "tickets" / "fcnet-normal" / "seed0.h5"
DENSITIES = (0.8, 0.64, 0.51, 0.41, 0.33, 0.26, 0.21, 0.107, 0.055, 0.035)
GAIN = 1.05
CONVNET = NetworkSpec("convolutional", width=128, stride=(1, 2, 2, 1, 1, 1, 1, 1))
QUICK_CONVNET = NetworkSpec("convolutional", hidden_layers=2, width=8, stride=(2, 1))


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


def measure_layers(densities: Sequence[float], groups: int, calls: int) -> list[dict[str, float]]:
    """Rows (inputs, outputs, density, dense_ms, sparse_ms, ratio) of FCNet's two shapes."""
    rows = []
    for inputs, outputs, first in ((3072, 256, True), (256, 256, False)):
        for density in densities:
            jobs = {
                "dense": layer(inputs, outputs, density, 0.0, first),
                "sparse": layer(inputs, outputs, density, 1.0, first),
            }
            times = interleaved(jobs, groups, calls)
            found = medians(times)
            rows.append(
                {"inputs": inputs, "outputs": outputs, "density": density,
                 "dense_ms": 1000 * found["dense"], "sparse_ms": 1000 * found["sparse"],
                 "ratio": median_ratio(times, "dense", "sparse")}
            )  # fmt: skip
    return rows


def suggest(rows: Sequence[dict[str, float]]) -> float:
    """The density below which every measured layer is faster sparse by at least 5 %.

    The middle between the last density at which all shapes gain and the next, 0 if none gains.
    """
    slow = [row["density"] for row in rows if row["ratio"] < GAIN]
    limit = min(slow, default=1.0)
    gaining = [row["density"] for row in rows if row["density"] < limit]
    return round((max(gaining) + limit) / 2, 2) if gaining else 0.0


def measure_levels(
    path: Path, below: float, levels: Sequence[int] | None, groups: int, calls: int
) -> list[dict[str, float]]:
    """Rows (round, density, dense_ms, masked_ms, chosen_ms, ratio), one per level of a chain.

    `dense_ms` is the step of round 0, `masked_ms` that of the level's ticket held by its mask,
    `chosen_ms` with `sparse_below` = `below`; `ratio` is dense_ms / chosen_ms. The three are
    interleaved at every level; `levels` None stands for all.
    """
    chain, rows = bank.read_bank(path), []
    dense = step(bank.ticket(chain, 0))
    for number in range(chain.rounds + 1) if levels is None else levels:
        ticket = bank.ticket(chain, number)
        jobs = {"dense": dense, "masked": step(ticket), "chosen": step(ticket, below=below)}
        times = interleaved(jobs, groups, calls)
        rows.append(
            {"round": number, "density": ticket.layers[0].density,
             **{f"{name}_ms": 1000 * value for name, value in medians(times).items()},
             "ratio": median_ratio(times, "dense", "chosen")}
        )  # fmt: skip
    return rows


def measure_convnet(
    network: NetworkSpec, levels: Sequence[int], groups: int
) -> list[dict[str, float]]:
    """Rows (round, density, dense_ms, channels_last_ms, sparse_ms, ratio) of whole steps.

    `ratio` is dense_ms / sparse_ms; at round 0 nothing is sparse, and the step is that of the
    kernel with channels last.
    """
    rows = []
    for number in levels:
        own = ticket(number, network)
        jobs = {
            "dense": step(own),
            "channels_last": step(own, "onednn-channels-last"),
            "sparse": step(own, "onednn-channels-last", below=0.55),
        }
        times = interleaved(jobs, groups, 1)
        rows.append(
            {"round": number, "density": own.layers[1].density,
             **{f"{name}_ms": 1000 * value for name, value in medians(times).items()},
             "ratio": median_ratio(times, "dense", "sparse")}
        )  # fmt: skip
    return rows


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and both tables."""
    torch.set_num_threads(1)
    groups, calls = (1, 1) if quick else (9, 10)
    layers = measure_layers((0.51, 0.035) if quick else DENSITIES, groups, calls)
    below = suggest(layers)
    levels = measure_levels(BANK, below, (0, 15) if quick else None, groups, calls)
    convnet = measure_convnet(
        QUICK_CONVNET if quick else CONVNET, (0, 15) if quick else (0, 3, 7, 10, 13, 15), groups
    )
    cost = sum(1 / row["ratio"] for row in levels)
    values = {
        "suggested_sparse_below": below,
        "sparse_speedup": {f"{row['density']:.3f}": row["ratio"] for row in levels},
        "chain_in_dense_trainings": cost,
        "convnet_step_speedup": {f"{row['density']:.3f}": row["ratio"] for row in convnet},
    }
    text = (
        f"{table(layers)}\nsuggested: training.sparse_below: {below}\n\n{table(levels)}\n"
        f"sparse_below {below}: {len(levels)} levels cost {cost:.1f} dense trainings\n\n"
        f"{table(convnet)}"
    )
    return values, text


if __name__ == "__main__":
    print(measure()[1])

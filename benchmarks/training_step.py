"""One training step of FCNet against the bare matrix products of its shapes, per kernel, and
against the loop that one would write with PyTorch's own means (see `plain_loop`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from measuring import interleaved, median_ratio, medians, table  # sets the library's path

# isort: split
import numpy as np
import torch
from torch import Tensor

import plain_loop
from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import KERNELS, build, linear_kernel
from ticketlens.spec import NetworkSpec, PruningSpec, Spec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import rewind
from ticketlens.training import sparse
from ticketlens.training.loop import _Run
from ticketlens.training.step import Gather, of_rows

BATCH, IMAGES, CLASSES, RATE = 128, 4096, 10, 0.001
QUICK = NetworkSpec(hidden_layers=2, width=32)


def ticket(rounds: int, network: NetworkSpec | None = None) -> Checkpoint:
    """The ticket of FCNet (or `network`) after `rounds` of pruning by the magnitude of theta_0."""
    spec = Spec() if network is None else Spec(network=network)
    dense = initial_layers(spec, 0)
    layers = dense
    pruning = PruningSpec(criterion="magnitude-at-init")
    for number in range(1, rounds + 1):
        layers = rewind(prune(layers, layers, pruning, 0, number), dense)
    return Checkpoint("ticket", "fcnet", 0, rounds, "imp", spec, layers)


def batches(gather: Gather = of_rows) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of 128 of 4,096 random images and labels, without end, gathered as training does."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((IMAGES, 3, 32, 32), dtype=np.float32))
    labels = torch.from_numpy(rng.integers(0, CLASSES, IMAGES))
    while True:
        for chosen in torch.from_numpy(rng.permutation(IMAGES)).split(BATCH):
            yield gather(images, chosen), labels.index_select(0, chosen)


def step(checkpoint: Checkpoint, kernel: str = "onednn", below: float = 0) -> Callable[[], None]:
    """One step of the workflow's own training, its batch included."""
    spec = replace(checkpoint.spec.training, kernel=kernel, sparse_below=below, device="cpu")
    masks = [layer.mask for layer in checkpoint.layers]
    model = sparse.compressed(
        build(checkpoint, kernel, masked=False), masks, checkpoint.spec.network, spec
    )
    run = _Run(checkpoint, spec, model, torch.device("cpu"))
    source = batches(run.descent.gather)
    return lambda: run.take_step(*next(source), RATE)


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


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table."""
    torch.set_num_threads(1)
    network = QUICK if quick else None
    dense, masked = ticket(0, network), ticket(1 if quick else 7, network)
    shapes = [layer.mask.shape for layer in dense.layers]
    jobs: dict[str, Callable[[], None]] = {}
    for kernel in KERNELS:
        jobs[f"{kernel}: matrix products"] = floor(shapes, kernel)
        jobs[f"{kernel}: dense step"] = step(dense, kernel)
        jobs[f"{kernel}: masked step"] = step(masked, kernel)
    jobs["plain loop, masks by prune"] = plain_loop.step(masked, BATCH, IMAGES)
    jobs["plain loop, dense"] = plain_loop.step(dense, BATCH, IMAGES)
    jobs["plain loop, dense, images in memory"] = plain_loop.step(dense, BATCH, IMAGES, batches())
    times = interleaved(jobs, groups=2 if quick else 15, calls=1 if quick else 10)
    rows = [
        {
            "job": name,
            "ms": 1000 * seconds,
            "over onednn products": median_ratio(times, name, "onednn: matrix products"),
            "over our dense step": median_ratio(times, name, "onednn: dense step"),
        }
        for name, seconds in medians(times).items()
    ]
    over_ours = {row["job"]: row["over our dense step"] for row in rows}
    values = {
        "dense_step_over_gemm_floor": median_ratio(
            times, "onednn: dense step", "onednn: matrix products"
        ),
        "dense_step_over_gemm_floor_aten": median_ratio(
            times, "aten: dense step", "aten: matrix products"
        ),
        "masked_step_over_dense_step": over_ours["onednn: masked step"],
        "plain_loop_over_dense_step": over_ours["plain loop, masks by prune"],
        "plain_loop_without_masks_over_dense_step": over_ours["plain loop, dense"],
        "plain_loop_images_in_memory_over_dense_step": over_ours[
            "plain loop, dense, images in memory"
        ],
        "dense_step_milliseconds": 1000 * medians(times)["onednn: dense step"],
    }
    return values, table(rows)

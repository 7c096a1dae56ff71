"""Two arms trained in one process by stacked products, one after another, or in two processes.

Arms of one seed see the same batches, so their first layers are one wide product; the other layers
are batched products (arms, samples, in) × (arms, in, out). PyTorch's batched product is its
BLAS's: one after another is measured with that kernel and with the study's own.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from measuring import interleaved, median_ratio, medians, table  # sets the library's path

# isort: split
import torch
from torch import Tensor, nn

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import linear_kernel
from training_step import QUICK, RATE, batches, step, ticket

ARMS = 2


class Stacked(nn.Module):
    """Fully connected tanh networks of equal shape, their weights stacked along arms."""

    def __init__(self, tickets: Sequence[Checkpoint]) -> None:
        super().__init__()
        layers = list(zip(*(each.layers for each in tickets), strict=True))

        def stacked(name: str) -> nn.ParameterList:
            arrays = ([torch.from_numpy(getattr(arm, name)) for arm in layer] for layer in layers)
            return nn.ParameterList(nn.Parameter(torch.stack(arms)) for arms in arrays)

        self.weights, self.biases, self.masks = stacked("weight"), stacked("bias"), []
        for layer in layers:
            self.masks.append(torch.stack([torch.from_numpy(arm.mask).float() for arm in layer]))
        self.product = linear_kernel("onednn")

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (arms, samples, classes)."""
        weight, bias = self.weights[0], self.biases[0]
        wide = self.product(images.flatten(1), weight.flatten(0, 1), bias.flatten())
        x = wide.unflatten(1, bias.shape).transpose(0, 1)
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            x = torch.baddbmm(bias.unsqueeze(1), torch.tanh(x), weight.transpose(1, 2))
        return x


def stacked_step(tickets: Sequence[Checkpoint]) -> Callable[[], None]:
    """One step of all arms at once, masks held as training holds them."""
    model, source = Stacked(tickets), batches()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, fused=True)

    def take() -> None:
        images, labels = next(source)
        logits = model(images)
        # The sum over arms of their mean losses: no arm's gradient sees another arm.
        targets = labels.repeat(len(tickets))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets) * len(tickets)
        optimizer.zero_grad()
        loss.backward()
        torch._foreach_mul_([weight.grad for weight in model.weights], model.masks)
        optimizer.step()

    return take


def _in_process(
    quick: bool, together: Barrier, rounds: int, steps: int, found: multiprocessing.Queue
) -> None:
    """Send (CPU seconds, seconds) per step, one pair for each time that all processes start."""
    torch.set_num_threads(1)
    take, pairs = step(ticket(1, QUICK if quick else None)), []
    for _ in range(rounds):
        take()
        together.wait()
        cpu, wall = time.thread_time(), time.perf_counter()
        for _ in range(steps):
            take()
        pairs.append(((time.thread_time() - cpu) / steps, (time.perf_counter() - wall) / steps))
    found.put(pairs)


def at_once(processes: int, quick: bool, rounds: int, steps: int) -> tuple[float, float]:
    """Median (CPU seconds, seconds) of a step while so many processes train, each in one thread."""
    context = multiprocessing.get_context("spawn")
    together, found = context.Barrier(processes), context.Queue()
    arguments = (quick, together, rounds, steps, found)
    workers = [context.Process(target=_in_process, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    pairs = [pair for _ in workers for pair in found.get(timeout=300)]
    for worker in workers:
        worker.join()
    cpu, wall = zip(*pairs, strict=True)
    return statistics.median(cpu), statistics.median(wall)


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table."""
    torch.set_num_threads(1)
    arms = [ticket(1, QUICK if quick else None)] * ARMS
    jobs = {
        "one arm, onednn": step(arms[0]),
        "one arm, aten": step(arms[0], "aten"),
        "two arms stacked": stacked_step(arms),
    }
    times = interleaved(jobs, groups=2 if quick else 15, calls=1 if quick else 10)
    rounds, steps = (1, 2) if quick else (10, 50)
    # Alone before and after: what drifts meanwhile drifts for both.
    before, both, after = (at_once(count, quick, rounds, steps) for count in (1, ARMS, 1))
    alone = [(one + other) / 2 for one, other in zip(before, after, strict=True)]
    gains = {
        "stacked": ARMS * median_ratio(times, "one arm, onednn", "two arms stacked"),
        "stacked_same_kernel": ARMS * median_ratio(times, "one arm, aten", "two arms stacked"),
        "two_processes_by_cpu_time": ARMS * alone[0] / both[0],
        "two_processes_by_wall_time": ARMS * alone[1] / both[1],
    }
    values = {"two_arms_at_once_gain": gains}
    rows = [{"job": name, "ms": 1000 * value} for name, value in medians(times).items()]
    rows += [
        {"job": "one process", "ms": 1000 * alone[1]},
        {"job": "two processes, each", "ms": 1000 * both[1]},
    ]
    text = table(rows) + "\n\n" + table([{"two arms at once, times faster": "", **gains}])
    return values, text

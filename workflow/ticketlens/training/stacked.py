"""Several fully connected networks trained at once: each layer is one batched product.

A GPU is far from busy with one network of 256 neurons. A stack of S networks takes hardly longer
than one until S is about ten, and shares one copy of the images. The networks stay independent:
theta_0, mask, learning rate and the order of the data are their own. Sums of a batched product may
be taken in another order than those of a single one, and in one that depends on S, so a stack has
a kernel of its own in the spec, `training.kernel: stacked`, and its trained files say how many were
trained together. A stack is not resumed: it takes seconds to minutes.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import trange

from ticketlens.checkpoint import CURVES, Checkpoint
from ticketlens.files.dataset import PreparedDataset
from ticketlens.networks import ACTIVATIONS, chain_preactivations, residual_preactivations
from ticketlens.tickets.pruning import InvariantError
from ticketlens.training import cpu
from ticketlens.training.evaluation import EVALUATION_BATCH, Batches, load
from ticketlens.training.loop import DivergedError, data_order, is_captured
from ticketlens.training.optimization import learning_rate, optimizer, prepare_device
from ticketlens.training.step import Captured

log = logging.getLogger(__name__)
KERNEL = "stacked"
LOG_SECONDS = 20.0
PARTS = ("train", "validation", "test")

CHAINS: dict[str, Callable[..., Iterator[Tensor]]] = {
    "fully-connected": chain_preactivations,
    "resnet-fc": residual_preactivations,
}
"""Families that can be stacked, by how their hidden layers are connected."""


def train_stacked(
    tickets: Sequence[Checkpoint], data: PreparedDataset, show_progress: bool = False
) -> list[tuple[Checkpoint, Checkpoint | None]]:
    """Train tickets together; return (trained network, theta_k) of each, in the order of tickets.

    They share network, training and data set; seed, mask, weights, learning rate and the order of
    the data are their own.

    What is kept of each run, and what divergence means, is as in `loop.train`. Test data are read
    once, at the end.
    Raises ValueError if the tickets do not train alike, if their spec asks for what a stack cannot
    do (convolutions, bfloat16, sparse layers, another kernel), or if the data are not those of the
    spec or fewer than one batch; DivergedError if the loss of an `imp` arm becomes NaN or infinite.
    """
    _check(tickets, data)
    spec = tickets[0].spec.training
    device = prepare_device(spec)
    train_data, validation = (load(data, part, device) for part in PARTS[:2])
    steps = len(train_data.labels) // spec.batch_size
    if steps == 0:
        raise ValueError(
            f"training.batch_size is {spec.batch_size}, more than the {len(train_data.labels)} "
            "training images"
        )
    stack = Stack(tickets, train_data.images, device)
    log.info(
        "%s: %d networks together, device %s, %s, %d steps an epoch", tickets[0].study,
        len(tickets), device, "TF32" if spec.tf32 else "float32", steps,
    )  # fmt: skip
    stack.evaluate_untrained(validation)
    started = logged = time.monotonic()
    for epoch in trange(spec.epochs, desc=tickets[0].study, disable=not show_progress):
        stack.take_epoch(train_data.labels, epoch, steps)
        stack.finish_epoch(epoch, steps, validation)
        if time.monotonic() - logged > LOG_SECONDS:
            logged = time.monotonic()
            log.info("%s: epoch %d/%d", tickets[0].study, epoch + 1, spec.epochs)
    log.info("%s: %.1f s", tickets[0].study, time.monotonic() - started)
    return stack.finished(
        {"train": train_data, "validation": validation, "test": load(data, "test", device)}
    )


def _check(tickets: Sequence[Checkpoint], data: PreparedDataset) -> None:
    first = tickets[0].spec
    training, family = first.training, first.network.family
    where = f"{tickets[0].study}, {len(tickets)} networks together"
    for ticket in tickets:
        own = ticket.spec
        alike = replace(
            own.training, learning_rate=training.learning_rate, data_order=training.data_order
        )
        if (own.network, alike, own.dataset) != (first.network, training, first.dataset):
            raise ValueError(
                f"{where}: {_name(ticket)} differs from the first in network, training or data "
                "set; allowed: networks that train alike, but for learning_rate and data_order"
            )
        if own.pruning.rewind_epoch > training.epochs:
            raise ValueError(
                f"pruning.rewind_epoch is {own.pruning.rewind_epoch}; allowed: at most "
                f"training.epochs ({training.epochs})"
            )
    wanted: dict[str, tuple[object, object]] = {
        "training.kernel": (training.kernel, KERNEL),
        "training.precision": (training.precision, "float32"),
        "training.sparse_below": (training.sparse_below, 0.0),
    }
    for key, (value, allowed) in wanted.items():
        if value != allowed:
            raise ValueError(f"{where}: {key} is {value!r}; allowed: {allowed!r}")
    if family not in CHAINS:
        raise ValueError(f"{where}: network family is {family!r}; allowed: {', '.join(CHAINS)}")
    if first.dataset != data.spec:
        raise ValueError(
            f"{where}: {data.path} holds data set {data.name} ({data.sha256[:12]}…), not the one "
            f"that the tickets were made for: {first.dataset.name} ({first.dataset.sha256[:12]}…)"
        )


class StackedLinear(nn.Module):
    """A linear layer of each network; weights (networks, in, out), biases (networks, 1, out)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (networks, samples, in) to (networks, samples, out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Stack:
    """The mutable state of a stack: parameters, momenta, running sums, histories, best weights.

    `images` (samples, …) are all training images, on the device.
    """

    def __init__(self, tickets: Sequence[Checkpoint], images: Tensor, device: torch.device) -> None:
        self.tickets, self.spec, self.device = tickets, tickets[0].spec.training, device
        self.images = images.flatten(1)
        count = range(len(tickets[0].layers))

        def stacked(arrays: Sequence[np.ndarray]) -> Tensor:
            # In order: fused optimisers read memory as it lies, and a stack of transposed arrays
            # is transposed itself.
            return torch.from_numpy(np.ascontiguousarray(np.stack(arrays))).to(device)

        self.layers = nn.ModuleList(
            StackedLinear(
                stacked([ticket.layers[at].weight.T for ticket in tickets]),
                stacked([ticket.layers[at].bias[None] for ticket in tickets]),
            )
            for at in count
        )
        self.masks = [stacked([ticket.layers[at].mask.T for ticket in tickets]) for at in count]
        # Full masks need no multiplication, if they are full in every network.
        self.held = {
            2 * at: mask.to(torch.float32) for at, mask in enumerate(self.masks) if not mask.all()
        }
        self.parameters: list[Tensor] = list(self.layers.parameters())
        self.optimizers = [
            (rate, optimizer(self.spec, [part.detach()[own] for part in self.parameters]), own)
            for rate, own in _runs_of([t.spec.training.learning_rate for t in tickets])
        ]
        self.running = torch.zeros(len(tickets), 2, dtype=torch.float64, device=device)
        self.advance = Captured(self) if is_captured(device) else self
        self.history: list[dict[str, Any]] = [
            {name: np.full(self.spec.epochs, np.nan) for name in CURVES} for _ in tickets
        ]
        self.best_epoch = [0] * len(tickets)
        self.diverged = [False] * len(tickets)
        self.best = self._copies()
        self.rewind_epochs = [ticket.spec.pruning.rewind_epoch for ticket in tickets]
        self.late: dict[int, list[Tensor]] = {}

    # --- steps -----------------------------------------------------------------------------------

    def logits(self, x: Tensor) -> Tensor:
        """Map (networks, samples, pixels) to logits (networks, samples, classes)."""
        network = self.tickets[0].spec.network
        phi = ACTIVATIONS[network.activation]
        for h in CHAINS[network.family](self.layers[:-1], phi, x):  # noqa: B007 (the last one)
            pass
        logits: Tensor = self.layers[-1](phi(h))
        return logits

    def __call__(self, chosen: Tensor, labels: Tensor, share: float | Tensor) -> None:
        """Take a step of every network at a share of its learning rate.

        `chosen` and `labels` are (networks, samples), int64.
        """
        images = self.images.index_select(0, chosen.flatten()).view(*chosen.shape, -1)
        logits = self.logits(images)
        losses = _losses(logits, labels).mean(1)
        found = list(torch.autograd.grad(losses.sum(), self.parameters))
        with torch.no_grad():
            if self.held:
                torch._foreach_mul_([found[at] for at in self.held], [*self.held.values()])
            found = [grad.contiguous() for grad in found]
            for rate, own_optimizer, own in self.optimizers:
                own_optimizer.update([grad[own] for grad in found], rate * share)
            hits = (logits.argmax(2) == labels).sum(1)
            self.running += torch.stack([losses.detach().double(), hits.double()], 1)

    def state(self) -> list[Tensor]:
        """Return all tensors that a step changes."""
        slots = [
            slot
            for _, own, _ in self.optimizers
            for values in own.slots.values()
            for slot in values
        ]
        return [*self.parameters, *slots, self.running]

    def take_epoch(self, labels: Tensor, epoch: int, steps: int) -> None:
        """Take the steps of an epoch, every network in the order of its own seed."""
        keys = [(ticket.seed, ticket.spec.training.data_order) for ticket in self.tickets]
        orders = {key: data_order(*key, epoch).permutation(len(labels)) for key in set(keys)}
        order = torch.from_numpy(np.stack([orders[key] for key in keys]))
        order = order[:, : steps * self.spec.batch_size].to(self.device)
        for step, chosen in enumerate(order.split(self.spec.batch_size, dim=1)):
            rate = learning_rate(self.spec, epoch * steps + step, steps)
            self.advance(chosen, labels[chosen], rate / self.spec.learning_rate)

    # --- epochs ----------------------------------------------------------------------------------

    def evaluate(self, data: Batches) -> list[tuple[float, float]]:
        """Return mean cross-entropy and accuracy over all of `data`, for each network."""
        found = torch.zeros(len(self.tickets), 2, dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for images, labels in zip(
                data.images.split(EVALUATION_BATCH),
                data.labels.split(EVALUATION_BATCH),
                strict=True,
            ):
                x = images.flatten(1).expand(len(self.tickets), -1, -1)
                logits = self.logits(x)
                expected = labels.expand(len(self.tickets), -1)
                found[:, 0] += _losses(logits, expected).sum(1)
                found[:, 1] += (logits.argmax(2) == expected).sum(1)
        return [(loss, accuracy) for loss, accuracy in (found / len(data.labels)).tolist()]

    def evaluate_untrained(self, validation: Batches) -> None:
        """Record the untrained networks' validation loss and accuracy."""
        for history, (loss, accuracy) in zip(self.history, self.evaluate(validation), strict=True):
            history["untrained_loss"], history["untrained_accuracy"] = loss, accuracy

    def finish_epoch(self, epoch: int, steps: int, validation: Batches) -> None:
        """Record the epoch, assert that the masks held, and keep the best weights of each network.

        Raises DivergedError if the loss of an `imp` arm is not finite.
        """
        images = steps * self.spec.batch_size
        rows = zip(self.running.tolist(), self.evaluate(validation), strict=True)
        self.running.zero_()
        is_better = [False] * len(self.tickets)
        for at, ((loss, hits), evaluated) in enumerate(rows):
            values = dict(zip(CURVES, (loss / steps, hits / images, *evaluated), strict=True))
            if self._is_over(at, epoch, values):
                continue
            history = self.history[at]
            for name, value in values.items():
                history[name][epoch] = value
            best = history["validation_accuracy"][self.best_epoch[at] - 1]
            if self.best_epoch[at] == 0 or values["validation_accuracy"] > best:
                self.best_epoch[at], is_better[at] = epoch + 1, True
        self._check_masks(epoch)
        chosen = torch.tensor(is_better, device=self.device)[:, None, None]
        with torch.no_grad():
            for best_values, now in zip(self.best, self.parameters, strict=True):
                best_values.copy_(torch.where(chosen, now, best_values))
        if epoch + 1 in self.rewind_epochs:
            self.late[epoch + 1] = self._copies()

    def _is_over(self, at: int, epoch: int, values: dict[str, float]) -> bool:
        """Say whether a network has diverged, in this epoch or before."""
        if self.diverged[at]:
            return True
        if math.isfinite(values["train_loss"]) and math.isfinite(values["validation_loss"]):
            return False
        ticket = self.tickets[at]
        message = (
            f"training diverged: {_name(self.tickets[at])}, epoch {epoch + 1}, learning rate "
            f"{ticket.spec.training.learning_rate:g}: loss {values['train_loss']:g}; "
            "try a lower training.learning_rate"
        )
        if ticket.arm == "imp":
            raise DivergedError(message)
        log.warning("%s", message)
        self.diverged[at] = True
        return True

    def _check_masks(self, epoch: int) -> None:
        for index, (layer, mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            weight = cast(StackedLinear, layer).weight.detach()
            wrong = weight.masked_fill(mask, 0.0).count_nonzero(dim=(1, 2)).tolist()
            for at, number in enumerate(wrong):
                if number and not self.diverged[at]:
                    raise InvariantError(
                        f"{_name(self.tickets[at])}, epoch {epoch + 1}, layer "
                        f"{self.tickets[at].layers[index].name}: {number} weights off the mask are "
                        "not 0.0; expected 0"
                    )

    def _copies(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.parameters]

    # --- the end ---------------------------------------------------------------------------------

    def finished(self, parts: dict[str, Batches]) -> list[tuple[Checkpoint, Checkpoint | None]]:
        """Return trained network and theta_k of each ticket; test data are read here only."""
        last = self._copies()
        for suffix, values in (("", last), ("_best_validation", self.best)):
            with torch.no_grad():
                for parameter, value in zip(self.parameters, values, strict=True):
                    parameter.copy_(value)
            for part, batches in parts.items():
                for at, (loss, accuracy) in enumerate(self.evaluate(batches)):
                    if self.diverged[at]:
                        loss, accuracy = math.nan, 1 / self.tickets[at].spec.dataset.classes
                    self.history[at][f"final_{part}_loss{suffix}"] = loss
                    self.history[at][f"final_{part}_accuracy{suffix}"] = accuracy
        how = {**cpu.machine(), "device": self.device.type, "stacked": len(self.tickets)}
        if self.device.type == "cuda":
            how["gpu"] = torch.cuda.get_device_name()
        return [self._of_ticket(at, last, how) for at in range(len(self.tickets))]

    def _of_ticket(
        self, at: int, last: list[Tensor], how: dict[str, Any]
    ) -> tuple[Checkpoint, Checkpoint | None]:
        ticket = self.tickets[at]
        if self.diverged[at]:  # as `loop.train` has it: the untrained weights
            best = tuple((layer.weight, layer.bias) for layer in ticket.layers)
            end, self.best_epoch[at] = ticket, 0
        else:
            pairs = _of_network(self.best, at)
            best, end = tuple(pairs), _with(ticket, last, at)
        history = {
            **self.history[at],
            "best_epoch": self.best_epoch[at],
            "diverged": int(self.diverged[at]),
        }
        trained = replace(
            end,
            kind="trained",
            best_validation=best,
            history={name: np.asarray(value) for name, value in history.items()},
            extra={**ticket.extra, **how},
        )
        if not self.rewind_epochs[at] or self.diverged[at]:
            return trained, None
        late = _with(ticket, self.late[self.rewind_epochs[at]], at)
        epoch = {"epoch": self.rewind_epochs[at]}
        return trained, replace(late, kind="trained", extra={**ticket.extra, **epoch})


def _runs_of(values: Sequence[float]) -> list[tuple[float, slice]]:
    """Return each run of equal neighbours with its places."""
    found, start = [], 0
    for value, members in itertools.groupby(values):
        end = start + len(list(members))
        found.append((value, slice(start, end)))
        start = end
    return found


def _name(ticket: Checkpoint) -> str:
    return f"{ticket.study} seed {ticket.seed} round {ticket.round} arm {ticket.arm}"


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each image: (networks, samples)."""
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape)


def _of_network(values: Sequence[Tensor], at: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight (out, in) and bias (out,) of every layer of one network."""
    return [
        (np.ascontiguousarray(weight[at].cpu().numpy().T), bias[at, 0].cpu().numpy())
        for weight, bias in zip(values[::2], values[1::2], strict=True)
    ]


def _with(ticket: Checkpoint, values: Sequence[Tensor], at: int) -> Checkpoint:
    layers = tuple(
        replace(layer, weight=weight, bias=bias)
        for layer, (weight, bias) in zip(ticket.layers, _of_network(values, at), strict=True)
    )
    return replace(ticket, layers=layers)

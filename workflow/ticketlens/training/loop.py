"""Training a ticket: masked gradient descent that resumes bit for bit after any interruption.

The order of the data is a function of (seed, `training.data_order`, epoch) alone: arms and rounds
of one seed see the same batches, and no random state needs saving. Masks are held by one
multiplication of the gradients: weights, momenta and weight decay that start at 0.0 off the mask
stay at 0.0. Layers of a density below `training.sparse_below` train in compressed form instead (see
`sparse`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ticketlens.checkpoint import CURVES, Checkpoint, Layer
from ticketlens.files.dataset import PreparedDataset
from ticketlens.networks import build
from ticketlens.seeds import stream
from ticketlens.spec import TrainingSpec
from ticketlens.tickets.pruning import InvariantError
from ticketlens.training import cpu, resume, sparse
from ticketlens.training.evaluation import Batches, evaluate, load, sparse_if_faster
from ticketlens.training.memory import keep_freed_memory
from ticketlens.training.optimization import learning_rate, prepare_device
from ticketlens.training.step import Captured, Step

log = logging.getLogger(__name__)
LOG_SECONDS = 20.0


class DivergedError(ArithmeticError):
    """The loss became infinite or NaN."""


def train(
    ticket: Checkpoint,
    data: PreparedDataset,
    partial: Path | None = None,
    key: str = "",
    show_progress: bool = False,
    threads: int = 1,
) -> tuple[Checkpoint, Checkpoint | None]:
    """Train `ticket` by its own spec; return (trained network, theta_k).

    theta_k, the network after `pruning.rewind_epoch` epochs, is None for rewind_epoch 0. With
    `partial`, the state is saved there as training goes on, and a state found there is resumed if
    it carries the same `key` (see `resume`). `threads` share steps and evaluations in bfloat16,
    whose bits do not depend on them; what is float32 takes as many as the spec says.
    The history holds, per epoch, the running train loss and accuracy (over the epoch's batches) and
    the validation loss and accuracy; per run, the untrained network's validation loss and accuracy,
    and the final losses and accuracies on all parts for the last epoch's weights and for those of
    the best validation epoch (highest accuracy, the earliest on ties).
    Raises DivergedError if the loss of arm `imp` becomes NaN or infinite. On any other arm that is
    a result: chance accuracy, `diverged` = 1, and the untrained weights.
    Raises ValueError if the data are not those of the ticket's spec, or fewer than one batch, or if
    the run ends before `rewind_epoch`.
    """
    spec = ticket.spec.training
    if ticket.spec.dataset != data.spec:
        raise ValueError(
            f"{data.path}: data set {data.name} ({data.sha256[:12]}…) is not the one that the "
            f"ticket was made for: {ticket.spec.dataset.name} ({ticket.spec.dataset.sha256[:12]}…)"
        )
    if ticket.spec.pruning.rewind_epoch > spec.epochs:
        raise ValueError(
            f"pruning.rewind_epoch is {ticket.spec.pruning.rewind_epoch}; allowed: at most "
            f"training.epochs ({spec.epochs})"
        )
    device = prepare_device(spec)
    if device.type == "cpu":
        keep_freed_memory()
    model = sparse.compressed(
        build(ticket, spec.kernel, masked=False).to(device),
        [layer.mask for layer in ticket.layers], ticket.spec.network, spec,
    )  # fmt: skip
    run = _Run(ticket, spec, model, device)
    if run.descent.network:
        run.descent.network.share_among(threads)
    train_data, validation = (load(data, part, device) for part in ("train", "validation"))
    steps = len(train_data.labels) // spec.batch_size
    if steps == 0:
        raise ValueError(
            f"training.batch_size is {spec.batch_size}, more than the {len(train_data.labels)} "
            "training images"
        )
    log.info(
        "%s: %d parameters, density %.4f, device %s, %s, %d thread(s), %d steps an epoch", run.name,
        sum(p.numel() for p in run.parameters), ticket.density, device,
        f"{spec.precision} by {run.way}" if run.way else spec.precision,
        threads if run.way else spec.threads, steps,
    )  # fmt: skip
    # bfloat16 has the same bits on every CPU: what remains is NumPy, which draws the data's order.
    here = cpu.machine()
    compared = {name: here[name] for name in here if not (run.way and name == "cpu_capability")}
    saver = resume.Saver(partial, f"{key}, torch {torch.__version__}, {device.type}", compared)
    state = saver.load()
    run.machine = {name: "; ".join(saver.machines.get(name, (here[name],))) for name in here}
    if state is None:
        run.history["untrained_loss"], run.history["untrained_accuracy"] = run.evaluate(validation)
    else:
        run.restore(state)
        log.info("%s: resumed at epoch %d, step %d", run.name, run.epoch + 1, run.step)
    try:
        with resume.stop_on_sigterm() as stop:
            _epochs(run, train_data, validation, steps, saver, stop, show_progress)
    except DivergedError as error:
        if ticket.arm == "imp":
            raise
        log.warning("%s", error)
        return _diverged(ticket, run), None
    test = load(data, "test", device)
    parts = {"train": train_data, "validation": validation, "test": test}
    trained = run.finished(parts)
    log.info(
        "%s: %.2f s an epoch; test accuracy %.4f (last epoch), %.4f (epoch %d, best validation)",
        run.name, run.seconds / max(1, run.epochs_here), trained.history["final_test_accuracy"],
        trained.history["final_test_accuracy_best_validation"], run.best_epoch,
    )  # fmt: skip
    return trained, run.theta_k()


class _Run:
    """The mutable state of one training run, and how it is saved and restored."""

    def __init__(
        self, ticket: Checkpoint, spec: TrainingSpec, model: nn.Module, device: torch.device
    ) -> None:
        self.ticket, self.spec, self.model, self.device = ticket, spec, model, device
        self.name = f"{ticket.study} seed {ticket.seed} round {ticket.round} arm {ticket.arm}"
        self.masks = [torch.from_numpy(layer.mask).to(device) for layer in ticket.layers]
        self.descent = Step(spec, model, self.masks)
        self.parameters, self.running = self.descent.parameters, self.descent.running
        self.advance = Captured(self.descent) if is_captured(device) else self.descent
        self.epoch = self.step = 0  # finished epochs; finished steps of the next one
        self.history: dict[str, Any] = {name: np.full(spec.epochs, np.nan) for name in CURVES}
        self.best_epoch, self.best = 0, self.snapshot()
        self.late: list[np.ndarray] = []
        self.machine: dict[str, str] = {}
        self.seconds, self.epochs_here = 0.0, 0

    @property
    def way(self) -> str:
        """Return the way that computes bfloat16 (see `ways`), "" in float32."""
        return self.descent.network.way if self.descent.network else ""

    def evaluate(self, data: Batches) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy, in the precision that the network trains in."""
        if self.descent.network:
            return self.descent.network.evaluate(data.images, data.labels)
        return evaluate(self.model, data)

    def snapshot(self) -> list[np.ndarray]:
        """Return copies of all parameters as arrays: weight, bias, weight, bias, …"""
        return [
            parameter.detach().cpu().numpy().copy()
            for layer in cast(Iterable[Any], self.model.layers)
            for parameter in (layer.weight, layer.bias)
        ]

    def set_parameters(self, arrays: list[np.ndarray]) -> None:
        """Set all parameters to what `snapshot` returned."""
        with torch.no_grad():
            for layer, weight, bias in zip(
                cast(Iterable[Any], self.model.layers), arrays[::2], arrays[1::2], strict=True
            ):
                if sparse.is_sparse(layer):
                    layer.set_weight(torch.from_numpy(weight))
                else:
                    layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))

    def state(self) -> dict[str, np.ndarray]:
        """Return all that a resumed run needs, as arrays by name."""
        values: Sequence[Any]
        arrays = {
            "position": np.array([self.epoch, self.step, self.best_epoch]),
            "running": self.running.cpu().numpy(),
            **{f"history/{name}": np.asarray(value) for name, value in self.history.items()},
        }
        for group, values in (
            ("parameter", self.snapshot()), ("best", self.best), ("late", self.late)
        ):  # fmt: skip
            arrays |= {f"{group}/{index}": value for index, value in enumerate(values)}
        for slot, values in self.descent.optimizer.slots.items():
            arrays |= {
                f"optimizer/{index}/{slot}": value.cpu().numpy()
                for index, value in enumerate(values)
            }
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the state that `state` returned."""
        self.epoch, self.step, self.best_epoch = (int(value) for value in arrays["position"])
        self.running.copy_(torch.from_numpy(arrays["running"]))
        count = range(2 * len(cast(Sequence[Any], self.model.layers)))
        self.set_parameters([arrays[f"parameter/{index}"] for index in count])
        self.best = [arrays[f"best/{index}"] for index in count]
        self.late = [arrays[f"late/{index}"] for index in count if f"late/{index}" in arrays]
        self.history |= {
            name.removeprefix("history/"): value
            for name, value in arrays.items()
            if name.startswith("history/")
        }
        for slot, values in self.descent.optimizer.slots.items():
            for index, value in enumerate(values):
                value.copy_(torch.from_numpy(arrays[f"optimizer/{index}/{slot}"]))

    def take_step(self, images: Tensor, labels: Tensor, rate: float) -> None:
        """One step of masked gradient descent on one batch."""
        self.advance(images, labels, rate)
        self.step += 1

    def finish_epoch(self, steps: int, validation: Batches) -> None:
        """Record the epoch, assert that the mask held, and keep the best weights.

        Raises DivergedError if the epoch's train or validation loss is not finite.
        """
        self.epoch, self.step = self.epoch + 1, 0
        loss, correct = self.running.tolist()
        self.running.zero_()
        images = steps * self.spec.batch_size
        values = dict(
            zip(CURVES, (loss / steps, correct / images, *self.evaluate(validation)), strict=True)
        )  # fmt: skip
        if not (math.isfinite(values["train_loss"]) and math.isfinite(values["validation_loss"])):
            rate = learning_rate(self.spec, self.epoch * steps - 1, steps)
            raise DivergedError(
                f"training diverged: {self.name}, epoch {self.epoch}, learning rate "
                f"{rate:g}: loss {values['train_loss']:g}; "
                "try a lower training.learning_rate"
            )
        self.check_masks()
        for name, value in values.items():
            self.history[name][self.epoch - 1] = value
        best = self.history["validation_accuracy"][self.best_epoch - 1]
        if self.best_epoch == 0 or values["validation_accuracy"] > best:
            self.best_epoch, self.best = self.epoch, self.snapshot()
        if self.epoch == self.ticket.spec.pruning.rewind_epoch:
            self.late = self.snapshot()

    def check_masks(self) -> None:
        """Assert that weights off the mask are exactly 0.0. Raises InvariantError."""
        with torch.no_grad():
            for layer, module, mask in zip(
                self.ticket.layers, cast(Iterable[Any], self.model.layers), self.masks, strict=True
            ):
                wrong = int(module.weight.masked_fill(mask, 0.0).count_nonzero())
                if wrong:
                    raise InvariantError(
                        f"{self.name}, epoch {self.epoch}, layer {layer.name}: {wrong} weights off "
                        "the mask are not 0.0; expected 0"
                    )

    def finished(self, parts: dict[str, Batches]) -> Checkpoint:
        """Return the trained network with the final accuracies; test data are read here only."""
        last = self.snapshot()
        history: dict[str, np.ndarray] = {k: np.asarray(v) for k, v in self.history.items()}
        for suffix, values in (("", last), ("_best_validation", self.best)):
            self.set_parameters(values)
            # What trains in bfloat16 is dense, in float32 as well.
            masks = [layer.mask for layer in self.ticket.layers] if self.descent.network else []
            model = sparse_if_faster(self.model, masks, self.ticket.spec.network.activation)
            for part, batches in parts.items():
                loss, accuracy = evaluate(model, batches)
                history[f"final_{part}_loss{suffix}"] = np.asarray(loss)
                history[f"final_{part}_accuracy{suffix}"] = np.asarray(accuracy)
        history["best_epoch"] = np.asarray(self.best_epoch)
        history["diverged"] = np.asarray(0)
        return replace(
            self.ticket,
            kind="trained",
            layers=_with_parameters(self.ticket.layers, last),
            best_validation=tuple(zip(self.best[::2], self.best[1::2], strict=True)),
            history=history,
            extra=_how(self.ticket, self),
        )

    def theta_k(self) -> Checkpoint | None:
        """Return the network after `rewind_epoch` epochs, for late rewinding."""
        if not self.late:
            return None
        return replace(
            self.ticket,
            kind="trained",
            layers=_with_parameters(self.ticket.layers, self.late),
            extra={**self.ticket.extra, "epoch": self.ticket.spec.pruning.rewind_epoch},
        )


def _epochs(
    run: _Run,
    data: Batches,
    validation: Batches,
    steps: int,
    saver: resume.Saver,
    stop: Callable[[], bool],
    show_progress: bool,
) -> None:
    """Train to the last epoch, saving as it goes on."""
    logged = -math.inf
    bar = tqdm(
        total=run.spec.epochs, initial=run.epoch, desc=run.name, unit="epoch",
        disable=not show_progress,
    )  # fmt: skip
    while run.epoch < run.spec.epochs:
        start = time.perf_counter()
        take_epoch(run, data, steps, saver, stop)
        run.finish_epoch(steps, validation)
        run.seconds, run.epochs_here = (
            run.seconds + time.perf_counter() - start,
            run.epochs_here + 1,
        )
        bar.update()
        if run.epoch < run.spec.epochs and saver.worthwhile():
            saver.save(run.state())
        if time.monotonic() - logged > LOG_SECONDS or run.epoch == run.spec.epochs:
            logged = time.monotonic()
            now = {name: run.history[name][run.epoch - 1] for name in CURVES}
            log.info(
                "%s: epoch %d/%d, train loss %.4f, accuracy %.4f, validation loss %.4f, "
                "accuracy %.4f", run.name, run.epoch, run.spec.epochs, *now.values(),
            )  # fmt: skip
    bar.close()


def take_epoch(
    run: _Run, data: Batches, steps: int, saver: resume.Saver, stop: Callable[[], bool]
) -> None:
    """Take the steps that are left of an epoch. Unless it saves, it never waits for a GPU.

    Raises Interrupted, all saved, if the run was asked to stop.
    """
    order = data_order(run.ticket.seed, run.spec.data_order, run.epoch).permutation(
        len(data.labels)
    )
    batches = torch.from_numpy(order).to(run.device).split(run.spec.batch_size)
    for chosen in batches[run.step : steps]:
        rate = learning_rate(run.spec, run.epoch * steps + run.step, steps)
        images = run.descent.gather(data.images, chosen)
        run.take_step(images, data.labels.index_select(0, chosen), rate)
        if stop():
            saver.save(run.state())
            raise resume.Interrupted(
                f"{run.name}: stopped on request after epoch {run.epoch}, step {run.step}; "
                "saved, the next run goes on from here"
            )
        if saver.overdue():
            saver.save(run.state())


def data_order(seed: int, order: int, epoch: int) -> np.random.Generator:
    """Return the generator of an epoch's order: the seed's own (`order` 0), or another one."""
    return stream(seed, "data-order", *((order,) if order else ()), epoch)


def is_captured(device: torch.device) -> bool:
    """Say whether steps on this device are recorded once and replayed."""
    return device.type == "cuda"


def _diverged(ticket: Checkpoint, run: _Run) -> Checkpoint:
    """A diverged run as a result: chance accuracy, no loss, the ticket's own weights."""
    history: dict[str, np.ndarray] = {name: np.asarray(v) for name, v in run.history.items()}
    for suffix in ("", "_best_validation"):
        for part in ("train", "validation", "test"):
            history[f"final_{part}_loss{suffix}"] = np.asarray(np.nan)
            history[f"final_{part}_accuracy{suffix}"] = np.asarray(1 / ticket.spec.dataset.classes)
    history |= {"best_epoch": np.asarray(0), "diverged": np.asarray(1)}
    return replace(
        ticket,
        kind="trained",
        history=history,
        best_validation=tuple((layer.weight, layer.bias) for layer in ticket.layers),
        extra=_how(ticket, run),
    )


def _how(ticket: Checkpoint, run: _Run) -> dict[str, Any]:
    """What the trained file says about the machine, beside what the ticket says already."""
    way = {"bfloat16_way": run.way} if run.way else {}
    return {**ticket.extra, "device": run.device.type, **run.machine, **way}


def _with_parameters(layers: tuple[Layer, ...], values: list[np.ndarray]) -> tuple[Layer, ...]:
    return tuple(
        replace(layer, weight=weight, bias=bias)
        for layer, weight, bias in zip(layers, values[::2], values[1::2], strict=True)
    )

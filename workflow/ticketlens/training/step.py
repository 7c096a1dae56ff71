"""One step of masked gradient descent on one batch, on the CPU or captured on a GPU.

A step changes parameters, momenta and running sums in place and reads nothing back, so that a GPU
never waits for the host within an epoch: what the epoch came to is read once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ticketlens.spec import TrainingSpec
from ticketlens.training import (
    bfloat16,
    bfloat16_optimizer,
    gradients,
    gradients_conv,
    gradients_sparse,
    sparse,
    sparse_conv,
)
from ticketlens.training.gradients import Gradients
from ticketlens.training.optimization import Optimizer, optimizer

WARM_UP = 3
"""Steps before a capture, in which libraries choose and load what they will use."""

CHAINS = ("linear-layers", "convolutions", "sparse-linear-layers", "sparse-convolutions")
"""Kinds of hidden layers; `study.entries` has the same names."""

WRITTEN_OUT: dict[str, Callable[[nn.Module], Gradients | None]] = {
    "linear-layers": gradients.gradients,
    "convolutions": gradients_conv.gradients,
    "sparse-linear-layers": gradients_sparse.gradients,
    "sparse-convolutions": sparse_conv.gradients,
}


class Step:
    """A step of `model` under `masks`, one per layer; call it with images, labels and rate.

    `running` (2,) float64 sums the batches' mean losses and the correctly classified images;
    `network` is what computes in bfloat16, None in float32.
    """

    def __init__(self, spec: TrainingSpec, model: nn.Module, masks: Sequence[Tensor]) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        # A full mask needs no multiplication: the dense network trains at the dense price. Nor does
        # a sparse layer, which has no weights off the mask.
        place = {id(parameter): index for index, parameter in enumerate(self.parameters)}
        held = {
            place[id(layer.weight)]: mask
            for layer, mask in zip(cast(Iterable[Any], model.layers), masks, strict=True)
            if not (sparse.is_sparse(layer) or mask.all())
        }
        self.running = torch.zeros(2, dtype=torch.float64, device=self.parameters[0].device)
        self.losses, self.hits = self.running  # views
        if spec.precision not in ARITHMETIC:
            raise ValueError(
                f"training.precision is {spec.precision!r}; allowed: {', '.join(ARITHMETIC)}"
            )
        parts = ARITHMETIC[spec.precision](spec, model, self.parameters, held)
        self.gradients, self.optimizer, self.network, self.gather = parts

    def __call__(self, images: Tensor, labels: Tensor, rate: float | Tensor) -> None:
        """Take the step on images as `gather` returns them, labels (samples,) int64.

        A `rate` that is a tensor lies on the parameters' device, float32.
        """
        loss, logits, found = self.gradients(images, labels)
        with torch.no_grad():
            self.optimizer.update(found, rate)
            self.losses += loss
            self.hits += (logits.argmax(1) == labels).sum()

    def state(self) -> list[Tensor]:
        """Return all tensors that a step changes."""
        slots = [slot for values in self.optimizer.slots.values() for slot in values]
        return [*self.parameters, *slots, self.running]


Gather = Callable[[Tensor, Tensor], Tensor]
"""From all images and the numbers (samples,) of some to these, as the step reads them."""
Masks = Mapping[int, Tensor]
"""Whether each number of a parameter is kept, by the parameter's place."""
Parts = tuple[Gradients, Optimizer, "bfloat16.Network | None", Gather]
"""The optimiser holds what the masks hold."""


def of_rows(images: Tensor, chosen: Tensor) -> Tensor:
    """Return the chosen images, three times faster than `images[chosen]`."""
    return images.index_select(0, chosen)


# By kind of hidden layers, where the first is sparse.
GATHER: dict[str, Gather] = {"sparse-linear-layers": sparse.gather}


def _holding(spec: TrainingSpec, parameters: list[Tensor], held: Masks) -> Optimizer:
    """Return the optimiser of float32, which multiplies gradients by masks first."""
    own = optimizer(spec, parameters)
    if not held:
        return own
    factors = [mask.to(parameters[at].dtype) for at, mask in held.items()]

    def update(found: list[Tensor], rate: float | Tensor) -> None:
        torch._foreach_mul_([found[at] for at in held], factors)
        own.update(found, rate)

    return Optimizer(own.slots, update)


def _in_float32(
    spec: TrainingSpec, model: nn.Module, parameters: list[Tensor], held: Masks
) -> Parts:
    if spec.bfloat16_kernel:
        raise ValueError(
            f"training.bfloat16_kernel is {spec.bfloat16_kernel} with precision "
            f"{spec.precision!r}; allowed: 0"
        )
    first = cast(Sequence[Any], model.layers)[0]
    has_sparse = any(map(sparse.is_sparse, cast(Sequence[Any], model.layers)))
    chain = CHAINS[2 * has_sparse + (len(first.weight.shape) == 4)]
    found = WRITTEN_OUT[chain](model) or _by_autograd(model, parameters)
    gather = GATHER.get(chain, of_rows) if sparse.is_sparse(first) else of_rows
    return found, _holding(spec, parameters, held), None, gather


def _in_bfloat16(
    spec: TrainingSpec, model: nn.Module, parameters: list[Tensor], held: Masks
) -> Parts:
    bfloat16.check(spec)
    network = bfloat16.network(model)
    update = bfloat16_optimizer.optimizer(spec, parameters, network.way, held)
    return network.gradients, update, network, network.gather


def _by_autocast(
    spec: TrainingSpec, model: nn.Module, parameters: list[Tensor], held: Masks
) -> Parts:
    def found(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        if images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        # No cache: a recorded step must round the weights anew each time.
        with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
            logits = model(images).float()
        loss = nn.functional.cross_entropy(logits, labels)
        own = [grad.contiguous() for grad in torch.autograd.grad(loss, parameters)]
        return loss.detach(), logits.detach(), own

    return found, _holding(spec, parameters, held), None, of_rows


ARITHMETIC: dict[str, Callable[[TrainingSpec, nn.Module, list[Tensor], Masks], Parts]] = {
    "float32": _in_float32,
    "bfloat16": _in_bfloat16,
    "autocast": _by_autocast,
}


class Recordable(Protocol):
    """A step that can be recorded: it changes the tensors of `state`, and reads nothing back."""

    def __call__(self, images: Tensor, labels: Tensor, rate: float | Tensor, /) -> None:
        """Take the step."""

    def state(self) -> list[Tensor]:
        """Return all tensors that a step changes."""
        ...


class Captured:
    """A step recorded at its first call and replayed by every call, the first included.

    `capture` takes a function without arguments, may call it, and returns what replays it. What it
    did is undone: the state before the first replay is that of the call, so a run that resumes
    takes each step as an uninterrupted one does. Batches keep the shape of the first.
    """

    def __init__(
        self,
        step: Recordable,
        capture: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
    ) -> None:
        self.step, self.capture = step, capture or cuda_graph
        self.replay: Callable[[], None] | None = None

    def __call__(self, images: Tensor, labels: Tensor, rate: float) -> None:
        """Copy the batch to where the recorded step reads it, and replay the step."""
        if self.replay is None:
            self.images, self.labels = images.clone(), labels.clone()
            self.rate = torch.full((), rate, dtype=torch.float32, device=images.device)
            self.replay = self._record()
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.rate.fill_(rate)
        self.replay()

    def _record(self) -> Callable[[], None]:
        state = self.step.state()
        with torch.no_grad():
            before = [tensor.clone() for tensor in state]
            with torch.enable_grad():
                replay = self.capture(lambda: self.step(self.images, self.labels, self.rate))
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
        return replay


def cuda_graph(body: Callable[[], None]) -> Callable[[], None]:
    """Record `body`, work on the current GPU, as a CUDA graph; return what replays it."""
    # A side stream, as PyTorch asks for before a capture.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            body()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph.replay


def _by_autograd(model: nn.Module, parameters: list[Tensor]) -> Gradients:
    def by_autograd(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        logits = model(images)
        loss = nn.functional.cross_entropy(logits, labels)
        # The fused optimisers read memory in order, whatever the strides.
        found = [grad.contiguous() for grad in torch.autograd.grad(loss, parameters)]
        return loss.detach(), logits.detach(), found

    return by_autograd

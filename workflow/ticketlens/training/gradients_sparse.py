"""Gradients of fully connected networks with sparse layers, written out: see `gradients`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ticketlens.networks import KernelLinear, onednn_linear, onednn_product
from ticketlens.training.gradients import WRITTEN_OUT, Gradients, loss_and_gradient
from ticketlens.training.sparse import SparseNetwork, SparseRun


def gradients(model: nn.Module) -> Gradients | None:
    """Return the gradients of a network of sparse layers, dense ones between them by oneDNN.

    What autograd computes, written out (a test compares the bits). None for any other network, and
    for an activation between dense layers that is not in `training.gradients.WRITTEN_OUT`.
    """
    if not isinstance(model, SparseNetwork):
        return None
    stages: list[_Stage] = []
    for stage in model.stages:
        if isinstance(stage, SparseRun):
            stages.append(_SparseStage(stage))
        elif isinstance(stage, KernelLinear) and stage.kernel is onednn_linear:
            stages.append(_DenseStage(stage.weight.detach(), stage.bias.detach()))
        elif stage in WRITTEN_OUT:
            stages.append(_Activation(*WRITTEN_OUT[stage]))
        else:
            return None

    def found(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        with torch.no_grad():
            x = images.flatten(1)
            for stage in stages:
                x = stage.forward(x)
            x = x.contiguous()  # once for all that reads the logits
            loss, grad = loss_and_gradient(x, labels)
            by_stage: list[list[Tensor]] = []
            for number in range(len(stages) - 1, -1, -1):
                below, own = stages[number].backward(grad, number > 0)
                by_stage.append(own)
                grad = cast(Tensor, below)
        return loss, x, [one for own in reversed(by_stage) for one in own]

    return found


class _Stage(Protocol):
    """A part of a network, written out."""

    def forward(self, x: Tensor) -> Tensor:
        """Return y (samples, out), and keep what `backward` needs."""

    def backward(self, grad: Tensor, with_x: bool) -> tuple[Tensor | None, list[Tensor]]:
        """Return the gradient by x if it is asked for, and those by the parameters."""


class _SparseStage:
    def __init__(self, run: SparseRun) -> None:
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        y, self.columns, self.found = self.run.compute(x)
        return y

    def backward(self, grad: Tensor, with_x: bool) -> tuple[Tensor | None, list[Tensor]]:
        below, own = self.run.gradients(grad, self.columns, self.found, with_x)
        return below, [own]


class _DenseStage:
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return onednn_product(x, self.weight, self.bias)

    def backward(self, grad: Tensor, with_x: bool) -> tuple[Tensor | None, list[Tensor]]:
        below = onednn_product(grad, self.weight.t(), None) if with_x else None
        by_weight = onednn_product(grad.t(), self.x.t(), None)
        return below, [by_weight.contiguous(), grad.sum(0)]


class _Activation:
    def __init__(self, phi: Callable[[Tensor], Tensor], through: Callable[..., Tensor]) -> None:
        self.phi, self.through = phi, through

    def forward(self, x: Tensor) -> Tensor:
        self.y = self.phi(x)
        return self.y

    def backward(self, grad: Tensor, with_x: bool) -> tuple[Tensor | None, list[Tensor]]:
        return self.through(grad, self.y), []

"""Optimisers whose updates have the same bits on every machine, for training in bfloat16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ticketlens.spec import TrainingSpec
from ticketlens.training.bfloat16_library import at, library
from ticketlens.training.optimization import Optimizer


def optimizer(
    spec: TrainingSpec, parameters: Sequence[Tensor], way: str, masks: Mapping[int, Tensor]
) -> Optimizer:
    """Return the optimiser whose updates have the same bits on every machine.

    The formulas are those of `optimization.optimizer`, of gradients times `masks`: by the number of
    a parameter, False where it is held. Raises ValueError for an unknown optimiser.
    """
    bare = [parameter.detach() for parameter in parameters]
    # A byte for each weight: an update waits for memory, and for nothing else.
    held = [masks[i].to(torch.uint8) if i in masks else None for i in range(len(bare))]
    if spec.optimizer == "sgd":
        return _sgd(spec, bare, held, way)
    if spec.optimizer == "adam":
        return _adam(spec, bare, held, way)
    raise ValueError(f"training.optimizer is {spec.optimizer!r}; allowed: ['adam', 'sgd']")


def _sgd(
    spec: TrainingSpec, parameters: list[Tensor], masks: list[Tensor | None], way: str
) -> Optimizer:
    momenta = [torch.zeros_like(parameter) for parameter in parameters] if spec.momentum else []

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        slots: Sequence[Tensor | None] = momenta or [None] * len(parameters)
        for parameter, gradient, mask, slot in zip(
            parameters, gradients, masks, slots, strict=True
        ):
            library(way).sgd(
                parameter.numel(), at(parameter), at(gradient), at(mask), at(slot), float(rate),
                spec.momentum, spec.weight_decay,
            )  # fmt: skip

    return Optimizer({"momentum_buffer": momenta} if momenta else {}, update)


def _adam(
    spec: TrainingSpec, parameters: list[Tensor], masks: list[Tensor | None], way: str
) -> Optimizer:
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    steps = [torch.zeros(()) for _ in parameters]

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        for values in zip(parameters, gradients, masks, means, squares, steps, strict=True):
            parameter, gradient, mask, mean, square, step = values
            step += 1
            library(way).adam(
                parameter.numel(), at(parameter), at(gradient), at(mask), at(mean), at(square),
                int(step), float(rate), spec.momentum, 0.999, 1e-8, spec.weight_decay,
            )  # fmt: skip

    return Optimizer({"exp_avg": means, "exp_avg_sq": squares, "step": steps}, update)

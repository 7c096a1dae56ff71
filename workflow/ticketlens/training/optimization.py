"""How a spec says to optimise: device and what can change bits, optimiser, learning rate."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ticketlens.spec import TrainingSpec


def learning_rate(spec: TrainingSpec, step: int, steps_per_epoch: int) -> float:
    """Return the rate of the step number `step` (from 0) of a whole run.

    Warm-up is linear over `warmup_epochs`; then constant, or a half cosine to 0 at the run's end
    (Loshchilov & Hutter 2017, arXiv:1608.03983). Raises ValueError for an unknown schedule.
    """
    warmup, total = spec.warmup_epochs * steps_per_epoch, spec.epochs * steps_per_epoch
    if step < warmup:
        return spec.learning_rate * (step + 1) / warmup
    if spec.schedule == "constant":
        return spec.learning_rate
    if spec.schedule == "cosine":
        progress = (step - warmup) / max(1, total - warmup)
        return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    raise ValueError(f"training.schedule is {spec.schedule!r}; allowed: ['constant', 'cosine']")


@dataclass(frozen=True)
class Optimizer:
    """How parameters move: `update(gradients, rate)` changes them and their slots in place.

    `slots` holds, by name, one tensor per parameter. Gradients are contiguous.
    """

    slots: dict[str, list[Tensor]]
    update: Callable[[list[Tensor], float | Tensor], None]


def optimizer(spec: TrainingSpec, parameters: list[Tensor]) -> Optimizer:
    """Return the optimiser: one fused pass over parameters, slots and gradients.

    These are the kernels of torch.optim with `fused=True`; its classes take 5 % of a step on a CPU
    to find out, each time, what they have to do. Momenta start at 0.0. Adam's beta_1 is
    `spec.momentum`. Raises ValueError for an unknown optimiser.
    """
    if spec.optimizer not in OPTIMIZERS:
        raise ValueError(f"training.optimizer is {spec.optimizer!r}; allowed: {sorted(OPTIMIZERS)}")
    return OPTIMIZERS[spec.optimizer](spec, [parameter.detach() for parameter in parameters])


def _sgd(spec: TrainingSpec, parameters: list[Tensor]) -> Optimizer:
    momenta = [torch.zeros_like(parameter) for parameter in parameters] if spec.momentum else []

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        torch._fused_sgd_(
            parameters, gradients, momenta, lr=rate, momentum=spec.momentum,
            weight_decay=spec.weight_decay, dampening=0.0, nesterov=False, maximize=False,
            is_first_step=False,
        )  # fmt: skip

    return Optimizer({"momentum_buffer": momenta} if momenta else {}, update)


def _adam(spec: TrainingSpec, parameters: list[Tensor]) -> Optimizer:
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    def update(gradients: list[Tensor], rate: float | Tensor) -> None:
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters, gradients, means, squares, [], steps, lr=rate, beta1=spec.momentum,
            beta2=0.999, weight_decay=spec.weight_decay, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    return Optimizer({"exp_avg": means, "exp_avg_sq": squares, "step": steps}, update)


OPTIMIZERS: dict[str, Callable[[TrainingSpec, list[Tensor]], Optimizer]] = {
    "adam": _adam,
    "sgd": _sgd,
}


def prepare_device(spec: TrainingSpec) -> torch.device:
    """Choose the device and set what can change bits: threads, TF32, on a GPU its algorithms.

    Raises ValueError if a GPU is asked for and there is none.
    """
    torch.set_num_threads(spec.threads)
    has_gpu = torch.cuda.is_available()
    if spec.device == "cuda" and not has_gpu:
        raise ValueError("training.device is 'cuda', but torch sees no GPU; allowed: auto, cpu")
    if spec.device == "cpu" or not has_gpu:
        return torch.device("cpu")
    torch.backends.cuda.matmul.allow_tf32 = spec.tf32
    torch.backends.cudnn.allow_tf32 = spec.tf32
    # The same sums in the same order each time; an operation that cannot stops the run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # would choose by time
    # For debugging; costs time.
    cast(Any, torch.utils.deterministic).fill_uninitialized_memory = False
    return torch.device("cuda")

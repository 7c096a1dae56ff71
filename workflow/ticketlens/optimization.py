"""How a spec says to optimise: device and what can change bits, optimiser, learning rate."""

from __future__ import annotations

import math

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


def optimizer(spec: TrainingSpec, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """Return the optimiser: one fused pass over parameters, momenta and gradients.

    Adam's beta_1 is `spec.momentum`. Raises ValueError for an unknown optimiser.
    """
    common = {"lr": spec.learning_rate, "weight_decay": spec.weight_decay, "fused": True}
    if spec.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=spec.momentum, **common)
    if spec.optimizer == "adam":
        return torch.optim.Adam(parameters, betas=(spec.momentum, 0.999), **common)
    raise ValueError(f"training.optimizer is {spec.optimizer!r}; allowed: ['adam', 'sgd']")


def prepare_device(spec: TrainingSpec) -> torch.device:
    """Choose the device and set what can change bits: threads and TF32.

    Raises ValueError if a GPU is asked for and there is none.
    """
    torch.set_num_threads(spec.threads)
    torch.backends.cuda.matmul.allow_tf32 = spec.tf32
    torch.backends.cudnn.allow_tf32 = spec.tf32
    has_gpu = torch.cuda.is_available()
    if spec.device == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    if spec.device == "cuda" and not has_gpu:
        raise ValueError("training.device is 'cuda', but torch sees no GPU; allowed: auto, cpu")
    return torch.device(spec.device)

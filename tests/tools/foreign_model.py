"""A small network as users of PyTorch write it, without a word of ticketlens."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

SIZES = (12, 8, 6, 3)


def sequential(bias=True, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b, bias=bias) for a, b in pairwise(SIZES)]
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

"""What sparse layers share: values at a mask's support, and the bias."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class SparseLayer:
    """A layer on a mask: the values at its support, in the order of `support`, and the bias.

    Both are views of the parameter of the network or run that the layer belongs to. `support`
    (weights,) int64 says where each value stands in the flat weight.
    """

    def __init__(self, mask: npt.NDArray[Any], support: npt.NDArray[Any]) -> None:
        self.shape, self.support = mask.shape, torch.from_numpy(support)
        self.values, self.bias = torch.empty(len(support)), torch.empty(len(mask))

    @property
    def weight(self) -> Tensor:
        """Return a copy of the weight that the values stand for, 0.0 off the mask."""
        weight = torch.zeros(self.shape)
        weight.view(-1)[self.support] = self.values
        return weight

    def set_weight(self, weight: Tensor) -> None:
        """Take the values from a weight of the mask's shape."""
        self.values.copy_(weight.detach().flatten()[self.support])

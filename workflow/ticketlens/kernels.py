"""Matrix-product kernels of linear layers, by name: the kernel decides bits, so it is in the spec.

PyTorch sends float32 products of linear layers to its BLAS. On CPUs whose wide vector units that
BLAS does not use, oneDNN, which PyTorch ships as well, is two to three times faster.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Linear = Callable[[Tensor, Tensor, Tensor], Tensor]


class _OneDNNLinear(torch.autograd.Function):
    """x Wᵀ + b by oneDNN, with both gradients; x (samples, in), W (out, in), b (out,)."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return onednn_product(x, weight, bias)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        # The first layer's input needs no gradient.
        grad_x = onednn_product(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        return grad_x, onednn_product(grad.t(), x.t(), None), grad.sum(0)


def onednn_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b by oneDNN, without a gradient; x (samples, in), W (out, in), b (out,)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Linear layer by oneDNN on a CPU in float32; elsewhere PyTorch's own."""
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return _OneDNNLinear.apply(x, weight, bias)
    return torch.nn.functional.linear(x, weight, bias)


KERNELS: dict[str, Linear] = {"aten": torch.nn.functional.linear, "onednn": onednn_linear}


def linear_kernel(name: str) -> Linear:
    """Return the kernel `name`. Raises ValueError if it is unknown or this PyTorch lacks it."""
    if name not in KERNELS:
        raise ValueError(f"training.kernel is {name!r}; allowed: {sorted(KERNELS)}")
    if name == "onednn" and not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        raise ValueError("training.kernel is 'onednn', which this PyTorch lacks; allowed: aten")
    return KERNELS[name]

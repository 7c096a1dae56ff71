"""Networks as torch modules, built from a ticket: the forward passes of `architecture`'s families.

Each network lists its parameter layers in the ticket's order as `layers`, and can return the
pre-activations h of its hidden layers, which the measurements need.

Matrix-product kernels of linear layers stand here by name: the kernel decides bits, so it is in the
spec. PyTorch sends float32 products of linear layers to its BLAS. On CPUs whose wide vector units
that BLAS does not use, oneDNN, which PyTorch ships as well, is two to three times faster.

Examples of the functions below assume:

    >>> import torch
    >>> from ticketlens import bank, networks
    >>> ticket = bank.load("fcnet-normal", seed=0, round=7)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import NetworkSpec

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "relu": torch.relu,
    "hard_tanh": nn.functional.hardtanh,
    "linear": lambda h: h,
}


Linear = Callable[[Tensor, Tensor, Tensor], Tensor]


class _OneDNNLinear(torch.autograd.Function):
    """x Wᵀ + b by oneDNN, with both gradients; x (samples, in), W (out, in), b (out,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return onednn_product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        # The first layer's input needs no gradient.
        grad_x = onednn_product(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        return grad_x, onednn_product(grad.t(), x.t(), None), grad.sum(0)


def onednn_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b by oneDNN, without a gradient; x (samples, in), W (out, in), b (out,).

    Shapes: x (samples, in), weight (out, in), bias (out,) -> (samples, out).

    >>> networks.onednn_product(torch.ones(1, 2), torch.ones(3, 2), torch.zeros(3))
    tensor([[2., 2., 2.]])
    """
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Linear layer by oneDNN on a CPU in float32; elsewhere PyTorch's own.

    Shapes: x (samples, in), weight (out, in), bias (out,) -> (samples, out).

    >>> networks.onednn_linear(torch.ones(1, 2), torch.ones(3, 2), torch.ones(3))
    tensor([[3., 3., 3.]])
    """
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return cast(Tensor, cast(Any, _OneDNNLinear).apply(x, weight, bias))
    return torch.nn.functional.linear(x, weight, bias)


def onednn_channels_last(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same for linear layers; chains of convolutions train with their channels last.

    See `training.gradients_conv`: other sums than with `onednn`, so a kernel of its own.

    Shapes: x (samples, in), weight (out, in), bias (out,) -> (samples, out).

    >>> networks.onednn_channels_last(torch.ones(1, 2), torch.ones(3, 2), torch.ones(3))
    tensor([[3., 3., 3.]])
    """
    return onednn_linear(x, weight, bias)


KERNELS: dict[str, Linear] = {
    "aten": torch.nn.functional.linear,
    "onednn": onednn_linear,
}
OF_CONVOLUTIONS: dict[str, Linear] = {"onednn-channels-last": onednn_channels_last}
"""Kernels whose convolutions train with sums of their own; their linear layers are oneDNN's."""


def linear_kernel(name: str) -> Linear:
    """Return the kernel `name`. Raises ValueError if it is unknown or this PyTorch lacks it.

    >>> networks.linear_kernel("aten") is torch.nn.functional.linear
    True
    """
    kernels = KERNELS | OF_CONVOLUTIONS
    if name not in kernels:
        raise ValueError(f"training.kernel is {name!r}; allowed: {sorted(kernels)}")
    if name.startswith("onednn") and not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        raise ValueError(f"training.kernel is {name!r}, which this PyTorch lacks; allowed: aten")
    return kernels[name]


class KernelLinear(nn.Linear):
    """A linear layer whose product a named kernel computes."""

    kernel: Linear = staticmethod(nn.functional.linear)

    def forward(self, x: Tensor) -> Tensor:
        """Map (samples, in) to (samples, out)."""
        return self.kernel(x, self.weight, self.bias)


class Network(nn.Module):
    """Layers, the readout last, and phi between them; families say how they are connected."""

    def __init__(self, layers: list[nn.Module], network: NetworkSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[network.activation]

    def preactivations(self, images: Tensor) -> list[Tensor]:
        """Return h of every hidden layer, as `hidden` yields them."""
        return list(cast(Any, self).hidden(images))


class FullyConnected(Network):
    """x → h = W x + b → phi(h) → … → readout; images are flattened channel-first."""

    def hidden(self, images: Tensor) -> Iterator[Tensor]:
        """Yield h of every hidden layer: (samples, neurons) each."""
        return chain_preactivations(self.layers[:-1], self.activation, images.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes)."""
        return cast(Tensor, self.layers[-1](self.activation(_last(self.hidden(images)))))


class Convolutional(Network):
    """Convolutions with phi, global average pooling of phi(h), readout."""

    def hidden(self, images: Tensor) -> Iterator[Tensor]:
        """Yield h of every hidden layer: (samples, channels, height, width) each."""
        return chain_preactivations(self.layers[:-1], self.activation, images)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes)."""
        pooled = self.activation(_last(self.hidden(images))).mean(dim=(2, 3))
        return cast(Tensor, self.layers[-1](pooled))


class ResidualFullyConnected(FullyConnected):
    """Residual blocks of linear layers; the readout is on phi of the last trunk."""

    def hidden(self, images: Tensor) -> Iterator[Tensor]:
        """Yield h of `residual_preactivations`: (samples, neurons) each."""
        return residual_preactivations(self.layers[:-1], self.activation, images.flatten(1))


class ResidualConvolutional(Convolutional):
    """Residual blocks of convolutions; phi of the last trunk is pooled, then read out."""

    def hidden(self, images: Tensor) -> Iterator[Tensor]:
        """Yield h of `residual_preactivations`: (samples, channels, height, width) each."""
        return residual_preactivations(self.layers[:-1], self.activation, images)


def chain_preactivations(
    layers: nn.ModuleList, activation: Callable[[Tensor], Tensor], x: Tensor
) -> Iterator[Tensor]:
    """Yield h = W x + b of each layer, x = phi(h) of the one before.

    Shapes: x (samples, ...) -> (samples, ...) each.

    >>> layers = torch.nn.ModuleList([torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)])
    >>> h = networks.chain_preactivations(layers, torch.tanh, torch.ones(4, 3))
    >>> [tuple(one.shape) for one in h]
    [(4, 2), (4, 2)]
    """
    first, *others = layers
    h = first(x)
    yield h
    for layer in others:
        h = layer(activation(h))
        yield h


def residual_preactivations(
    layers: nn.ModuleList, activation: Callable[[Tensor], Tensor], x: Tensor
) -> Iterator[Tensor]:
    """Yield the pre-activations of a residual network, one per hidden layer.

    Layer 1 is the stem: the trunk h = W x + b. Layers 2k and 2k + 1 are block k, in pre-activation
    form: h1 = W1 phi(h) + b1, then the trunk h' = h + W2 phi(h1) + b2. Found for layer 2k is h1,
    for layer 2k + 1 the trunk behind the block (not the branch alone): as theory tracks them.

    Shapes: x (samples, ...) -> (samples, ...) each.

    >>> layers = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)])
    >>> h = networks.residual_preactivations(layers, torch.tanh, torch.ones(4, 2))
    >>> [tuple(one.shape) for one in h]
    [(4, 2), (4, 2), (4, 2)]
    """
    stem, *blocks = layers
    trunk = stem(x)
    yield trunk
    for inner, outer in zip(blocks[::2], blocks[1::2], strict=True):
        between = inner(activation(trunk))
        yield between
        trunk = trunk + outer(activation(between))
        yield trunk


def _last(values: Iterator[Tensor]) -> Tensor:
    """Return the last of `values`, keeping none of the others: activations may be large."""
    (last,) = deque(values, maxlen=1)
    return last


FAMILIES: dict[str, type[Network]] = {
    "fully-connected": FullyConnected,
    "convolutional": Convolutional,
    "resnet-fc": ResidualFullyConnected,
    "resnet-conv": ResidualConvolutional,
}


class Mask(nn.Module):
    """Parametrization of a weight: the parameter where the mask is true, exactly 0.0 elsewhere.

    The gradient is exactly 0.0 off the mask too, so that momenta and running averages are.
    """

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked weight, of the same shape. A product with 0 could be −0.0 or NaN."""
        return torch.where(cast(Tensor, self.mask), weight, 0.0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what the parameter becomes when someone assigns `layer.weight`."""
        return torch.where(cast(Tensor, self.mask), weight, 0.0)


def build(ticket: Checkpoint, kernel: str = "aten", masked: bool = True) -> Network:
    """Return the network of `ticket` (kind ticket or trained) with its weights and biases.

    `layer.weight` is exactly 0.0 off the mask whatever an optimiser, momentum, weight decay or
    noise does to the parameters: each is `layer.parametrizations.weight.original` under a `Mask`,
    as `torch.nn.utils.parametrize` has it. `masked=False` gives plain layers, which hold nothing.
    The parameters are fresh copies. `kernel` names the matrix product of linear layers (see
    `KERNELS`). Raises ValueError for an unknown family, activation or kernel.

    >>> model = networks.build(ticket)
    >>> tuple(model(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """
    network = ticket.spec.network
    if network.family not in FAMILIES:
        raise ValueError(f"network family is {network.family!r}; allowed: {sorted(FAMILIES)}")
    if network.activation not in ACTIVATIONS:
        raise ValueError(f"activation is {network.activation!r}; allowed: {sorted(ACTIVATIONS)}")
    product = linear_kernel(kernel)
    strides = (*network.strides, 1)  # the readout has none
    modules = [
        _module(layer, network, product, stride)
        for layer, stride in zip(ticket.layers, strides, strict=True)
    ]
    if masked:
        for module, layer in zip(modules, ticket.layers, strict=True):
            mask = torch.from_numpy(layer.mask.copy())
            parametrize.register_parametrization(module, "weight", Mask(mask))
    return FAMILIES[network.family](modules, network)


def _module(layer: Layer, network: NetworkSpec, kernel: Linear, stride: int) -> nn.Module:
    if layer.kind == "linear":
        outputs, inputs = layer.mask.shape
        module: nn.Module = nn.utils.skip_init(
            KernelLinear, inputs, outputs, bias=layer.bias is not None
        )
        cast(KernelLinear, module).kernel = kernel
    else:
        outputs, inputs, side, _ = layer.mask.shape
        module = nn.utils.skip_init(
            nn.Conv2d,
            inputs,
            outputs,
            side,
            stride=stride,
            padding=side // 2,
            padding_mode=network.padding,
            bias=layer.bias is not None,
        )
    with torch.no_grad():
        cast(Tensor, module.weight).copy_(torch.from_numpy(layer.weight))
        if layer.bias is not None:
            cast(Tensor, module.bias).copy_(torch.from_numpy(layer.bias))
    return module

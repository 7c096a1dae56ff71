"""Networks as torch modules, built from a ticket: the forward passes of `architecture`'s families.

Each network lists its parameter layers in the ticket's order as `layers`, and can return the
pre-activations h of its hidden layers, which the measurements need.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.kernels import Linear, linear_kernel
from ticketlens.spec import NetworkSpec

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "relu": torch.relu,
    "hard_tanh": nn.functional.hardtanh,
    "linear": lambda h: h,
}


class KernelLinear(nn.Linear):
    """A linear layer whose product a named kernel computes."""

    kernel: Linear = staticmethod(nn.functional.linear)

    def forward(self, x: Tensor) -> Tensor:
        """Map (samples, in) to (samples, out)."""
        return self.kernel(x, self.weight, self.bias)


class FullyConnected(nn.Module):
    """x → h = W x + b → phi(h) → … → readout; images are flattened channel-first."""

    def __init__(self, layers: list[nn.Module], network: NetworkSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[network.activation]

    def preactivations(self, images: Tensor) -> list[Tensor]:
        """Return h of every hidden layer: (samples, neurons) each."""
        x, found = images.flatten(1), []
        for layer in self.layers[:-1]:
            found.append(layer(x))
            x = self.activation(found[-1])
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes)."""
        return self.layers[-1](self.activation(self.preactivations(images)[-1]))


class Convolutional(nn.Module):
    """Convolutions with phi, global average pooling of phi(h), readout."""

    def __init__(self, layers: list[nn.Module], network: NetworkSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[network.activation]

    def preactivations(self, images: Tensor) -> list[Tensor]:
        """Return h of every hidden layer: (samples, channels, height, width) each."""
        x, found = images, []
        for layer in self.layers[:-1]:
            found.append(layer(x))
            x = self.activation(found[-1])
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, channels, height, width) to logits (samples, classes)."""
        return self.layers[-1](self.activation(self.preactivations(images)[-1]).mean(dim=(2, 3)))


class ResidualFullyConnected(FullyConnected):
    """Residual blocks of linear layers; the readout is on phi of the last trunk."""

    def preactivations(self, images: Tensor) -> list[Tensor]:
        """Return h of `residual_preactivations`: (samples, neurons) each."""
        return residual_preactivations(self.layers[:-1], self.activation, images.flatten(1))


class ResidualConvolutional(Convolutional):
    """Residual blocks of convolutions; phi of the last trunk is pooled, then read out."""

    def preactivations(self, images: Tensor) -> list[Tensor]:
        """Return h of `residual_preactivations`: (samples, channels, height, width) each."""
        return residual_preactivations(self.layers[:-1], self.activation, images)


def residual_preactivations(
    layers: nn.ModuleList, activation: Callable[[Tensor], Tensor], x: Tensor
) -> list[Tensor]:
    """Return the pre-activations of a residual network, one per hidden layer.

    Layer 1 is the stem: the trunk h = W x + b. Layers 2k and 2k + 1 are block k, in pre-activation
    form: h1 = W1 phi(h) + b1, then the trunk h' = h + W2 phi(h1) + b2. Found for layer 2k is h1,
    for layer 2k + 1 the trunk behind the block (not the branch alone): as theory tracks them.
    """
    stem, *blocks = layers
    found = [stem(x)]
    for inner, outer in zip(blocks[::2], blocks[1::2], strict=True):
        found.append(inner(activation(found[-1])))
        found.append(found[-2] + outer(activation(found[-1])))
    return found


FAMILIES: dict[str, type[nn.Module]] = {
    "fully-connected": FullyConnected,
    "convolutional": Convolutional,
    "resnet-fc": ResidualFullyConnected,
    "resnet-conv": ResidualConvolutional,
}


def build(ticket: Checkpoint, kernel: str = "aten") -> nn.Module:
    """Return the network of `ticket` (kind ticket or trained) with its weights and biases.

    The parameters are fresh copies. `kernel` names the matrix product of linear layers (see
    `kernels`). Raises ValueError for an unknown family, activation or kernel.
    """
    network = ticket.spec.network
    if network.family not in FAMILIES:
        raise ValueError(f"network family is {network.family!r}; allowed: {sorted(FAMILIES)}")
    if network.activation not in ACTIVATIONS:
        raise ValueError(f"activation is {network.activation!r}; allowed: {sorted(ACTIVATIONS)}")
    product = linear_kernel(kernel)
    modules = [_module(layer, network, product) for layer in ticket.layers]
    return FAMILIES[network.family](modules, network)


def _module(layer: Layer, network: NetworkSpec, kernel: Linear) -> nn.Module:
    if layer.kind == "linear":
        outputs, inputs = layer.mask.shape
        module: nn.Module = nn.utils.skip_init(KernelLinear, inputs, outputs)
        module.kernel = kernel
    else:
        outputs, inputs, kernel, _ = layer.mask.shape
        module = nn.utils.skip_init(
            nn.Conv2d,
            inputs,
            outputs,
            kernel,
            stride=network.stride,
            padding=kernel // 2,
            padding_mode=network.padding,
        )
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(layer.weight))
        module.bias.copy_(torch.from_numpy(layer.bias))
    return module

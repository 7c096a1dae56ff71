"""The layers of a network as shapes, in forward order, without any deep-learning library.

A family is one function from (network, image shape, classes) to layer shapes; `networks` holds the
forward pass of the same name. Hidden layers are named hidden1, hidden2, …, the linear layer on top
is named readout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ticketlens.spec import NetworkSpec, Spec

READOUT = "readout"
MAX_HIDDEN_LAYERS = 98


@dataclass(frozen=True)
class LayerShape:
    """One layer: `shape` is (out, in) or (out, in, k, k); kind is "linear" or "conv"."""

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def fan_in(self) -> int:
        """Return the number of inputs of one output unit: in, or in·k² for a convolution."""
        return prod(self.shape[1:])


def fully_connected(
    network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
) -> tuple[LayerShape, ...]:
    """height·width·channels → width × hidden_layers → classes."""
    sizes = [prod(image_shape), *[network.width] * network.hidden_layers]
    hidden = tuple(
        LayerShape(f"hidden{number}", "linear", (sizes[number], sizes[number - 1]))
        for number in range(1, network.hidden_layers + 1)
    )
    return (*hidden, LayerShape(READOUT, "linear", (classes, sizes[-1])))


def convolutional(
    network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
) -> tuple[LayerShape, ...]:
    """k×k convolutions of `width` channels, global average pooling, readout."""
    channels = [image_shape[2], *[network.width] * network.hidden_layers]
    kernel = (network.kernel, network.kernel)
    hidden = tuple(
        LayerShape(f"hidden{number}", "conv", (channels[number], channels[number - 1], *kernel))
        for number in range(1, network.hidden_layers + 1)
    )
    return (*hidden, LayerShape(READOUT, "linear", (classes, channels[-1])))


FAMILIES: dict[str, Callable[..., tuple[LayerShape, ...]]] = {
    "fully-connected": fully_connected,
    "convolutional": convolutional,
}


def layer_shapes(spec: Spec) -> tuple[LayerShape, ...]:
    """Return the layers of the network that `spec` describes, in forward order.

    Raises ValueError for an unknown family, or more layers than two digits can number.
    """
    family = spec.network.family
    if not 1 <= spec.network.hidden_layers <= MAX_HIDDEN_LAYERS:
        raise ValueError(
            f"network.hidden_layers is {spec.network.hidden_layers}; allowed: 1 to "
            f"{MAX_HIDDEN_LAYERS}"
        )
    if family not in FAMILIES:
        raise ValueError(f"network family is {family!r}; allowed: {sorted(FAMILIES)}")
    return FAMILIES[family](spec.network, spec.dataset.shape, spec.dataset.classes)


def parameter_count(spec: Spec) -> int:
    """Return the number of weights and biases of the dense network."""
    return sum(prod(layer.shape) + layer.shape[0] for layer in layer_shapes(spec))

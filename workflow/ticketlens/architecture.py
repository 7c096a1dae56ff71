"""The layers of a network as shapes, in forward order, without any deep-learning library.

A family is one function from (network, image shape, classes) to layer shapes; `networks` holds the
forward pass of the same name. Hidden layers are named hidden1, hidden2, …, the linear layer on top
is named readout. In a residual network hidden1 is the stem, hidden2 and hidden3 are the two layers
of the first block, and so on: see `networks.residual_preactivations`.
"""

from __future__ import annotations

import bisect
import dataclasses
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


def residual(family: Callable[..., tuple[LayerShape, ...]]) -> Callable:
    """Return `family` with skips: a stem, and blocks of two layers each, all of one width.

    The layers are those of the chain. Raises ValueError where a skip would not fit.
    """

    def layers(
        network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
    ) -> tuple[LayerShape, ...]:
        for key, is_allowed, allowed in (
            ("hidden_layers", network.hidden_layers % 2 == 1, "odd numbers: a stem, 2 per block"),
            ("stride", network.stride == 1, "1: the sum over a skip needs maps of one size"),
            ("padding", network.padding == "circular", "'circular'"),
        ):
            if not is_allowed:
                raise ValueError(
                    f"{key} is {getattr(network, key)!r}; allowed for family {network.family!r}: "
                    f"{allowed}"
                )
        return family(network, image_shape, classes)

    return layers


FAMILIES: dict[str, Callable[..., tuple[LayerShape, ...]]] = {
    "fully-connected": fully_connected,
    "convolutional": convolutional,
    "resnet-fc": residual(fully_connected),
    "resnet-conv": residual(convolutional),
}
RESIDUAL = ("resnet-fc", "resnet-conv")
"""Families with skips; the others are plain chains of layers."""


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


def weight_count(spec: Spec) -> int:
    """Return the number of weights of the dense network, biases left out."""
    return sum(prod(layer.shape) for layer in layer_shapes(spec))


def of_weight_count(spec: Spec, count: int) -> Spec:
    """Return `spec` with the width whose dense network's number of weights is nearest to `count`.

    A tie goes to the narrower network; the width is at least 1.
    """

    def wide(width: int) -> Spec:
        return spec.replace(network=dataclasses.replace(spec.network, width=width))

    # The number of weights grows with the width: the first width that reaches it, or the one below.
    reaching = bisect.bisect_left(
        range(1, count + 1), count, key=lambda width: weight_count(wide(width))
    )
    near = [wide(width) for width in (reaching, reaching + 1) if width >= 1]
    return min(near, key=lambda small: abs(weight_count(small) - count))


def is_residual(network: NetworkSpec) -> bool:
    """Whether the network has skips across every two hidden layers."""
    return network.family in RESIDUAL


def is_convolutional(spec: Spec) -> bool:
    """Whether the hidden layers are convolutions, with or without skips."""
    return layer_shapes(spec)[0].kind == "conv"


def is_fully_connected(spec: Spec) -> bool:
    """Whether the network is a plain chain of linear layers, of whatever family."""
    return not is_convolutional(spec) and not is_residual(spec.network)

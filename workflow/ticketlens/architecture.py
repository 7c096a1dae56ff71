"""The layers of a network as shapes, in forward order, without any deep-learning library.

A family is one function from (network, image shape, classes) to layer shapes; `networks` holds the
forward pass of the same name. Hidden layers are named hidden1, hidden2, …, the linear layer on top
is named readout. In a residual network hidden1 is the stem, hidden2 and hidden3 are the two layers
of the first block, and so on: see `networks.residual_preactivations`.

Examples of the functions below assume:

    >>> from ticketlens import architecture, bank
    >>> from ticketlens.spec import NetworkSpec
    >>> spec = bank.load("fcnet-normal", seed=0, round=7).spec
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
DIMENSIONS = {"linear": 2, "conv": 4}


class NotAChainError(ValueError):
    """Layers are no chain that a family has: weights are measured, what needs the chain is not."""


@dataclass(frozen=True)
class LayerShape:
    """One layer: `shape` is (out, in) or (out, in, k, k); kind is "linear" or "conv".

    Raises ValueError for another kind, and for a kind that does not go with the shape.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    stride: int = 1

    def __post_init__(self) -> None:
        if len(self.shape) != DIMENSIONS.get(self.kind):
            raise ValueError(
                f"layer {self.name}: kind is {self.kind!r} with shape {self.shape}; allowed: "
                "'linear' with (out, in), 'conv' with (out, in, k, k)"
            )

    @property
    def fan_in(self) -> int:
        """Return the number of inputs of one output unit: in, or in·k² for a convolution."""
        return prod(self.shape[1:])


Family = Callable[[NetworkSpec, tuple[int, int, int], int], tuple[LayerShape, ...]]
"""(network, image shape, classes) -> layers in forward order."""


def fully_connected(
    network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
) -> tuple[LayerShape, ...]:
    """height·width·channels → the hidden layers' widths → classes.

    >>> [layer.shape for layer in architecture.fully_connected(spec.network, (2, 2, 1), 10)][:1]
    [(256, 4)]
    """
    sizes = [prod(image_shape), *network.layer_widths]
    hidden = tuple(
        LayerShape(f"hidden{number}", "linear", (sizes[number], sizes[number - 1]))
        for number in range(1, network.hidden_layers + 1)
    )
    return (*hidden, LayerShape(READOUT, "linear", (classes, sizes[-1])))


def convolutional(
    network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
) -> tuple[LayerShape, ...]:
    """k×k convolutions with strides, global average pooling, readout.

    Raises ValueError for a stride below 1, an even kernel, and a kernel that would see the same
    pixel of a small map from both sides of a circular border more than once.

    >>> network = NetworkSpec(family="convolutional", hidden_layers=1, width=4)
    >>> [layer.shape for layer in architecture.convolutional(network, (8, 8, 3), 10)]
    [(4, 3, 3, 3), (10, 4)]
    """
    channels = [image_shape[2], *network.layer_widths]
    sides: tuple[int, ...] = image_shape[:2]
    hidden: list[LayerShape] = []
    for number, (side, stride) in enumerate(
        zip(network.kernels, network.strides, strict=True), start=1
    ):
        for key, value, is_allowed, allowed in (
            ("kernel", network.kernel, side >= 1 and side % 2 == 1, "odd numbers"),
            ("stride", network.stride, stride >= 1, "at least 1"),
        ):
            if not is_allowed:
                raise ValueError(f"{key} is {_listed(value)}; allowed: {allowed}")
        if network.padding == "circular" and side // 2 > min(sides):
            raise ValueError(
                f"kernel is {_listed(network.kernel)}: that of layer {number} reaches around its "
                f"{sides[0]}×{sides[1]} map more than once; allowed: at most "
                f"{2 * min(sides) + 1} there, or smaller strides"
            )
        shape = (channels[number], channels[number - 1], side, side)
        hidden.append(LayerShape(f"hidden{number}", "conv", shape, stride))
        sides = tuple(-(-length // stride) for length in sides)
    return (*hidden, LayerShape(READOUT, "linear", (classes, channels[-1])))


@dataclass(frozen=True)
class Residual:
    """A family with skips: a stem, and blocks of two layers each, all of one width.

    The layers are those of `chain`. Raises ValueError where a skip would not fit.
    """

    chain: Family

    def __call__(
        self, network: NetworkSpec, image_shape: tuple[int, int, int], classes: int
    ) -> tuple[LayerShape, ...]:
        """Return the layers."""
        for key, is_allowed, allowed in (
            ("hidden_layers", network.hidden_layers % 2 == 1, "odd numbers: a stem, 2 per block"),
            ("stride", network.stride == 1, "1: the sum over a skip needs maps of one size"),
            ("padding", network.padding == "circular", "'circular'"),
            ("kernel", isinstance(network.kernel, int), "one number"),
            ("widths", not network.widths, "none: the sum over a skip needs maps of one size"),
        ):
            if not is_allowed:
                raise ValueError(
                    f"{key} is {_listed(getattr(network, key))}; allowed for family "
                    f"{network.family!r}: "
                    f"{allowed}"
                )
        return self.chain(network, image_shape, classes)


def _listed(value: int | str | tuple[int, ...]) -> str:
    """Return a value as a config writes it."""
    return repr(list(value) if isinstance(value, tuple) else value)


FAMILIES: dict[str, Family] = {
    "fully-connected": fully_connected,
    "convolutional": convolutional,
    "resnet-fc": Residual(fully_connected),
    "resnet-conv": Residual(convolutional),
}


def layer_shapes(spec: Spec) -> tuple[LayerShape, ...]:
    """Return the layers of the network that `spec` describes, in forward order.

    Raises ValueError for an unknown family, more layers than two digits can number, a width below
    1, and what the family refuses.

    >>> architecture.layer_shapes(spec)[-1]
    LayerShape(name='readout', kind='linear', shape=(10, 256), stride=1)
    """
    family = spec.network.family
    if not 1 <= spec.network.hidden_layers <= MAX_HIDDEN_LAYERS:
        raise ValueError(
            f"network.hidden_layers is {spec.network.hidden_layers}; allowed: 1 to "
            f"{MAX_HIDDEN_LAYERS}"
        )
    if family not in FAMILIES:
        raise ValueError(f"network family is {family!r}; allowed: {sorted(FAMILIES)}")
    if spec.network.widths and min(spec.network.widths) < 1:
        raise ValueError(f"widths is {list(spec.network.widths)}; allowed: at least 1 each")
    return FAMILIES[family](spec.network, spec.dataset.shape, spec.dataset.classes)


def weight_count(spec: Spec) -> int:
    """Return the number of weights of the dense network, biases left out.

    >>> architecture.weight_count(spec)
    1247744
    """
    return sum(prod(layer.shape) for layer in layer_shapes(spec))


def of_weight_count(spec: Spec, count: int) -> Spec:
    """Return `spec` with the width whose dense network's number of weights is nearest to `count`.

    Layers of several widths are narrowed in proportion to the widest. A tie goes to the narrower
    network; every width is at least 1.

    >>> architecture.of_weight_count(spec, 500_000).network.width
    126
    """
    own = spec.network

    def wide(width: int) -> Spec:
        widths = tuple(max(1, round(one * width / own.width)) for one in own.widths)
        return spec.replace(network=dataclasses.replace(own, width=width, widths=widths))

    # The number of weights grows with the width: the first width that reaches it, or the one below.
    reaching = bisect.bisect_left(
        range(1, count + 1), count, key=lambda width: weight_count(wide(width))
    )
    near = [wide(width) for width in (reaching, reaching + 1) if width >= 1]
    return min(near, key=lambda small: abs(weight_count(small) - count))


def is_residual(network: NetworkSpec) -> bool:
    """Whether the network has skips across every two hidden layers.

    >>> architecture.is_residual(spec.network)
    False
    """
    return is_residual_family(network.family)


def is_residual_family(family: str) -> bool:
    """Whether a family has skips: its entry says so. A family that there is not has none.

    >>> architecture.is_residual_family("resnet-fc")
    True
    """
    return isinstance(FAMILIES.get(family), Residual)


def is_convolutional(spec: Spec) -> bool:
    """Whether the hidden layers are convolutions, with or without skips.

    >>> architecture.is_convolutional(spec)
    False
    """
    return layer_shapes(spec)[0].kind == "conv"


def is_fully_connected(spec: Spec) -> bool:
    """Whether the network is a plain chain of linear layers, of whatever family.

    >>> architecture.is_fully_connected(spec)
    True
    """
    return not is_convolutional(spec) and not is_residual(spec.network)

"""The hidden layers of a ticket and the images that they see, as numpy arrays.

Linear layers and convolutions share every formula: a linear layer is a convolution with a 1×1
kernel of a map with one pixel. Maps are channel-last, (samples, height, width, channels). A kernel
is stored by its positions, here called taps: (taps, in, out) with taps = k², so that a layer is one
matrix product per tap, and a weighted sum over the kernel's window is the same call with
in = out = 1. The readout is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from math import isqrt
from typing import Any, cast

import numpy as np

from ticketlens.architecture import READOUT, is_residual
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import module_geometry
from ticketlens.measure.layers import plain
from ticketlens.spec import NetworkSpec
from ticketlens.theory.activations import get

GEOMETRY = ("stride", "padding")
Network = NetworkSpec | Mapping[str, Any]
"""A spec, or what matters of it: ``{"stride": [1, 2], "padding": "zeros"}``."""
PADDINGS = {"circular": "wrap", "zeros": "constant"}  # our name: numpy's


@dataclass(frozen=True)
class HiddenStack:
    """Hidden layers, their images (samples, height, width, channels) float64, and the network."""

    layers: tuple[Layer, ...]
    images: np.ndarray
    network: NetworkSpec
    activation: str

    def stride(self, layer: Layer | None = None) -> int:
        """Return the stride of one of the layers: of its map it reads every so many pixels.

        Raises ValueError where strides differ and no layer is named.
        """
        of_all = self.network.stride
        if isinstance(of_all, int):
            return of_all
        if layer is None:
            raise ValueError(f"strides are {list(of_all)}, and no layer is named")
        return of_all[[one.name for one in self.layers].index(layer.name)]

    def phi(self, h: np.ndarray) -> np.ndarray:
        """Return the activations of pre-activations `h`, of h's shape and type."""
        return get(self.activation).phi(h)

    def windows(self, maps: np.ndarray, taps: int, layer: Layer | None = None) -> list[np.ndarray]:
        """Return, per tap of `layer`, what it sees: (samples, height', width', channels) each.

        `maps` are the layer's inputs, or anything of their height and width. The padding is k // 2
        on each side, as in `networks`. `layer` may be left out where all have one stride.
        """
        size, stride = isqrt(taps), self.stride(layer)
        reach = size // 2
        if reach:
            edges = ((0, 0), (reach, reach), (reach, reach), (0, 0))
            maps = np.pad(maps, edges, mode=cast(Any, PADDINGS[self.network.padding]))
        rows, columns = (length - size + 1 for length in maps.shape[1:3])
        return [
            maps[:, row : row + rows : stride, column : column + columns : stride]
            for row in range(size)
            for column in range(size)
        ]

    def apply(self, maps: np.ndarray, kernel: np.ndarray, layer: Layer | None = None) -> np.ndarray:
        """Return the sum that `layer` makes with a kernel: (samples, height', width', out).

        `maps` is (samples, height, width, in), `kernel` (taps, in, out); no bias is added.
        """
        windows = self.windows(maps, len(kernel), layer)
        shape = windows[0].shape
        total = windows[0].reshape(-1, shape[3]) @ kernel[0]
        for window, tap in zip(windows[1:], kernel[1:], strict=True):
            total += window.reshape(-1, shape[3]) @ tap
        return cast(np.ndarray, total.reshape(*shape[:3], -1))

    def walk(self) -> Iterator[tuple[Layer, np.ndarray, np.ndarray]]:
        """Yield (layer, x, h) per hidden layer: its inputs and pre-activations, as maps."""
        x = self.images
        for layer in self.layers:
            h = self.apply(x, kernel(layer), layer) + layer.bias
            yield layer, x, h
            x = self.phi(h)


def hidden_stack(
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    activation: str | None = None,
    network: Network | None = None,
    residual: bool = False,
    apply_mask: bool = False,
) -> HiddenStack:
    """Check the arguments and return the stack.

    `inputs` is (samples, features) or (samples, channels, height, width), flattened channel-first
    for linear layers. `network`, a spec or what of it matters, gives the activation unless
    `activation` is given (default: tanh), and padding and stride of convolutions, which are in no
    layer: a checkpoint or a torch module in place of the layers says its own (a module its
    activation too, where a submodule is one), else they have to be said. `residual` says that the
    caller uses skips: the formulas of a chain would be silently wrong there. Weights off the mask
    that are not zero are refused, or dropped with `apply_mask` (see `measure.layers`).
    Raises ValueError, saying what is wrong and what is allowed, for layers without weights, shapes
    that do not fit, an unknown activation or padding, convolutions of which stride or padding is
    not said, inputs that are not finite, and a residual network unless `residual`.
    """
    given = _own_network(layers, activation, network)
    layers = layers.layers if isinstance(layers, Checkpoint) else layers
    network = given if isinstance(given, NetworkSpec) else _from_mapping(given)
    if is_residual(network) and not residual:
        raise ValueError(
            f"network family is {network.family!r}, which has skips; allowed here: chains of "
            "layers (ticketlens.measure.residual has residual networks)"
        )
    activation = network.activation if activation is None else activation
    get(activation)
    if network.padding not in PADDINGS:
        raise ValueError(f"padding is {network.padding!r}; allowed: {sorted(PADDINGS)}")
    hidden = tuple(layer for layer in plain(layers, apply_mask) if layer.name != READOUT)
    if not hidden:
        raise ValueError("no hidden layer; allowed: at least one besides the readout")
    if len({layer.kind for layer in hidden}) > 1:
        raise ValueError("hidden layers are of several kinds; allowed: all linear or all conv")
    for before, after in pairwise(hidden):
        if after.weight.shape[1] != before.weight.shape[0]:
            raise ValueError(
                f"layer {after.name} takes {after.weight.shape[1]} inputs, but {before.name} "
                f"has {before.weight.shape[0]} outputs"
            )
    if not isinstance(network.stride, int) and len(hidden) != len(network.stride):
        raise ValueError(
            f"stride is {list(network.stride)}; allowed: one for each of the {len(hidden)} "
            "hidden layers"
        )
    maps = _maps(inputs, hidden[0])
    said = GEOMETRY if isinstance(given, NetworkSpec) else given
    missing = [key for key in GEOMETRY if key not in said]
    if hidden[0].kind == "conv" and missing:
        raise ValueError(
            f"{' and '.join(missing)} of the convolutions are not said, and no layer holds them; "
            "give network=, for example {'stride': [1, 2, 2], 'padding': 'zeros'}, or a checkpoint "
            "or a torch module in place of its layers"
        )
    return HiddenStack(hidden, maps, network, activation)


def _own_network(
    layers: Sequence[Layer] | Checkpoint, activation: str | None, said: Network | None
) -> Network:
    """Return what is said of the network, else what a checkpoint or a torch module says of its own.

    Layers alone say nothing. A module is asked for what is left out.
    """
    if isinstance(said, NetworkSpec):
        return said
    if isinstance(layers, Checkpoint) and said is None:
        return layers.spec.network
    found = dict(said or {})
    if module_geometry.is_module(layers):
        found = module_geometry.geometry(layers) | found
        if activation is None and "activation" not in found:
            own = module_geometry.activation(layers)
            found |= {} if own is None else {"activation": own}
    return found


def _from_mapping(said: Mapping[str, Any]) -> NetworkSpec:
    """Return the spec of what is said; a list of strides has one for each hidden layer."""
    unknown = sorted(set(said) - {item.name for item in fields(NetworkSpec)})
    if unknown:
        raise ValueError(f"network has unknown key {unknown[0]!r}")
    own, stride = dict(said), said.get("stride")
    if isinstance(stride, Sequence):
        own |= {"stride": tuple(stride), "hidden_layers": len(stride)}
    return NetworkSpec(**own)


def kernel(layer: Layer, dtype: type = np.float64) -> np.ndarray:
    """Return the weights of a linear or convolutional layer by taps: (taps, in, out)."""
    return by_taps(layer.weight).astype(dtype, order="C")


def mean_square(values: np.ndarray) -> float:
    """Return the mean square, summed in double precision."""
    return float(np.mean(np.square(values), dtype=float))


def scalar_q(h: np.ndarray) -> np.ndarray:
    """Return the mean of h² over channels, per image and pixel: (samples, height, width, 1)."""
    return cast(np.ndarray, np.mean(np.square(h), axis=-1, keepdims=True, dtype=float))


def by_taps(weight: np.ndarray) -> np.ndarray:
    """View (out, in) or (out, in, k, k) as (taps, in, out)."""
    return weight.reshape(*weight.shape[:2], -1).transpose(2, 1, 0)


def _maps(inputs: np.ndarray, first: Layer) -> np.ndarray:
    inputs = np.asarray(inputs, dtype=np.float64)
    channels = first.weight.shape[1]
    if first.kind == "linear" and inputs.ndim in (2, 4) and inputs.size:
        maps = inputs.reshape(len(inputs), 1, 1, -1)
        wanted = f"(samples, {channels}) or images with {channels} pixels times channels"
    else:
        maps = np.moveaxis(inputs, 1, -1) if inputs.ndim == 4 else inputs
        wanted = (
            f"(samples, {channels}, height, width)"
            if first.kind == "conv"
            else f"(samples, {channels}) or (samples, channels, height, width)"
        )
    if maps.ndim != 4 or maps.shape[-1] != channels or not maps.size:
        raise ValueError(
            f"inputs have shape {inputs.shape}; allowed for layer {first.name}: {wanted}"
        )
    if not np.all(np.isfinite(maps)):
        raise ValueError("inputs contain NaN or infinity; allowed: finite numbers")
    return maps

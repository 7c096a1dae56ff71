"""Layers of another system as a network of ours: their chain, with what no file says asked for."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from ticketlens.architecture import NotAChainError, layer_shapes
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets.foreign import NORMS, STATES, Layers


def to_checkpoint(
    layers: Layers | Sequence[Layer],
    network: NetworkSpec | Mapping[str, Any],
    image_shape: tuple[int, int, int] | None = None,
) -> Checkpoint:
    """Return layers as a ticket (or trained network) of `network`, named hidden1 … readout.

    Sizes that a mapping leaves out follow from the layers; the stride and padding of convolutions
    are in no file and have to be said. `image_shape` is (height, width, channels). Raises
    NotAChainError, a ValueError that names the layer, for layers that are not the network's, and
    ValueError for what `network` leaves out or does not have.

    >>> exchange.to_checkpoint(ticket.layers, {"activation": "tanh"}).kind
    'trained'
    """
    source = layers if isinstance(layers, Layers) else Layers(tuple(layers))
    for name, what in source.skipped.items():
        if what in NORMS:
            raise NotAChainError(
                f"layer {name} is a {what}, which no family of ticketlens has between its layers; "
                "without images and network= weights, degrees and spectra are measured"
            )
    for layer in source:
        if layer.weight is None:
            raise NotAChainError(
                f"layer {layer.name} has a mask and no weights; read weights, masks="
            )
    spec = _network(source, network)
    shape = image_shape or _image_shape(source[0])
    mask_shape = source[-1].mask.shape
    full = Spec(
        network=spec,
        init=_init(source),
        dataset=DatasetSpec(shape=shape, classes=mask_shape[0]),
    )
    wanted = layer_shapes(full)
    if len(wanted) != len(source):
        raise ValueError(f"{len(source)} layers; the network has {len(wanted)}")
    named = []
    for number, (layer, other) in enumerate(zip(source, wanted, strict=True)):
        if (layer.kind, layer.mask.shape) != (other.kind, other.shape):
            raise NotAChainError(
                f"layer {layer.name} has shape {layer.mask.shape}, a {spec.family} network has "
                f"{other.shape} there: grouped convolutions, skips and other wiring are not a chain"
                + _hint_of_order(source, number)
            )
        bias = np.zeros(other.shape[0], np.float32) if layer.bias is None else layer.bias
        named.append(dataclasses.replace(layer, name=other.name, bias=bias))
    return Checkpoint(
        STATES[source.state],
        re.sub(r"[^A-Za-z0-9-]+", "-", Path(source.source).stem).strip("-") or "file",
        0,
        1,
        "imp",
        full,
        tuple(named),
        extra={"source": source.source, "names": json.dumps([layer.name for layer in source])},
    )


def _hint_of_order(layers: Layers, number: int) -> str:
    """Names need not tell the order: Flax numbers layers as they are constructed, not as they run.

    In `Dense(3)(Dense(9)(x))` the outer one is constructed first.
    """
    here, inputs = layers[number], layers[number].mask.shape[1]
    before = [
        own.name
        for own in layers
        if len(own.mask) == inputs
        and own is not here
        and (own.kind, here.kind) != ("linear", "conv")
    ]
    if not before or (number and layers[number - 1].name in before):
        return ""
    return (
        f"; if it comes after {' or '.join(before[:3])}, the file has another order than the "
        "network: give a list of its layers, exchange.read(…)[i], in their order"
    )


def _network(layers: Layers, network: NetworkSpec | Mapping[str, Any]) -> NetworkSpec:
    if isinstance(network, NetworkSpec):
        return network
    hidden = layers[:-1]
    if not hidden or layers[-1].kind != "linear":
        raise NotAChainError("a network has hidden layers, and a linear readout as its last layer")
    is_conv = hidden[0].kind == "conv"
    for layer in hidden:
        if layer.kind != hidden[0].kind:
            raise NotAChainError(
                f"layer {layer.name} is {layer.kind}, layer {hidden[0].name} is {hidden[0].kind}; "
                "allowed: hidden layers of one kind, then the readout"
            )
    found: dict[str, Any] = {
        "family": "convolutional" if is_conv else "fully-connected",
        "widths": [layer.mask.shape[0] for layer in hidden],
    }
    if is_conv:
        missing = [key for key in ("stride", "padding") if key not in network]
        if missing:
            raise ValueError(
                f"network= leaves out {' and '.join(missing)} of the convolutions, which no file "
                "holds; for example network={'stride': [1, 2, 2], 'padding': 'zeros'}"
            )
        for layer in hidden:
            if layer.mask.shape[2] != layer.mask.shape[3]:
                raise NotAChainError(f"layer {layer.name} has a kernel that is not square")
        found["kernel"] = [layer.mask.shape[2] for layer in hidden]
    said = {key: value for key, value in network.items() if key not in ("hidden_layers", "width")}
    unknown = sorted(set(network) - {item.name for item in dataclasses.fields(NetworkSpec)})
    if unknown:
        raise ValueError(f"network has unknown key {unknown[0]!r}")
    return NetworkSpec(**(found | said))


def _image_shape(first: Layer) -> tuple[int, int, int]:
    """Guess (height, width, channels): a convolution sees any size; squares of 3 or 1 channels."""
    inputs = first.mask.shape[1]
    if first.kind == "conv":
        return (32, 32, inputs)
    for channels in (3, 1):
        side = isqrt(inputs // channels)
        if channels * side**2 == inputs:
            return (side, side, channels)
    return (1, 1, inputs)


def _init(layers: Layers) -> InitSpec:
    """The law of theta_0 is in no file: nulls redraw Gaussians of the kept weights' own scale."""
    scales, biases = [], [0.0]
    for layer in layers:
        if layer.weight is not None and layer.mask.any():
            kept = layer.weight[layer.mask].astype(np.float64)
            scales.append(float(np.mean(kept**2)) * layer.fan_in)
        if layer.bias is not None:
            biases.append(float(np.mean(np.square(layer.bias), dtype=float)))
    sigma_w = float(np.sqrt(np.mean(scales))) if scales else 0.0
    return InitSpec("gaussian", sigma_w, float(np.sqrt(np.mean(biases[1:] or biases))))

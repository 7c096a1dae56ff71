"""Ways to draw the weights of a ticket on a given mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ticketlens.checkpoint import Layer
from ticketlens.masks import InvariantError


def rewind(masks: Sequence[np.ndarray], theta: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the ticket mask × theta: weights of theta on the mask, exactly 0.0 off it.

    `theta` is theta_0, or theta_k for late rewinding; biases are theta's.
    """
    layers = tuple(
        Layer(
            name=layer.name,
            kind=layer.kind,
            weight=np.where(mask, layer.weight, np.float32(0.0)),
            bias=layer.bias,
            mask=mask,
        )
        for mask, layer in zip(masks, theta, strict=True)
    )
    check_rewound(layers, theta)
    return layers


def check_rewound(ticket: Sequence[Layer], theta: Sequence[Layer]) -> None:
    """Assert that a rewound ticket equals where(mask, theta, 0) and theta's biases, bit for bit.

    Raises InvariantError naming the layer.
    """
    for layer, source in zip(ticket, theta, strict=True):
        bits = layer.weight.view(np.uint32)
        wanted = np.where(layer.mask, source.weight.view(np.uint32), np.uint32(0))
        if not np.array_equal(bits, wanted):
            raise InvariantError(
                f"layer {layer.name}: {np.count_nonzero(bits != wanted)} rewound weights differ "
                "from mask × theta"
            )
        if layer.bias.tobytes() != source.bias.tobytes():
            raise InvariantError(f"layer {layer.name}: rewound biases differ from theta's")

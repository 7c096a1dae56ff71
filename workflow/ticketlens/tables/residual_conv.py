"""The table about one checkpoint of a convolutional residual network."""

from __future__ import annotations

import numpy as np

from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.conv.residual import measure
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row
from ticketlens.tables.residual import residual_rows


def measure_residual(
    checkpoint: Checkpoint, images: np.ndarray, jacobian_images: np.ndarray
) -> dict[str, list[Row]]:
    """Measure a convolutional network with skips on `images` (n, c, h, w).

    chi is measured on as many of them as there are `jacobian_images`.
    """
    rngs = (
        stream(checkpoint.seed, "perturbation"),
        stream(checkpoint.seed, "probes", checkpoint.round),
    )
    signal = measure(checkpoint.layers, checkpoint.spec, images, *rngs, len(jacobian_images))
    return {"residual": residual_rows(checkpoint, signal, images)}

"""Tables about signal propagation in one convolutional checkpoint."""

from __future__ import annotations

import numpy as np

from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.conv.signal import measure
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row
from ticketlens.tables.signal import signal_rows


def measure_signal(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, list[Row]]:
    """Measure a convolutional network on `images` (n, c, h, w): q, chi and correlations."""
    rng = stream(checkpoint.seed, "perturbation")
    signal = measure(checkpoint.layers, checkpoint.spec, images, rng)
    return signal_rows(checkpoint, signal, images)

"""Table of the gradients at every layer of a convolutional or residual checkpoint (torch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.conv import gradients as gradients_conv
from ticketlens.measure.gradients import Gradients
from ticketlens.tables.columns import Row
from ticketlens.tables.gradients import Nulls, rows_of

NULL_DRAWS = 1  # a convolution's products are dear


def gradient_rows(
    checkpoint: Checkpoint,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    draws: int = NULL_DRAWS,
    nulls: Nulls | None = None,
) -> list[Row]:
    """Return the rows of `tables.gradients`, of any family."""

    def measure(layers: Sequence[Layer]) -> Gradients:
        return gradients_conv.backward(layers, checkpoint.spec, images, labels)

    return rows_of(checkpoint, measure, draws, nulls)


def measure_gradients(
    checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray
) -> dict[str, list[Row]]:
    """Return the rows of the table `gradients`, on `images` (n, …) with `labels` (n,)."""
    return {"gradients": gradient_rows(checkpoint, images, labels)}

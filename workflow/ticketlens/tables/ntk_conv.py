"""Tables of the empirical neural tangent kernel of a convolutional checkpoint (torch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.conv import ntk as ntk_conv
from ticketlens.measure.gradients import Floats
from ticketlens.tables.columns import Row
from ticketlens.tables.gradients import Nulls
from ticketlens.tables.ntk import rows_of

PER_CLASS = 4  # 40 images: a kernel of the full ConvNet takes 5 CPU-s, with all nulls 40


def ntk_rows(
    checkpoint: Checkpoint,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    per_class: int = PER_CLASS,
    nulls: Nulls | None = None,
) -> tuple[list[Row], list[Row]]:
    """Return the rows of `tables.ntk.rows_of`, of any family."""

    def kernel(layers: Sequence[Layer], chosen: npt.NDArray[np.floating]) -> Floats:
        return ntk_conv.kernel(layers, checkpoint.spec, chosen)

    return rows_of(checkpoint, kernel, images, labels, per_class, nulls)


def measure_ntk(
    checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray
) -> dict[str, list[Row]]:
    """Return the rows of the tables about the kernel, on `images` (n, …) with `labels` (n,)."""
    statistics, spectrum = ntk_rows(checkpoint, images, labels)
    return {"ntk": statistics, "ntk_spectra": spectrum}

"""Tables of the empirical neural tangent kernel: the ticket's, and those of the nulls N1 to N6."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import ntk
from ticketlens.measure.gradients import Floats
from ticketlens.measure.nulls import null_networks
from ticketlens.tables.columns import Row, keys
from ticketlens.tables.gradients import Nulls

PER_CLASS = 10
Kernel = Callable[[Sequence[Layer], npt.NDArray[np.floating]], Floats]


def ntk_rows(
    checkpoint: Checkpoint,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    per_class: int = PER_CLASS,
    nulls: Nulls | None = None,
) -> tuple[list[Row], list[Row]]:
    """Return the rows of `rows_of` of a fully connected checkpoint."""

    def kernel(layers: Sequence[Layer], chosen: npt.NDArray[np.floating]) -> Floats:
        return ntk.kernel(layers, checkpoint.spec.network.activation, chosen)

    return rows_of(checkpoint, kernel, images, labels, per_class, nulls)


def rows_of(
    checkpoint: Checkpoint,
    kernel: Kernel,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    per_class: int,
    nulls: Nulls | None = None,
) -> tuple[list[Row], list[Row]]:
    """Return (statistics, spectrum) of K on `per_class` images of every class.

    `kernel` returns K (n, n) of layers on images (n, …). Fewer images where a class has fewer.
    Column `network`: the ticket itself, and for tickets one draw of each null (the first of
    `isometry`, or `nulls`). The spectrum has one row per eigenvalue of the centred kernel, as its
    share of the trace.
    """
    _, counts = np.unique(labels, return_counts=True)
    chosen = ntk.balanced(labels, min(per_class, int(counts.min())))
    networks: dict[str, Sequence[Layer]] = {"ticket": checkpoint.layers}
    if checkpoint.kind == "ticket":
        networks |= (
            nulls
            if nulls is not None
            else null_networks(
                checkpoint.layers, checkpoint.spec, checkpoint.seed, checkpoint.round
            )
        )
    statistics, spectrum = [], []
    for name, layers in networks.items():
        matrix = kernel(layers, images[chosen])
        found = ntk.statistics(matrix, labels[chosen])
        total = found.eigenvalues.sum()
        shares = found.eigenvalues / total if total > 0 else found.eigenvalues * np.nan
        labelled = {**keys(checkpoint), "network": name}
        statistics.append(
            {
                **labelled,
                "images": len(chosen),
                "log_trace": found.log_trace,
                "effective_rank": found.effective_rank,
                "label_alignment": found.alignment,
                "largest_share": float(shares[0]),
                "leading_nine_share": float(shares[:9].sum()),
            }
        )
        spectrum += [
            {**labelled, "rank": rank, "share": float(share)}
            for rank, share in enumerate(shares, start=1)
        ]
    return statistics, spectrum


def measure_ntk(
    checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray
) -> dict[str, list[Row]]:
    """Return the rows of the tables about the kernel, on `images` (n, …) with `labels` (n,)."""
    statistics, spectrum = ntk_rows(checkpoint, images, labels)
    return {"ntk": statistics, "ntk_spectra": spectrum}

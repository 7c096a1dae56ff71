"""Tables about the Jacobian of one convolutional checkpoint, from products with vectors.

The full Jacobian is too large: ‖J‖_F² is Hutchinson's estimate, the leading singular values are
Lanczos' at the first image; structural zeros and the bulk of the spectrum are not measured.
"""

from __future__ import annotations

import numpy as np

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.conv import signal as signal_conv
from ticketlens.measure.nulls import null_networks
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, keys

LEADING = 5


def jacobian_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """Return mean s² over `images` with its standard error, and the largest s at the first."""
    rng = stream(checkpoint.seed, "null-probes", checkpoint.round)
    found = signal_conv.squared_frobenius(checkpoint.layers, checkpoint.spec, images, rng)
    leading = signal_conv.leading_singular_values(
        checkpoint.layers, checkpoint.spec, images[0], rng, LEADING
    )
    return [
        {
            **keys(checkpoint),
            "jacobian": "hidden",
            "network": "ticket",
            "images": len(images),
            "mean_square": float(found.mean.mean()),
            "mean_square_error": float(np.sqrt(np.sum(found.standard_error**2)) / len(images)),
            "log_mean_square": float(np.mean(np.log(found.mean))),
            "largest": float(leading[0]),
        }
    ]


def isometry_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """ln(‖J‖_F²/N) and its difference to Σ ln chi, of the ticket and of its nulls."""
    spec = checkpoint.spec
    networks: dict[str, tuple[Layer, ...]] = {"ticket": checkpoint.layers}
    if checkpoint.kind == "ticket":
        networks |= null_networks(checkpoint.layers, spec, checkpoint.seed, checkpoint.round)
    rows = []
    for name, layers in networks.items():
        rng = stream(checkpoint.seed, "null-probes", checkpoint.round)
        found = signal_conv.squared_frobenius(layers, spec, images, rng)
        model = signal_conv.network(layers, spec)
        chi = signal_conv.chi_frobenius(model, spec, signal_conv.preactivations(model, images))
        log_chi_sum = float(np.sum(np.log(chi.mean(axis=0))))
        spread = found.mean.std(ddof=1) / np.sqrt(len(images)) / found.mean.mean()
        rows.append(
            {
                **keys(checkpoint),
                "network": name,
                "draw": 0,
                "log_frobenius": found.log_frobenius,
                "log_frobenius_error": float(spread),
                "log_chi_sum": log_chi_sum,
                "excess": found.log_frobenius - log_chi_sum,
            }
        )
    return rows


def measure_jacobian(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, list[Row]]:
    """Measure the Jacobian of a convolutional network: leading values, isometry, nulls."""
    return {
        "jacobian": jacobian_rows(checkpoint, images),
        "isometry": isometry_rows(checkpoint, images),
    }

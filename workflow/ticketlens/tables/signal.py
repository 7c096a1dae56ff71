"""Tables about signal propagation in one checkpoint: q, the ladder, chi, correlations."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from ticketlens import ladder
from ticketlens.checkpoint import Checkpoint
from ticketlens.measure import sign_null
from ticketlens.measure.signal import Signal, measure
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, keys, per_layer


def qmap_rows(checkpoint: Checkpoint, q: np.ndarray) -> list[Row]:
    """Measured q per hidden layer, mean and sd over images. `q` is (images, layers)."""
    return per_layer(checkpoint, {}, q=q.mean(axis=0), q_sd=q.std(axis=0, ddof=1))


def chi_rows(checkpoint: Checkpoint, signal: Signal, images: np.ndarray) -> list[Row]:
    """chi per hidden layer from the second on, as theory reads it and as it is measured.

    `chi_frobenius` (mean over images, with its sd); `slope`: of the C-map at c = 1, along tiny
    perturbations; `slope_pairs`: of the chord from pairs of real images to (1, 1); both medians.
    `images` are those of the theory's first layer.
    """
    return [
        row
        for row in per_layer(
            checkpoint,
            {},
            **ladder.theory_chi(checkpoint.layers, images, signal.q, checkpoint.spec.network),
            chi_frobenius=signal.chi.mean(axis=0),
            chi_frobenius_sd=signal.chi.std(axis=0, ddof=1),
            slope=np.median(signal.perturbation_slope, axis=0),
            slope_pairs=np.median(signal.pair_slope, axis=0),
        )
        if row["layer"] > 1
    ]


def cmap_rows(checkpoint: Checkpoint, signal: Signal) -> list[Row]:
    """Correlation c of pairs of real images per hidden layer, and its map's slope over pairs."""
    c = signal.pair_correlation
    return per_layer(
        checkpoint,
        {},
        c=c.mean(axis=0),
        c_sd=c.std(axis=0, ddof=1),
        c_lower_quartile=np.quantile(c, 0.25, axis=0),
        c_upper_quartile=np.quantile(c, 0.75, axis=0),
        regression_slope=signal.pair_regression_slope,
        perturbation_distance=np.median(signal.perturbation_distance, axis=0),
    )


def ladder_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """q per hidden layer as each rung predicts it, in both modes, and as measured.

    All on the same images, so that they can be compared.
    """
    network = checkpoint.spec.network
    measured = ladder.measured_q(checkpoint.layers, images, network=network)
    moments = ladder.activation_moments(checkpoint.layers, images, network=network)
    rows = per_layer(
        checkpoint,
        {"rung": "measured", "mode": "measured"},
        q=measured.mean(axis=0),
        activation_square=moments.measured,
        activation_square_gaussian=moments.gaussian,
        activation_square_gaussian_per_neuron=moments.gaussian_per_neuron,
    )
    for rung in ladder.RUNGS:
        in_modes = ladder.predict_in_modes(
            rung, checkpoint.layers, images, network=network, seed=checkpoint.seed
        )
        for mode, found in in_modes.items():
            labels = {"rung": rung, "mode": mode}
            rows += per_layer(
                checkpoint, labels, q=found.q, sd=found.sd, standard_error=found.standard_error
            )
    return rows


def decomposition_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """The parts of q per hidden layer, with the null of random signs (see `sign_null`)."""
    found = sign_null.decompose(checkpoint.layers, images, network=checkpoint.spec.network)
    return [{**keys(checkpoint, part.layer), **asdict(part)} for part in found]


def signal_rows(checkpoint: Checkpoint, signal: Signal, images: np.ndarray) -> dict[str, list[Row]]:
    """Return the rows of the tables `qmap`, `chi` and `cmap` of one checkpoint."""
    return {
        "qmap": qmap_rows(checkpoint, signal.q),
        "chi": chi_rows(checkpoint, signal, images),
        "cmap": cmap_rows(checkpoint, signal),
    }


def measure_signal(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, list[Row]]:
    """Measure a fully connected network on `images` (n, …): q, chi and correlations."""
    rng = stream(checkpoint.seed, "perturbation")
    signal = measure(checkpoint.layers, checkpoint.spec.network.activation, images, rng)
    return signal_rows(checkpoint, signal, images)


def measure_ladder(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, list[Row]]:
    """Predict q of a checkpoint by every rung on `images` (n, …), and take the gaps apart."""
    return {
        "ladder": ladder_rows(checkpoint, images),
        "decomposition": decomposition_rows(checkpoint, images),
    }

"""Tables about signal propagation in one checkpoint: q, the ladder, chi, correlations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ticketlens import ladder, meanfield
from ticketlens.checkpoint import Checkpoint
from ticketlens.files.csv_tables import write_rows
from ticketlens.measure import sign_null
from ticketlens.measure.propagation import mean_square
from ticketlens.measure.signal import Signal
from ticketlens.tables.columns import Row, hidden, keys, per_layer


def qmap_rows(checkpoint: Checkpoint, q: np.ndarray) -> list[Row]:
    """Measured q per hidden layer, mean and sd over images. `q` is (images, layers)."""
    return per_layer(checkpoint, {}, q=q.mean(axis=0), q_sd=q.std(axis=0, ddof=1))


def theory_chi(checkpoint: Checkpoint, images: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """Return sigma_eff² E phi'(√q z)² of layers 2 … L, q being that of the layer below.

    `chi_naive`: R0's sigma_eff and q; `chi_second_moment`: R1's; `chi_measured_q`: R1's sigma_eff
    with the measured `q` (images, layers); `slope_expected`: the slope of the C-map at c = 1,
    chi(q)·q/V(q), with R1's sigma_eff and the measured q: a measured slope compares with it. All
    image by image, averaged at the end.
    """
    network = checkpoint.spec.network
    found = {
        f"chi_{rung}": ladder.chi(rung, checkpoint.layers, images, network=network)
        for rung in ("naive", "second_moment")
    }
    at_measured, slopes = [], []
    layers = [layer for _, layer in hidden(checkpoint)]
    for layer, below in zip(layers[1:], q.T[:-1], strict=True):
        gain = ladder.second_moment_gain(layer).sum()
        chi = gain * meanfield.derivative_moment(below, 1, network.activation)
        v = gain * meanfield.second_moment(below, network.activation) + mean_square(layer.bias)
        at_measured.append(chi.mean())
        slopes.append(np.mean(chi * below / np.where(v > 0, v, np.nan)))
    return found | {"chi_measured_q": np.array(at_measured), "slope_expected": np.array(slopes)}


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
            **theory_chi(checkpoint, images, signal.q),
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
        for mode in ladder.MODES:
            found = ladder.predict_with_spread(
                rung, checkpoint.layers, images, mode, network=network, seed=checkpoint.seed
            )
            labels = {"rung": rung, "mode": mode}
            rows += per_layer(
                checkpoint, labels, q=found.q, sd=found.sd, standard_error=found.standard_error
            )
    return rows


def decomposition_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """The parts of q per hidden layer, with the null of random signs (see `sign_null`)."""
    found = sign_null.decompose(checkpoint.layers, images, network=checkpoint.spec.network)
    return [{**keys(checkpoint, part.layer), **asdict(part)} for part in found]


def write_signal(output: Any, checkpoint: Checkpoint, signal: Signal, images: np.ndarray) -> None:
    """Write the tables `output.qmap`, `output.chi` and `output.cmap` of one checkpoint."""
    write_rows(output.qmap, qmap_rows(checkpoint, signal.q))
    write_rows(output.chi, chi_rows(checkpoint, signal, images))
    write_rows(output.cmap, cmap_rows(checkpoint, signal))

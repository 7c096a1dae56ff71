"""Tables about signal propagation in one checkpoint: q, the ladder, chi, correlations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ticketlens import ladder, meanfield, sign_null
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.rows import Row, hidden, keys, per_layer
from ticketlens.signal import Signal
from ticketlens.tables import write_rows


def qmap_rows(checkpoint: Checkpoint, q: np.ndarray) -> list[Row]:
    """Measured q per hidden layer, mean and sd over images. `q` is (images, layers)."""
    return per_layer(checkpoint, {}, q=q.mean(axis=0), q_sd=q.std(axis=0, ddof=1))


def effective_sigma_w(layer: Layer) -> tuple[float, float]:
    """Return sigma_w of a layer as R0 (kept weights alone) and as R1 (zeros count) read it."""
    kept = layer.weight[layer.mask].astype(np.float64)
    naive = np.sqrt(layer.fan_in * kept.var()) if kept.size else 0.0
    diluted = np.sqrt(np.sum(kept**2) / layer.mask.shape[0])
    return float(naive), float(diluted)


def theory_chi(checkpoint: Checkpoint, images: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """Return sigma_eff² E phi'(√q z)² of layers 2 … L, q being that of the layer below.

    `chi_naive`: R0's sigma_eff and q; `chi_second_moment`: R1's; `chi_measured_q`: R1's sigma_eff
    with the measured `q` (layers,); `slope_expected`: the slope of the C-map at c = 1,
    chi(q)·q/V(q), with R1's sigma_eff and the measured q: a measured slope compares with it.
    """
    network = checkpoint.spec.network
    predicted = {
        rung: ladder.predict(rung, checkpoint.layers, images, network=network)
        for rung in ("naive", "second_moment")
    }
    found: dict[str, list[float]] = {
        name: [] for name in ("chi_naive", "chi_second_moment", "chi_measured_q", "slope_expected")
    }
    layers = [layer for _, layer in hidden(checkpoint)]
    for below, layer in enumerate(layers[1:]):
        naive, diluted = effective_sigma_w(layer)
        for name, sigma_w, lengths in (
            ("chi_naive", naive, predicted["naive"]),
            ("chi_second_moment", diluted, predicted["second_moment"]),
            ("chi_measured_q", diluted, q),
        ):
            mu = meanfield.derivative_moment(lengths[below], 1, network.activation)
            found[name].append(sigma_w**2 * mu)
        sigma_b = float(np.sqrt(np.mean(layer.bias.astype(np.float64) ** 2)))
        v = meanfield.q_map(q[below], diluted, sigma_b, network.activation)
        found["slope_expected"].append(found["chi_measured_q"][-1] * q[below] / v if v else np.nan)
    return {name: np.array(values) for name, values in found.items()}


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
            **theory_chi(checkpoint, images, signal.q.mean(axis=0)),
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

    All on the same images, so that they can be compared; rungs that would cost too much in
    convolutions (`ladder`'s docstring) are left to the fully connected studies.
    """
    conv = checkpoint.layers[0].kind == "conv"
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
        if conv and rung in ("degree", "empirical_law"):
            continue
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

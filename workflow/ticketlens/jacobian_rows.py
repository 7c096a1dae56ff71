"""Tables about the Jacobian of one fully connected checkpoint: spectrum and isometry."""

from __future__ import annotations

import numpy as np

from ticketlens import jacobian as spectra
from ticketlens import ladder, random_matrix
from ticketlens.checkpoint import Checkpoint
from ticketlens.rows import Row, keys
from ticketlens.seeds import stream

NULL_DRAWS = 3
LOG10_S2 = np.linspace(-10, 3, 131)


def jacobian_rows(checkpoint: Checkpoint, images: np.ndarray) -> tuple[list[Row], list[Row]]:
    """Return (statistics, spectrum) of dh^L/dh^1 and dlogits/dx on `images`, mean over images.

    Column `network`: the ticket itself, and for tickets one draw of each null N1 to N6 (hidden
    Jacobian, statistics only). The spectrum is a histogram of log10 s² over the non-structural
    values, as a density that integrates to their share; `density_theory` is free probability's for
    the dense round 0, with the measured q of each factor.
    """
    activation = checkpoint.spec.network.activation
    statistics_rows, spectrum_rows = [], []
    for jacobian, measure in (
        ("hidden", spectra.hidden_spectrum),
        ("logits", spectra.logit_spectrum),
    ):
        s, found = measure(checkpoint.layers, activation, images)
        labels = {**keys(checkpoint), "jacobian": jacobian, "network": "ticket"}
        statistics_rows.append({**labels, **_statistics(s, found)})
        centres = (LOG10_S2[1:] + LOG10_S2[:-1]) / 2
        theory = np.full(len(centres), np.nan)
        if jacobian == "hidden" and checkpoint.round == 0 and checkpoint.kind == "ticket":
            theory = _free_probability(checkpoint, images, centres)
            mean, variance = _predicted_moments(checkpoint, images)
            statistics_rows[-1] |= {
                "mean_square_theory": mean,
                "relative_variance_theory": variance / mean**2,
            }
        counts, _ = np.histogram(2 * np.log10(s[s > 0]), LOG10_S2)
        density = counts / (s.size * np.diff(LOG10_S2))
        spectrum_rows += [
            {**labels, "log10_s2": float(x), "density_log10": float(y), "density_theory": float(t)}
            for x, y, t in zip(centres, density, theory, strict=True)
        ]
    if checkpoint.kind == "ticket":
        # The first draw of `isometry_rows`.
        nulls = spectra.null_networks(
            checkpoint.layers, checkpoint.spec, checkpoint.seed, checkpoint.round
        )
        for name, layers in nulls.items():
            labels = {**keys(checkpoint), "jacobian": "hidden", "network": name}
            found = _statistics(*spectra.hidden_spectrum(layers, activation, images))
            statistics_rows.append({**labels, **found})
    return statistics_rows, spectrum_rows


def _statistics(s: np.ndarray, found: spectra.SpectrumStatistics) -> Row:
    return {
        "values": s.shape[1],
        "images": s.shape[0],
        "mean_square": float(found.mean_square.mean()),
        "log_mean_square": float(found.log_mean_square.mean()),
        "relative_variance": float(found.relative_variance.mean()),
        "largest": float(found.largest.mean()),
        "log_mean": float(found.log_mean.mean()),
        "log_sd": float(found.log_std.mean()),
        "nullity": found.nullity,
    }


def _factors(checkpoint: Checkpoint, images: np.ndarray) -> tuple[np.ndarray, float, str]:
    """Return (measured q of each factor's slopes, sigma_w, kind of weights) of a dense ticket."""
    q = ladder.measured_q(checkpoint.layers, images, network=checkpoint.spec.network)
    weights = "orthogonal" if checkpoint.spec.init.scheme == "orthogonal" else "gaussian"
    return q.mean(axis=0)[:-1], checkpoint.spec.init.sigma_w, weights


def _free_probability(
    checkpoint: Checkpoint, images: np.ndarray, log10_s2: np.ndarray
) -> np.ndarray:
    q, sigma_w, weights = _factors(checkpoint, images)
    activation = checkpoint.spec.network.activation
    natural = random_matrix.jacobian_log_density(
        log10_s2 * np.log(10), q, sigma_w, weights, activation
    )
    return natural * np.log(10)


def _predicted_moments(checkpoint: Checkpoint, images: np.ndarray) -> tuple[float, float]:
    q, sigma_w, weights = _factors(checkpoint, images)
    return random_matrix.jacobian_moments(q, sigma_w, weights, checkpoint.spec.network.activation)


def isometry_rows(checkpoint: Checkpoint, images: np.ndarray) -> list[Row]:
    """ln(‖J‖_F²/N) and its difference to Σ ln chi, of the ticket and of the nulls N1 to N6.

    Nulls belong to tickets; a trained network has its own row only.
    """
    spec = checkpoint.spec
    rng = stream(checkpoint.seed, "null-probes", checkpoint.round)
    found = {"ticket": (spectra.isometry(checkpoint.layers, spec.network.activation, images, rng),)}
    if checkpoint.kind == "ticket":
        found |= spectra.isometry_of_nulls(
            checkpoint.layers, spec, images, checkpoint.seed, checkpoint.round, draws=NULL_DRAWS
        )
    return [
        {
            **keys(checkpoint),
            "network": name,
            "draw": draw,
            "log_frobenius": value.log_frobenius,
            "log_frobenius_error": value.log_frobenius_error,
            "log_chi_sum": value.log_chi_sum,
            "excess": value.excess,
        }
        for name, values in found.items()
        for draw, value in enumerate(values)
    ]

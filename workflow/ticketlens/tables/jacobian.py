"""Tables about the Jacobian of one fully connected checkpoint: spectrum and isometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from ticketlens import ladder, random_matrix
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import jacobian as spectra
from ticketlens.measure.nulls import isometry_of_nulls, null_networks
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, hidden, keys

NULL_DRAWS = 3
LOG10_S2 = np.linspace(-10, 3, 131)
Nulls = Mapping[str, Sequence[Layer]]
JACOBIANS = {"hidden": spectra.hidden_spectrum, "logits": spectra.logit_spectrum}


def jacobian_rows(
    checkpoint: Checkpoint, images: np.ndarray, nulls: Nulls | None = None
) -> tuple[list[Row], list[Row]]:
    """Return (statistics, spectrum) of dh^L/dh^1 and dlogits/dx on `images`, mean over images.

    Column `network`: the ticket itself, and for tickets one draw of each null N1 to N6 (statistics
    only). The spectrum is a histogram of log10 s² over the non-structural
    values, as a density that integrates to their share; `density_theory` is free probability's for
    the dense round 0, where all factors are square, with the measured q of each. `nulls` are those
    of `_first_nulls`, where they are drawn already.
    """
    activation = checkpoint.spec.network.activation
    statistics_rows, spectrum_rows = [], []
    for jacobian, measure in JACOBIANS.items():
        s, found = measure(checkpoint.layers, activation, images)
        labels = {**keys(checkpoint), "jacobian": jacobian, "network": "ticket"}
        statistics_rows.append({**labels, **_statistics(s, found)})
        log10_s2 = 2 * np.log10(s[s > 0])
        edges = spectrum_edges(log10_s2)
        centres = (edges[1:] + edges[:-1]) / 2
        theory = np.full(len(centres), np.nan)
        if jacobian == "hidden" and _has_theory(checkpoint):
            moments, theory = _free_probability(checkpoint, images, centres)
            statistics_rows[-1] |= moments
        counts, _ = np.histogram(log10_s2, edges)
        density = counts / (s.size * np.diff(edges))
        spectrum_rows += [
            {**labels, "log10_s2": float(x), "density_log10": float(y), "density_theory": float(t)}
            for x, y, t in zip(centres, density, theory, strict=True)
        ]
    if checkpoint.kind == "ticket":
        for name, layers in (_first_nulls(checkpoint) if nulls is None else nulls).items():
            for jacobian, measure in JACOBIANS.items():
                labels = {**keys(checkpoint), "jacobian": jacobian, "network": name}
                of_null = _statistics(*measure(layers, activation, images))
                statistics_rows.append({**labels, **of_null})
    return statistics_rows, spectrum_rows


def spectrum_edges(log10_s2: np.ndarray) -> np.ndarray:
    """Return edges of bins of 0.1 that hold all values (n,): the usual ones, and more outside.

    Networks far from criticality have s² of 1e-14 or 1e8. The usual bins are the same floats for
    all of them, so that spectra of several seeds can be averaged.
    """
    if log10_s2.size == 0:
        return LOG10_S2
    below = max(0, int(np.ceil((LOG10_S2[0] - log10_s2.min()) * 10)))
    above = max(0, int(np.ceil((log10_s2.max() - LOG10_S2[-1]) * 10)))
    lower = LOG10_S2[0] - np.arange(below, 0, -1) / 10
    return np.concatenate([lower, LOG10_S2, LOG10_S2[-1] + np.arange(1, above + 1) / 10])


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


def _has_theory(checkpoint: Checkpoint) -> bool:
    """Whether free probability knows the factors: dense, untrained and square."""
    shapes = [layer.weight.shape for _, layer in hidden(checkpoint)[1:]]
    is_dense = checkpoint.round == 0 and checkpoint.kind == "ticket"
    return is_dense and len({size for shape in shapes for size in shape}) == 1


def _free_probability(
    checkpoint: Checkpoint, images: np.ndarray, log10_s2: np.ndarray
) -> tuple[Row, np.ndarray]:
    """Return the predicted moments of s² and its density over log10 s², mean over images.

    Each image has its own measured q per factor. NaN where the law is unknown, has no density, or
    is not found that deep in its tail.
    """
    spec = checkpoint.spec
    weights = "orthogonal" if spec.init.scheme == "orthogonal" else "gaussian"
    q = ladder.measured_q(checkpoint.layers, images, network=spec.network)[:, :-1]
    law = spec.init.sigma_w, weights, spec.network.activation
    mean, variance = np.transpose([random_matrix.jacobian_moments(own, *law) for own in q])
    moments = {
        "mean_square_theory": float(mean.mean()),
        "relative_variance_theory": float((variance / mean**2).mean()),
    }
    log_s2 = log10_s2 * np.log(10)
    try:
        densities = [
            cast(np.ndarray, random_matrix.jacobian_log_density(log_s2, own, *law)) for own in q
        ]
    except (random_matrix.UnknownLawError, ArithmeticError):
        return moments, np.full(len(log10_s2), np.nan)
    return moments, np.mean(densities, axis=0) * np.log(10)


def isometry_rows(
    checkpoint: Checkpoint, images: np.ndarray, first: Nulls | None = None
) -> list[Row]:
    """ln(‖J‖_F²/N) and its difference to Σ ln chi, of the ticket and of the nulls N1 to N6.

    Nulls belong to tickets; a trained network has its own row only. `first` are those of
    `_first_nulls`, where they are drawn already.
    """
    spec = checkpoint.spec
    rng = stream(checkpoint.seed, "null-probes", checkpoint.round)
    found: dict[str, tuple[spectra.Isometry, ...]]
    found = {"ticket": (spectra.isometry(checkpoint.layers, spec.network.activation, images, rng),)}
    if checkpoint.kind == "ticket":
        found |= isometry_of_nulls(
            checkpoint.layers, spec, images, checkpoint.seed, checkpoint.round, draws=NULL_DRAWS,
            first=first,
        )  # fmt: skip
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


def _first_nulls(checkpoint: Checkpoint) -> Nulls:
    """Return the first draw of each null: both tables measure it."""
    return null_networks(checkpoint.layers, checkpoint.spec, checkpoint.seed, checkpoint.round)


def measure_jacobian(
    checkpoint: Checkpoint, spectrum_images: np.ndarray, isometry_images: np.ndarray
) -> dict[str, list[Row]]:
    """Measure the Jacobian of a fully connected network: spectrum, isometry, nulls."""
    nulls = _first_nulls(checkpoint) if checkpoint.kind == "ticket" else {}
    statistics, spectrum = jacobian_rows(checkpoint, spectrum_images, nulls)
    return {
        "jacobian": statistics,
        "jacobian_spectrum": spectrum,
        "isometry": isometry_rows(checkpoint, isometry_images, nulls),
    }

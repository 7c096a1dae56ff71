"""Tables about the weight spectra of one checkpoint, against Marchenko–Pastur and a null."""

from __future__ import annotations

from typing import cast

import numpy as np

from ticketlens import random_matrix
from ticketlens.checkpoint import Checkpoint
from ticketlens.seeds import stream
from ticketlens.tables import large_spectra
from ticketlens.tables.columns import Row, hidden, keys
from ticketlens.tables.large_spectra import EIGENVALUES, NULL_DRAWS


def spectra_rows(checkpoint: Checkpoint) -> tuple[list[Row], list[Row]]:
    """Return (statistics, densities) of the eigenvalues of W Wᵀ per hidden layer.

    Eigenvalues are in units of the layer's own second moment times the number of columns, so that
    Marchenko–Pastur has variance 1. The null keeps the mask and redraws Gaussian weights of the
    same second moment; outliers lie beyond the largest eigenvalue of all its draws. A convolution
    is its (out, in·k²) matrix. Large layers have rows from `large_spectra`.
    """
    statistics_rows, density_rows = [], []
    centres = (EIGENVALUES[1:] + EIGENVALUES[:-1]) / 2
    for number, layer in hidden(checkpoint):
        if large_spectra.is_large(layer):
            statistics, densities = large_spectra.large_spectra_rows(checkpoint, number)
            statistics_rows += statistics
            density_rows += densities
            continue
        matrix, mask = _matrix(layer.weight), _matrix(layer.mask)
        values, vectors = np.linalg.eigh(_gram(matrix))
        rng = stream(checkpoint.seed, "spectrum-null", checkpoint.round, layer.name)
        null = [
            np.linalg.eigvalsh(_gram(np.where(mask, rng.standard_normal(mask.shape), 0.0)))
            for _ in range(NULL_DRAWS)
        ]
        ratio = matrix.shape[0] / matrix.shape[1]
        edge = max(draw[-1] for draw in null)
        rank = max(1, min(matrix.shape))
        participation = cast(np.ndarray, random_matrix.participation_ratio(vectors[:, -3:]))[::-1]
        cycles, expected = _four_cycles(mask)
        statistics_rows.append(
            {
                **keys(checkpoint, number),
                "ratio": ratio,
                "largest": float(values[-1]),
                "edge_marchenko_pastur": random_matrix.marchenko_pastur_edges(ratio)[1],
                "largest_null": float(np.mean([draw[-1] for draw in null])),
                "edge_null": float(edge),
                "outliers_null": len(random_matrix.outliers(values, edge)),
                "outliers_marchenko_pastur": int(
                    np.count_nonzero(values > random_matrix.marchenko_pastur_edges(ratio)[1])
                ),
                "participation_ratio_top": float(participation[0]),
                "four_cycles": cycles,
                "four_cycles_random": expected,
                "rank_share": float(np.count_nonzero(values > 1e-10) / rank),
            }
        )
        pooled = np.concatenate(null)
        width = EIGENVALUES[1] - EIGENVALUES[0]
        mp = cast(np.ndarray, random_matrix.marchenko_pastur_density(centres, ratio))
        for x, own, other, theory in zip(
            centres,
            np.histogram(values, EIGENVALUES)[0] / (len(values) * width),
            np.histogram(pooled, EIGENVALUES)[0] / (len(pooled) * width),
            mp,
            strict=True,
        ):
            density_rows.append(
                {
                    **keys(checkpoint, number),
                    "eigenvalue": float(x),
                    "density_eigenvalue": float(own),
                    "density_null": float(other),
                    "density_marchenko_pastur": float(theory),
                }
            )
    return statistics_rows, density_rows


def _matrix(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


def _gram(matrix: np.ndarray) -> np.ndarray:
    """Return W Wᵀ/(columns·mean w²): unit variance in Marchenko–Pastur's sense."""
    matrix = matrix.astype(np.float64)
    return cast(np.ndarray, matrix @ matrix.T / (matrix.shape[1] * np.mean(matrix**2)))


def _four_cycles(mask: np.ndarray) -> tuple[float, float]:
    """Return the 4-cycles of the bipartite graph, and their number expected at its density."""
    common = mask.astype(np.float64) @ mask.T.astype(np.float64)
    shared = common[np.triu_indices(len(mask), 1)]
    rows, columns = mask.shape
    expected = rows * (rows - 1) / 2 * columns * (columns - 1) / 2 * mask.mean() ** 4
    return float(np.sum(shared * (shared - 1) / 2)), float(expected)

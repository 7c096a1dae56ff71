"""Tables about weights and masks of one checkpoint: moments, histograms, degrees, spectra."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from ticketlens import degrees, random_matrix, statistics
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.rows import Row, hidden, keys
from ticketlens.seeds import stream

NULL_DRAWS = 3
EIGENVALUES = np.linspace(0, 8, 161)


def weight_statistics(checkpoint: Checkpoint, ticket: Checkpoint | None = None) -> list[Row]:
    """Moments and bimodality of the kept weights, per layer, the readout included.

    `*_all` are those of all weights, zeros counted; `selection_std_scaled` is what pruning the same
    share by |theta_0| alone gives a Gaussian (NaN for other inits). With the `ticket` that a
    trained network came from, also correlation and sign flips between the two.
    """
    rows = []
    for number, layer in enumerate(checkpoint.layers, start=1):
        kept = layer.weight[layer.mask].astype(np.float64)
        rng = stream(checkpoint.seed, "dip", checkpoint.round, checkpoint.arm, layer.name)
        dip = statistics.dip_test(kept, rng)
        everything = statistics.weight_statistics(layer.weight, None, layer.fan_in)
        row = {
            **keys(checkpoint, number),
            "name": layer.name,
            **asdict(statistics.weight_statistics(layer.weight, layer.mask, layer.fan_in)),
            "std_scaled_all": everything.std_scaled,
            "second_moment_all": everything.second_moment,
            "dip": dip.dip,
            "dip_p_value": dip.p_value,
            "dip_n": dip.n,
            "bimodality_coefficient": statistics.bimodality_coefficient(kept),
            "distance_to_normal": statistics.distance_to_normal(kept),
            "density_at_zero_over_peak": statistics.density_at_zero_over_peak(kept),
            "selection_std_scaled": _selection_std(checkpoint, layer),
        }
        if ticket is not None:
            change = statistics.training_change(
                ticket.layers[number - 1].weight, layer.weight, layer.mask
            )
            row |= {
                "correlation_with_init": change.correlation,
                "sign_flip_fraction": change.sign_flip_fraction,
            }
        rows.append(row)
    return rows


def _selection_std(checkpoint: Checkpoint, layer: Layer) -> float:
    init = checkpoint.spec.init
    if init.scheme == "orthogonal":
        return float("nan")
    return float(statistics.selection_null_std(layer.density, init.sigma_w))


def weight_histograms(checkpoint: Checkpoint) -> tuple[np.ndarray, dict[str, statistics.Histogram]]:
    """Return (edges, histogram per layer) of the kept weights in units of 1/√fan_in."""
    edges = statistics.common_edges()
    return edges, {
        layer.name: statistics.histogram(
            layer.weight[layer.mask].astype(np.float64) * np.sqrt(layer.fan_in), edges
        )
        for layer in checkpoint.layers
    }


def degree_rows(checkpoint: Checkpoint) -> list[Row]:
    """Degrees, dead neurons, effective density and degree correlations, per layer and direction."""
    masks = [layer.mask for layer in checkpoint.layers]
    alive = degrees.connectivity(masks)
    height, width, channels = checkpoint.spec.dataset.shape
    rows = []
    for number, (layer, links) in enumerate(zip(checkpoint.layers, alive, strict=True), start=1):
        following = masks[number] if number < len(masks) else None
        shared = {
            "dead": links.dead,
            "no_path_from_input": links.no_path_from_input,
            "no_path_to_output": links.no_path_to_output,
            "effective_density": links.effective_density,
            "correlation_with_next": float("nan")
            if following is None
            else degrees.degree_correlation(layer.mask, following),
        }
        if number == 1 and layer.kind == "linear":
            locality = degrees.input_locality(layer.mask, (channels, height, width))
            shared |= {
                "input_distance": locality.mean,
                "input_distance_random": locality.random,
                "input_distance_between": locality.between,
            }
        for direction in ("in", "out"):
            summary = asdict(degrees.degree_summary(layer.mask, direction))
            rows.append({**keys(checkpoint, number), "name": layer.name, **summary, **shared})
    return rows


def spectra_rows(checkpoint: Checkpoint) -> tuple[list[Row], list[Row]]:
    """Return (statistics, densities) of the eigenvalues of W Wᵀ per hidden layer.

    Eigenvalues are in units of the layer's own second moment times the number of columns, so that
    Marchenko–Pastur has variance 1. The null keeps the mask and redraws Gaussian weights of the
    same second moment; outliers lie beyond the largest eigenvalue of all its draws. A convolution
    is its (out, in·k²) matrix.
    """
    statistics_rows, density_rows = [], []
    centres = (EIGENVALUES[1:] + EIGENVALUES[:-1]) / 2
    for number, layer in hidden(checkpoint):
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
        participation = random_matrix.participation_ratio(vectors[:, -3:])[::-1]
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
        mp = random_matrix.marchenko_pastur_density(centres, ratio)
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
    return matrix @ matrix.T / (matrix.shape[1] * np.mean(matrix**2))


def _four_cycles(mask: np.ndarray) -> tuple[float, float]:
    """Return the 4-cycles of the bipartite graph, and their number expected at its density."""
    common = mask.astype(np.float64) @ mask.T.astype(np.float64)
    shared = common[np.triu_indices(len(mask), 1)]
    rows, columns = mask.shape
    expected = rows * (rows - 1) / 2 * columns * (columns - 1) / 2 * mask.mean() ** 4
    return float(np.sum(shared * (shared - 1) / 2)), float(expected)

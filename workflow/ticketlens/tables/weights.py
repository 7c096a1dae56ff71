"""Tables about weights and masks of one checkpoint: moments, histograms, degrees."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from ticketlens.architecture import is_residual
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import graph, locality, weights
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, Rows, keys
from ticketlens.tables.histograms import write_histograms
from ticketlens.tables.spectra import spectra_rows
from ticketlens.theory import selection_null
from ticketlens.tickets.initialization import initial_layers, is_normal


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
        dip = weights.dip_test(kept, rng)
        everything = weights.weight_statistics(layer.weight, None, layer.fan_in)
        row = {
            **keys(checkpoint, number),
            "name": layer.name,
            **asdict(weights.weight_statistics(layer.weight, layer.mask, layer.fan_in)),
            "std_scaled_all": everything.std_scaled,
            "second_moment_all": everything.second_moment,
            "dip": dip.dip,
            "dip_p_value": dip.p_value,
            "dip_n": dip.n,
            "bimodality_coefficient": weights.bimodality_coefficient(kept),
            "distance_to_normal": weights.distance_to_normal(kept),
            "density_at_zero_over_peak": weights.density_at_zero_over_peak(kept),
            "selection_std_scaled": _selection_std(checkpoint, layer),
        }
        if ticket is not None:
            change = weights.training_change(
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
    if not is_normal(init.scheme) or "source" in checkpoint.extra:  # of a foreign file
        return float("nan")
    return float(selection_null.std(layer.density, init.sigma_w))


def weight_histograms(checkpoint: Checkpoint) -> tuple[np.ndarray, dict[str, weights.Histogram]]:
    """Return (edges, histogram per layer) of the kept weights in units of 1/√fan_in.

    Trained weights spread further than initial ones: three times the range, in bins as wide.
    """
    is_ticket = checkpoint.kind == "ticket"
    edges = weights.common_edges() if is_ticket else weights.common_edges(24.0, 3 * 161)
    return edges, {
        layer.name: weights.histogram(
            layer.weight[layer.mask].astype(np.float64) * np.sqrt(layer.fan_in), edges
        )
        for layer in checkpoint.layers
    }


def degree_rows(checkpoint: Checkpoint) -> list[Row]:
    """Degrees, dead neurons, effective density and degree correlations, per layer and direction.

    Paths take the skips of a residual network (see `degrees`). `kept_by_size` compares the mask
    with pruning by |theta_0| (NaN for a file's ticket, whose theta_0 is not drawn).
    """
    masks = [layer.mask for layer in checkpoint.layers]
    alive = graph.connectivity(masks, is_residual(checkpoint.spec.network))
    height, width, channels = checkpoint.spec.dataset.shape
    is_drawn = "source" not in checkpoint.extra
    theta_0 = initial_layers(checkpoint.spec, checkpoint.seed) if is_drawn else None
    rows = []
    for number, (layer, links) in enumerate(zip(checkpoint.layers, alive, strict=True), start=1):
        following = masks[number] if number < len(masks) else None
        shared = {
            "dead": links.dead,
            "no_path_from_input": links.no_path_from_input,
            "no_path_to_output": links.no_path_to_output,
            "effective_density": links.effective_density,
            "kept_by_size": float("nan")
            if theta_0 is None
            else graph.kept_by_size(layer.mask, theta_0[number - 1].weight),
            "correlation_with_next": float("nan")
            if following is None
            else graph.degree_correlation(layer.mask, following),
        }
        if number == 1 and layer.kind == "linear":
            found = locality.input_locality(layer.mask, (channels, height, width))
            shared |= {
                "input_distance": found.mean,
                "input_distance_random": found.random,
                "input_distance_between": found.between,
            }
        for direction in ("in", "out"):
            summary = asdict(graph.degree_summary(layer.mask, direction))
            # Dead neurons and the like belong to the layer's own units, its outputs.
            own = shared if direction == "in" else {}
            rows.append({**keys(checkpoint, number), "name": layer.name, **summary, **own})
    return rows


def measure_weights(checkpoint: Checkpoint, ticket: Checkpoint) -> dict[str, Rows]:
    """Return the rows about a checkpoint's weights by table; `ticket` began its training."""
    is_ticket = checkpoint.kind == "ticket"
    edges, counts = weight_histograms(checkpoint)
    spectra, densities = spectra_rows(checkpoint)
    return {
        "weight_statistics": weight_statistics(checkpoint, None if is_ticket else ticket),
        "histograms": lambda path: write_histograms(path, checkpoint, edges, counts),
        "spectra": spectra,
        "spectral_densities": densities,
    }


def measure_degrees(checkpoint: Checkpoint) -> dict[str, Rows]:
    """Return the rows about the masks of a ticket."""
    return {"degrees": degree_rows(checkpoint)}

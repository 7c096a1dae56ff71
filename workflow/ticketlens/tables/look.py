"""Tables of one network alone, whatever there is of it: layers one by one, a chain, with images."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import READOUT, is_convolutional, is_residual
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import graph
from ticketlens.seeds import stream
from ticketlens.spec import Spec
from ticketlens.tables import columns, large_spectra, spectra, weights

LADDER_IMAGES = 50
JACOBIAN_IMAGES = 1
ISOMETRY_IMAGES = 10
GRADIENT_IMAGES = 20
KERNEL_IMAGES = 40
Tables = dict[str, list[columns.Row]]


def add(found: Tables, more: Mapping[str, list[columns.Row]]) -> None:
    """Append rows to the tables that there are."""
    for name, rows in more.items():
        found.setdefault(name, []).extend(rows)


def weights_of_chain(chain: Checkpoint) -> Tables:
    """Return the tables of weights, degrees and spectra of a chain; spectra of hidden layers."""
    tables: Tables = {
        "weight_statistics": weights.weight_statistics(chain),
        "degrees": weights.degree_rows(chain),
    }
    for number, layer in columns.hidden(chain):
        add(tables, _spectra(chain, number, layer))
    return tables


def _spectra(checkpoint: Checkpoint, number: int, layer: Layer) -> Tables:
    if not layer.mask.any() or min(layer.mask.shape[:2]) < 2:
        return {}  # no spectrum to speak of
    if large_spectra.is_large(layer):
        statistics, densities = large_spectra.large_spectra_rows(checkpoint, number)
    else:
        single = dataclasses.replace(checkpoint, layers=(layer,))
        statistics, densities = spectra.spectra_rows(single)
        for row in (*statistics, *densities):
            row["layer"] = number
    return {"spectra": statistics, "spectral_densities": densities}


def weights_of_layer(layer: Layer, number: int, state: str, source: str) -> Tables:
    """Return the tables of layer `number` of a file that is not, or need not be, a chain.

    Weights are zero off the mask; of a mask alone there are degrees.
    """
    kind = "ticket" if state == "init" else "trained"
    study = re.sub(r"[^A-Za-z0-9-]+", "-", Path(source).stem).strip("-") or "file"
    single = Checkpoint(kind, study, 0, 1, "imp", Spec(), (layer,), extra={"source": study})
    key = {**columns.keys(single), "layer": number, "density": layer.density}
    tables: Tables = {
        "degrees": [
            {**key, "name": layer.name, **asdict(graph.degree_summary(layer.mask, direction))}
            for direction in ("in", "out")
        ]
    }
    if layer.weight is None:
        return tables
    tables["weight_statistics"] = weights.weight_statistics(single)
    if layer.name != READOUT:
        add(tables, _spectra(single, 1, single.layers[0]))
    for rows in tables.values():
        for row in rows:
            row["layer"] = number
    for name in ("spectra", "spectral_densities"):
        for index, row in enumerate(tables.get(name, ())):
            keyed = {**key, "name": layer.name}
            tables[name][index] = keyed | {k: v for k, v in row.items() if k not in keyed}
    return tables


def signal_of_chain(
    chain: Checkpoint,
    images: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64] | None,
    notes: list[str],
) -> Tables:
    """Return the tables that need images (n, channels, height, width), `labels` (n,) if known.

    Without labels the columns that need them are NaN: `log_loss`, `label_alignment`. Raises
    ValueError for networks with skips.
    """
    if is_residual(chain.spec.network):
        raise ValueError("networks with skips: their signal is measured by the workflow only")
    from ticketlens.tables import signal

    tables: Tables = {}
    rng = stream(chain.seed, "perturbation")
    is_deep = len(chain.layers) > 2
    if is_convolutional(chain.spec):
        from ticketlens.measure.conv.signal import measure as measure_conv

        measured = measure_conv(chain.layers, chain.spec, images, rng)
    else:
        from ticketlens.measure.signal import measure as measure_dense

        measured = measure_dense(chain.layers, chain.spec.network.activation, images, rng)
    if is_deep:
        add(tables, _jacobians(chain, images))
        tables["chi"] = signal.chi_rows(chain, measured, images)
    else:
        notes.append("one hidden layer: chi and Jacobians belong to two or more")
    add(tables, _backward(chain, images, labels))
    tables["qmap"] = signal.qmap_rows(chain, measured.q)
    tables["cmap"] = signal.cmap_rows(chain, measured)
    tables["ladder"] = signal.ladder_rows(chain, images[:LADDER_IMAGES])
    tables["decomposition"] = signal.decomposition_rows(chain, images[:LADDER_IMAGES])
    return tables


def _jacobians(chain: Checkpoint, images: npt.NDArray[np.float64]) -> Tables:
    few = images[:ISOMETRY_IMAGES]
    if is_convolutional(chain.spec):
        from ticketlens.tables import jacobian_conv

        return {
            "jacobian": jacobian_conv.jacobian_rows(chain, few),
            "isometry": jacobian_conv.isometry_rows(chain, few),
        }
    from ticketlens.tables import jacobian

    statistics, spectrum = jacobian.jacobian_rows(chain, images[:JACOBIAN_IMAGES])
    return {
        "jacobian": statistics,
        "jacobian_spectrum": spectrum,
        "isometry": jacobian.isometry_rows(chain, few),
    }


def _backward(
    chain: Checkpoint, images: npt.NDArray[np.float64], labels: npt.NDArray[np.int64] | None
) -> Tables:
    """Return gradients, and the tangent kernel of a fully connected network."""
    from ticketlens.measure.nulls import null_networks

    is_conv = is_convolutional(chain.spec)
    if is_conv:
        from ticketlens.tables.gradients_conv import gradient_rows
    else:
        from ticketlens.tables.gradients import gradient_rows

    known = np.zeros(len(images), np.int64) if labels is None else labels
    few = _spread(len(images), GRADIENT_IMAGES)
    is_ticket = chain.kind == "ticket"
    nulls = null_networks(chain.layers, chain.spec, chain.seed, chain.round) if is_ticket else {}
    tables: Tables = {"gradients": gradient_rows(chain, images[few], known[few], nulls=nulls)}
    if not is_conv:
        from ticketlens.tables.ntk import ntk_rows

        classes, counts = np.unique(known, return_counts=True)
        per_class = min(max(1, KERNEL_IMAGES // len(classes)), int(counts.min()))
        tables["ntk"], tables["ntk_spectra"] = ntk_rows(chain, images, known, per_class, nulls)
    for name, column in (("gradients", "log_loss"), ("ntk", "label_alignment")):
        for row in tables.get(name, ()) if labels is None else ():
            row[column] = float("nan")
    return tables


def _spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most `most` indices, spread evenly: of images that are sorted by class, of all."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))

"""Tables of the change that training makes: spikes per layer, and what they classify alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticketlens import random_matrix
from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import change
from ticketlens.measure.gradients import Floats
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, keys
from ticketlens.theory.spikes import DRAWS, Split, null_edge, split

RANKS = (1, 2, 5, 10, 20, 50, 100)
MATRICES = ("initial", "trained", "change")
Images = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]


def splits(trained: Checkpoint, ticket: Checkpoint, draws: int = DRAWS) -> list[dict[str, Split]]:
    """Return per layer the splits of theta_0, W and D = W − theta_0, at one null of the mask.

    Raises ValueError if `ticket` is not the one that was trained.
    """
    if (trained.study, trained.seed, trained.round, trained.arm) != (
        ticket.study, ticket.seed, ticket.round, ticket.arm,
    ):  # fmt: skip
        raise ValueError(
            f"trained {trained.study} seed {trained.seed} round {trained.round} arm {trained.arm} "
            f"beside ticket {ticket.study} seed {ticket.seed} round {ticket.round} arm {ticket.arm}"
        )
    found = []
    differences = change.changes(trained.layers, ticket.layers)
    for before, after, difference in zip(ticket.layers, trained.layers, differences, strict=True):
        rng = stream(trained.seed, "change-null", trained.round, before.name)
        edge = null_edge(before.mask, rng, draws)
        matrices = (before.weight, after.weight, difference)
        found.append({name: split(own, edge) for name, own in zip(MATRICES, matrices, strict=True)})
    return found


def spectrum_rows(
    trained: Checkpoint, ticket: Checkpoint, parts: Sequence[dict[str, Split]],
    images: Images, labels: Labels,
) -> list[Row]:  # fmt: skip
    """Return one row per layer and matrix (initial, trained, change): spikes, and where they point.

    `spikes` lie beyond the edge of Gaussian matrices on the same mask, `beyond_marchenko_pastur`
    beyond that law's, which knows no mask. Overlaps are mean squared cosines of the spikes'
    directions (of the first, where there are none) with the span of as many leading directions of
    theta_0 and W, of the class means of `images` (layer 1, inputs) and of the readout's rows (last
    hidden layer, outputs); `…_chance` is that of random directions. `image_variance` is the images'
    variance along the input directions of layer 1, over the mean one.
    """
    readout = [layer for layer in trained.layers if layer.name == READOUT]
    hidden = [layer for layer in trained.layers if layer.name != READOUT]
    means = change.span(change.class_means(images, labels))
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    per_pixel = float(np.mean(np.var(flat, axis=0)))
    rows = []
    for number, (layer, own) in enumerate(zip(trained.layers, parts, strict=True), start=1):
        for name, part in own.items():
            count = max(1, part.spikes)
            outputs, inputs = part.left[:, :count], part.right[:count].T
            row = {
                **keys(trained, number), "name": layer.name, "matrix": name,
                "spikes": part.spikes, "spike_share": part.spike_share,
                "largest_over_edge": float(part.values[0] / part.edge) if part.edge else np.nan,
                "beyond_marchenko_pastur": _beyond_marchenko_pastur(part),
                "norm": float(np.sqrt(np.sum(part.values**2))),
                "overlap_initial_out": change.overlap(outputs, own["initial"].left[:, :count]),
                "overlap_trained_out": change.overlap(outputs, own["trained"].left[:, :count]),
                "overlap_out_chance": count / len(part.left),
                "overlap_initial_in": change.overlap(inputs, own["initial"].right[:count].T),
                "overlap_trained_in": change.overlap(inputs, own["trained"].right[:count].T),
                "overlap_in_chance": count / part.right.shape[1],
            }  # fmt: skip
            if number == 1 and layer.kind == "linear":
                row |= {
                    "class_means": change.overlap(inputs, means),
                    "class_means_chance": means.shape[1] / len(means),
                    "image_variance": float(np.mean(np.var(flat @ inputs, axis=0)) / per_pixel),
                }
            if number == len(hidden) and readout:
                rows_of_readout = change.span(readout[0].weight)
                row |= {
                    "readout_rows": change.overlap(outputs, rows_of_readout),
                    "readout_rows_chance": rows_of_readout.shape[1] / len(rows_of_readout),
                }
            rows.append(row)
    return rows


def accuracy_rows(
    trained: Checkpoint, ticket: Checkpoint, parts: Sequence[dict[str, Split]],
    images: Images, labels: Labels, ranks: Sequence[int] = RANKS,
) -> list[Row]:  # fmt: skip
    """Return the accuracy on `images` (validation) of theta_0 with parts of the change added.

    Column `network`: theta_0; trained; spikes and bulk (theta_0 + those of D), rank (theta_0 + the
    `rank` leading directions of every layer's D); control-spikes and control-bulk are W's own
    spikes or bulk alone. All but theta_0 have the trained biases; masks are applied again. Fully
    connected networks only.
    """
    activation = trained.spec.network.activation
    nothing = [np.zeros_like(layer.weight) for layer in ticket.layers]
    bare = [_without_weights(layer) for layer in ticket.layers]

    def added(start: Sequence[Layer], matrices: Sequence[Floats]) -> float:
        layers = change.with_change(start, trained.layers, matrices)
        return change.accuracy(layers, activation, images, labels)

    def leading(name: str, ranks_: Sequence[int]) -> list[Floats]:
        return [own[name].leading(rank) for own, rank in zip(parts, ranks_, strict=True)]

    def of(name: str) -> tuple[list[Floats], list[Floats]]:
        spikes = leading(name, [own[name].spikes for own in parts])
        whole = leading(name, [len(own[name].values) for own in parts])
        return spikes, [a - b for a, b in zip(whole, spikes, strict=True)]

    spikes, bulk = of("change")
    own_spikes, own_bulk = of("trained")
    found = {
        ("theta_0", 0): change.accuracy(ticket.layers, activation, images, labels),
        ("theta_0, trained biases", 0): added(ticket.layers, nothing),
        ("trained", 0): change.accuracy(trained.layers, activation, images, labels),
        ("spikes", 0): added(ticket.layers, spikes),
        ("bulk", 0): added(ticket.layers, bulk),
        ("control-spikes", 0): added(bare, own_spikes),
        ("control-bulk", 0): added(bare, own_bulk),
    }
    for rank in ranks:
        found["rank", rank] = added(ticket.layers, leading("change", [rank] * len(parts)))
    return [
        {
            **keys(trained), "network": name, "rank": rank, "images": len(images),
            "validation_accuracy": value,
        }
        for (name, rank), value in found.items()
    ]  # fmt: skip


def _without_weights(layer: Layer) -> Layer:
    return Layer(layer.name, layer.kind, np.zeros_like(layer.weight), layer.bias, layer.mask)


def _beyond_marchenko_pastur(part: Split) -> int:
    """Count singular values beyond the edge of a full Gaussian matrix of the same second moment."""
    outputs, inputs = len(part.left), part.right.shape[1]
    edge = random_matrix.marchenko_pastur_edges(outputs / inputs)[1]
    unit = float(np.sum(part.values**2)) / outputs
    return int(np.count_nonzero(part.values**2 > edge * unit))


def measure_change(
    trained: Checkpoint, images: np.ndarray, labels: np.ndarray, ticket: Checkpoint
) -> dict[str, list[Row]]:
    """Return the rows of the tables about the change, on `images` (n, …) with `labels` (n,)."""
    parts = splits(trained, ticket)
    return {
        "change_spectra": spectrum_rows(trained, ticket, parts, images, labels),
        "change_accuracy": accuracy_rows(trained, ticket, parts, images, labels),
    }

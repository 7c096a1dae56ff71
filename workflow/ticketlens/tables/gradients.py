"""Table of the gradients at every layer: the ticket's own, and those of the nulls N1 to N6."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import gradients
from ticketlens.measure.nulls import null_networks
from ticketlens.tables.columns import Row, keys

NULL_DRAWS = 3
Nulls = Mapping[str, Sequence[Layer]]
Measure = Callable[[Sequence[Layer]], gradients.Gradients]


def gradient_rows(
    checkpoint: Checkpoint,
    images: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    draws: int = NULL_DRAWS,
    nulls: Nulls | None = None,
) -> list[Row]:
    """Return ln G_l of logits and loss at layers 0 … L, of a fully connected checkpoint."""

    def measure(layers: Sequence[Layer]) -> gradients.Gradients:
        return gradients.backward(layers, checkpoint.spec.network.activation, images, labels)

    return rows_of(checkpoint, measure, draws, nulls)


def rows_of(
    checkpoint: Checkpoint, measure: Measure, draws: int, nulls: Nulls | None = None
) -> list[Row]:
    """Return one row per network and layer; a null's numbers are means of ln G_l over `draws`.

    Column `network`: the ticket itself, and for tickets each null. Layer 0 are the pixels; its
    density is that of all weights. `log_logits` is ln E ‖dlogits/dh^l‖_F²/(number of logits),
    `log_loss` ln E ‖dloss/dh^l‖². The draws are the first ones of `isometry`,
    or `nulls`, networks by name, which then are the only draw.
    """
    found = {"ticket": [measure(checkpoint.layers)]}
    draws = draws if nulls is None else 1
    for draw in range(draws if checkpoint.kind == "ticket" else 0):
        drawn = (
            nulls
            if nulls is not None
            else null_networks(
                checkpoint.layers, checkpoint.spec, checkpoint.seed, checkpoint.round, draw
            )
        )
        for name, layers in drawn.items():
            found.setdefault(name, []).append(measure(layers))
    rows = []
    for name, values in found.items():
        logits = np.mean([own.log_logits for own in values], axis=0)
        loss = np.mean([own.log_loss for own in values], axis=0)
        for number in range(len(logits)):
            rows.append(
                {
                    **_keys(checkpoint, number),
                    "name": "pixels" if number == 0 else checkpoint.layers[number - 1].name,
                    "network": name,
                    "draws": len(values),
                    "images": len(values[0].loss),
                    "log_logits": float(logits[number]),
                    "log_loss": float(loss[number]),
                }
            )
    return rows


def _keys(checkpoint: Checkpoint, layer: int) -> Row:
    return keys(checkpoint, layer) if layer else {**keys(checkpoint), "layer": 0}


def measure_gradients(
    checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray
) -> dict[str, list[Row]]:
    """Return the rows of the table `gradients`, on `images` (n, …) with `labels` (n,)."""
    return {"gradients": gradient_rows(checkpoint, images, labels)}

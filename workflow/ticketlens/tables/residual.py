"""The table about one checkpoint of a residual network: q, c and chi per hidden layer and block."""

from __future__ import annotations

import numpy as np

from ticketlens.checkpoint import Checkpoint
from ticketlens.measure import residual
from ticketlens.measure.gains import GAINS
from ticketlens.measure.residual import ResidualSignal
from ticketlens.seeds import stream
from ticketlens.tables.columns import Row, hidden, keys


def residual_rows(checkpoint: Checkpoint, found: ResidualSignal, images: np.ndarray) -> list[Row]:
    """Return one row per hidden layer: `part` "trunk" (the stem is block 0) or "inside" of a block.

    q: measured, with its sd over images; `q_naive`, `q_second_moment`: theory on the same `images`,
    R0 and R1. Of the trunk also c of pairs of images, and behind a block what the block does:
    `q_branch`, the mean square that it adds; `chi` = ‖dh'/dh‖_F²/N, measured and in both theories;
    `slope` of the C-map at c = 1 (median over perturbations), and `slope_expected`, chi_block·q/q'
    with R1's sigma_w and the measured q, mean over images. NaN elsewhere.
    """
    network = checkpoint.spec.network
    theory = {name: residual.predict(name, checkpoint.layers, images, network) for name in GAINS}
    q = found.q.mean(axis=0)
    expected = residual.chi_at(found.q, checkpoint.layers, network.activation)
    slope_expected = expected * found.q[:, :-1:2] / found.q[:, 2::2]
    c = 1 - found.pair_distance
    columns = {
        "q": q,
        "q_sd": found.q.std(axis=0, ddof=1),
        **{f"q_{name}": theory[name].q for name in theory},
    }
    of_trunk = {"c": c.mean(axis=0), "c_sd": c.std(axis=0, ddof=1)}
    of_blocks = {
        "q_branch": found.branch.mean(axis=0),
        "chi": found.chi.mean(axis=0),
        "chi_sd": found.chi.std(axis=0, ddof=1),
        **{f"chi_{name}": theory[name].chi for name in theory},
        "slope": np.median(found.perturbation_slope, axis=0),
        "slope_expected": slope_expected.mean(axis=0),
    }
    rows = []
    for index, (number, _) in enumerate(hidden(checkpoint)):
        block, is_inside = number // 2, number % 2 == 0
        row = {
            **keys(checkpoint, number),
            "block": block,
            "part": "inside" if is_inside else "trunk",
        }
        row |= {name: float(values[index]) for name, values in columns.items()}
        for table, first in ((of_trunk, 0), (of_blocks, 1)):
            has = not is_inside and block >= first
            row |= {
                name: float(values[block - first]) if has else float("nan")
                for name, values in table.items()
            }
        rows.append(row)
    return rows


def measure_residual(
    checkpoint: Checkpoint, images: np.ndarray, jacobian_images: np.ndarray
) -> dict[str, list[Row]]:
    """Measure a fully connected network with skips on `images` (n, …).

    chi is measured on as many of them as there are `jacobian_images`.
    """
    rng = stream(checkpoint.seed, "perturbation")
    activation, count = checkpoint.spec.network.activation, len(jacobian_images)
    signal = residual.measure(checkpoint.layers, activation, images, rng, count)
    return {"residual": residual_rows(checkpoint, signal, images)}

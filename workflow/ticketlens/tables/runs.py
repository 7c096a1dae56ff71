"""Tidy tables of trained networks: accuracies and losses, one row a run, and training curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.checkpoint import CURVES, RunSummary

if TYPE_CHECKING:
    import pandas as pd


def accuracy(runs: Iterable[RunSummary]) -> pd.DataFrame:
    """Return one row per run: accuracies and losses on all parts, densities, best epoch.

    `{part}_accuracy` and `{part}_loss` belong to the last epoch's weights, with the suffix
    `_best_validation` to those of the best validation epoch; `untrained_*` are the ticket's on the
    validation images; `density_{layer}` is per layer.
    """
    import pandas as pd

    rows = []
    for run in runs:
        row = _identity(run)
        for part in ("test", "validation", "train"):
            for suffix in ("", "_best_validation"):
                for quantity in ("accuracy", "loss"):
                    value = run.history[f"final_{part}_{quantity}{suffix}"]
                    row[f"{part}_{quantity}{suffix}"] = _scalar(value)
        for quantity in ("accuracy", "loss"):
            row[f"untrained_{quantity}"] = _scalar(run.history[f"untrained_{quantity}"])
        row["best_epoch"] = int(_scalar(run.history["best_epoch"]))
        row["epochs"] = run.spec.training.epochs
        row["diverged"] = bool(_scalar(run.history["diverged"]))
        row |= {f"density_{name}": kept / size for name, (kept, size) in run.kept.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def training_curves(runs: Iterable[RunSummary]) -> pd.DataFrame:
    """Return one row per run and epoch: the losses and accuracies during training."""
    import pandas as pd

    frames = []
    for run in runs:
        curves = {name: np.asarray(run.history[name], dtype=float) for name in CURVES}
        epochs = np.arange(1, len(curves[CURVES[0]]) + 1)
        frames.append(pd.DataFrame({**_identity(run), "epoch": epochs, **curves}))
    return pd.concat(frames, ignore_index=True)


def _identity(run: RunSummary) -> dict[str, object]:
    return {
        "study": run.study,
        "seed": run.seed,
        "round": run.round,
        "density": run.density,
        "arm": run.arm,
    }


def _scalar(value: np.ndarray) -> float:
    return float(np.asarray(value).reshape(-1)[0])

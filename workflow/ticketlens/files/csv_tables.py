"""Tidy tables: key columns first, one value per row and column, full float precision."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.checkpoint import CURVES, RunSummary
from ticketlens.files.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("study", "seed", "round", "density", "arm", "state", "layer")


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table atomically, key columns first, rows sorted by them.

    Floats are written so that reading gives the same bits; missing values are empty.
    """
    keys = [key for key in KEYS if key in table.columns]
    others = [column for column in table.columns if column not in keys]
    by = [key for key in keys if key != "density"]
    with replacing(path) as temporary:
        ordered = table[[*keys, *others]].sort_values(by, kind="stable")
        ordered.to_csv(temporary, index=False)


def write_rows(path: str | os.PathLike, rows: Sequence[Mapping[str, object]]) -> None:
    """Write one checkpoint's rows as CSV, atomically, without pandas (whose import takes longer).

    Columns are those of all rows, in order of appearance; what a row lacks is empty, as is NaN.
    Raises ValueError if there are no rows.
    """
    if not rows:
        raise ValueError(f"{path}: nothing was measured")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)


def concatenated(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Return the rows of all files, which `write_rows` wrote."""
    import pandas as pd

    frames = [pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in paths]
    return pd.concat(frames, ignore_index=True)


def _text(value: object) -> str:
    """Return the shortest text that reads back as the same value."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else repr(float(value))
    return str(value)


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

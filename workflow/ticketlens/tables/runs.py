"""Tidy tables of trained networks: accuracies and losses, one row a run, and training curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.checkpoint import CURVES, RunSummary, read_summary
from ticketlens.spec import Spec
from ticketlens.tickets import bank

if TYPE_CHECKING:
    import pandas as pd


def of_files(
    trained: Sequence[str], banks: Sequence[str], chains: Sequence[tuple[str, int, int, str]]
) -> dict[str, pd.DataFrame]:
    """Return the tables `accuracy` and `curves` of trained networks and of chains in the bank.

    `chains` has study, seed, last round and spec (JSON) of each file of `banks`.
    Raises BankError as `bank.check_chain`.
    """
    runs = [read_summary(path) for path in trained]
    for path, (study, seed, rounds, spec) in zip(banks, chains, strict=True):
        chain = bank.read_bank(path)
        bank.check_chain(chain, study, seed, Spec.from_json(spec))
        runs += bank.summaries(chain, rounds)
    return {"accuracy": accuracy(runs), "curves": training_curves(runs)}


def accuracy(runs: Iterable[RunSummary]) -> pd.DataFrame:
    """Return one row per run: accuracies and losses on all parts, densities, best epoch.

    `{part}_accuracy` and `{part}_loss` belong to the last epoch's weights, with the suffix
    `_best_validation` to those of the best validation epoch; `untrained_*` are the ticket's on the
    validation images; `density_{layer}` is per layer. `cpu_capability` is the kind of CPU, several
    if the run was resumed on another; empty for chains in the bank and for files of 0.1.0.
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
        row["cpu_capability"] = str(run.extra.get("cpu_capability", ""))
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

"""The ladder taken apart, from its table: what each assumption adds to ln q."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd


def log_q(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ln q of every rung, mean over layers: columns seed, round, density and the rungs.

    `rows` are of ladder.csv: one study and state, rungs of one mode and the measured ones.
    """
    rows = rows.assign(log_q=np.log(rows["q"].where(rows["q"] > 0)))
    keys = ["seed", "round"]
    logs = rows.pivot_table(index=keys, columns="rung", values="log_q", aggfunc="mean")
    return logs.join(rows.groupby(keys)["density"].mean()).reset_index()


def steps(logs: pd.DataFrame, rungs: Sequence[str]) -> pd.DataFrame:
    """Return the steps between successive rungs, and their total, less round 0 if that is there.

    Columns seed, round, density, one for each rung but the first, by the name of the rung that it
    leads to, and `total`.
    """
    differences = logs[["seed", "round", "density"]].copy()
    for below, rung in pairwise(rungs):
        differences[rung] = logs[rung] - logs[below]
    differences["total"] = logs[rungs[-1]] - logs[rungs[0]]
    names = [*rungs[1:], "total"]
    dense = differences[differences["round"] == 0].set_index("seed")[names]
    if len(dense):  # tickets from files may have no round 0
        differences[names] -= dense.loc[differences["seed"]].to_numpy()
    return differences

"""The factorial's cells against IMP: see `study.factorial` for what a cell is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ticketlens.study.factorial import Cell
from ticketlens.verdicts.contrasts import QUANTITIES, differences
from ticketlens.verdicts.inference import t_interval

if TYPE_CHECKING:
    import pandas as pd


def tables(
    accuracy: pd.DataFrame, cells: Iterable[tuple[int, str, str, str, str]], study: str
) -> dict[str, pd.DataFrame]:
    """Return the tables `by_seed` and `table` of `contrasts`; `cells` are the fields of cells."""
    by_seed, table = contrasts(accuracy, [Cell(*cell) for cell in cells], study)
    return {"by_seed": by_seed, "table": table}


def contrasts(
    accuracy: pd.DataFrame, table: list[Cell], study: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (cells by seed, cells): accuracy minus the IMP ticket's, in percentage points.

    `accuracy` has the columns of accuracy.csv. The first table has a row per round, combination,
    quantity and seed; the second the mean over seeds with its 95 % t-interval (unadjusted: the
    table explores) and `n`, 0 for a combination that is left out, with its `reason`.
    Raises ValueError if a seed of an arm has no IMP ticket.
    """
    import pandas as pd

    by_seed, means = [], []
    for cell in table:
        runs = accuracy[(accuracy["study"] == study) & (accuracy["round"] == cell.round)]
        imp = runs[runs["arm"] == "imp"].set_index("seed")
        for quantity in QUANTITIES:
            key = {"study": study, "round": cell.round, "density": imp["density"].mean(),
                   "arm": cell.arm, "mask": cell.mask, "weights": cell.weights,
                   "quantity": quantity}  # fmt: skip
            if cell.reason:
                means.append({**key, "n": 0, "reason": cell.reason})
                continue
            values = differences(study, runs, cell.arm, quantity)
            seeds = sorted(runs.loc[runs["arm"] == cell.arm, "seed"])
            for seed, value in zip(seeds, values, strict=True):
                density = imp.loc[seed, "density"]
                by_seed.append({**key, "seed": seed, "density": density, "difference": value})
            interval = t_interval(values)
            bounds = {name: getattr(interval, name) for name in ("mean", "lower", "upper", "n")}
            means.append({**key, **bounds, "reason": ""})
    return pd.DataFrame(by_seed), pd.DataFrame(means)

"""Predictors: does a property of tickets rank them by the accuracy that they reach?

At fixed study, seed and round all arms, the IMP ticket among them, are ranked by a property of
their `init` state and by test accuracy; Kendall's tau says how well the rankings agree. The arms
are few and chosen, the same for all seeds: an interval over seeds speaks of other seeds with these
arms, not of other arms. `independence_band` says how large |tau| gets by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ticketlens.architecture import READOUT
from ticketlens.files.csv_tables import read_table
from ticketlens.study.catalogue.tables import MIN_ARMS
from ticketlens.verdicts.contrasts import QUANTITIES
from ticketlens.verdicts.inference import t_interval

if TYPE_CHECKING:
    import pandas as pd

TICKET = ["study", "seed", "round", "arm"]


@dataclass(frozen=True)
class Property:
    """A number per ticket: the mean of a table's column, over the last half of the hidden layers.

    `rows` selects rows by other columns; a table without layers is not `deep`.
    """

    table: str
    column: str
    label: str
    rows: Mapping[str, str | int] | None = None
    deep: bool = True
    transform: Callable[[np.ndarray], np.ndarray] | None = None


def _distance_from_1(values: np.ndarray) -> np.ndarray:
    return cast(np.ndarray, np.abs(np.log(values)))


PROPERTIES: dict[str, Property] = {
    "q": Property("qmap", "q", r"$q$"),
    "chi": Property("chi", "chi_frobenius", r"$\chi$ (Frobenius)"),
    "criticality": Property(
        "chi", "chi_frobenius", r"$|\log\,\chi|$", transform=_distance_from_1
    ),
    "slope": Property("chi", "slope", "slope of the C-map"),
    "correlation": Property("cmap", "c", r"$c$, correlation of images"),
    "weight_std": Property(
        "weight_statistics", "std_scaled", r"weights' std $\cdot\sqrt{fan\_in}$"
    ),
    "bimodality": Property("weight_statistics", "bimodality_coefficient", "bimodality of weights"),
    "in_degree_cv": Property(
        "degrees", "coefficient_of_variation", "in-degree, sd / mean", {"direction": "in"}
    ),
    "effective_density": Property(
        "degrees", "effective_density", "effective density", {"direction": "in"}
    ),
    "log_jacobian": Property(
        "isometry", "log_frobenius", r"$\log(\|J\|_F^2/N)$", {"network": "ticket"}, deep=False
    ),
    "jacobian_excess": Property(
        "isometry", "excess", r"$\log(\|J\|_F^2/N)-\Sigma\log\chi$", {"network": "ticket"},
        deep=False,
    ),
    "jacobian_spread": Property(
        "jacobian", "log_sd", r"sd of $\log s$",
        {"network": "ticket", "jacobian": "hidden"}, deep=False,
    ),
    "gradient": Property(
        "gradients", "log_logits", r"$\ln G_1$ of the logits", {"network": "ticket", "layer": 1},
        deep=False,
    ),
    "ntk_trace": Property(
        "ntk", "log_trace", r"$\ln(\mathrm{tr}\,K/n)$", {"network": "ticket"}, deep=False
    ),
    "ntk_rank": Property(
        "ntk", "effective_rank", "effective rank of $K$", {"network": "ticket"}, deep=False
    ),
    "label_alignment": Property(
        "ntk", "label_alignment", "alignment of $K$ with labels", {"network": "ticket"}, deep=False
    ),
}  # fmt: skip


def of_files(accuracy: pd.DataFrame, measured: Iterable[str]) -> pd.DataFrame:
    """Return `predictors` of the tables of measurements in CSV files, named by their tables."""
    return predictors(accuracy, {Path(path).stem: read_table(path) for path in measured})


def predictors(accuracy: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per study, round, accuracy column and property: tau over seeds.

    `accuracy` is accuracy.csv, `tables` the tables of measurements by name; a property is left out
    where its table is missing or measures fewer than three arms, or where it does not vary. tau
    is tau-b; `mean`, `lower`, `upper` are over seeds (NaN bounds for one seed; cut at ±1). `band`
    is that of `independence_band` for `arms` tickets. Runs that diverged count, at chance accuracy.
    Raises ValueError if no property can be compared anywhere.
    """
    import pandas as pd

    runs = accuracy[["study", "seed", "round", "arm", "density", *QUANTITIES]]
    rows = []
    for name, wanted in PROPERTIES.items():
        if wanted.table not in tables:
            continue
        joined = runs.merge(
            values(tables[wanted.table], wanted), on=["study", "seed", "round", "arm"]
        )
        for (study, number), group in joined.groupby(["study", "round"], sort=True):
            for quantity in QUANTITIES:
                taus, arms = _taus(group, quantity)
                if not taus:
                    continue
                interval = t_interval(taus)
                rows.append(
                    {
                        "study": study,
                        "round": number,
                        "density": group.loc[group["arm"] == "imp", "density"].mean(),
                        "quantity": quantity,
                        "property": name,
                        "mean": interval.mean,
                        "lower": np.maximum(interval.lower, -1),
                        "upper": np.minimum(interval.upper, 1),
                        "arms": arms,
                        "seeds": interval.n,
                        "band": independence_band(arms),
                    }
                )
    if not rows:
        raise ValueError(
            f"no property is measured on {MIN_ARMS} or more arms of one study, seed and round: add "
            "arms, or kinds to measure.arms"
        )
    return pd.DataFrame(rows)


def values(table: pd.DataFrame, wanted: Property) -> pd.DataFrame:
    """Return columns study, seed, round, arm, value: one row per ticket in which it is finite.

    None where no study of the table measures it: convolutions have no whole Jacobian spectrum.
    """
    if wanted.column not in table:
        return table.iloc[:0][TICKET].assign(value=0.0)
    rows = table[table["state"] == "init"] if "state" in table else table
    for column, value in (wanted.rows or {}).items():
        rows = rows[rows[column] == value]
    if wanted.deep:
        rows = rows[rows["name"] != READOUT] if "name" in rows else rows
        last = rows.groupby("study")["layer"].transform("max")
        rows = rows[rows["layer"] > last // 2]
    means = rows.groupby(TICKET)[wanted.column].mean().reset_index()
    found = means.rename(columns={wanted.column: "value"})
    if wanted.transform is not None:
        found["value"] = wanted.transform(found["value"].to_numpy())
    return found[np.isfinite(found["value"])]


def independence_band(arms: int, level: float = 0.05) -> float:
    """Return the least |tau| whose two-sided p is at most `level` if rankings are independent.

    Exact, without ties: tau = 1 − 4 k / (n (n − 1)) for k inversions, and the number of
    permutations with k inversions comes from the product of (1 + x + … + x^i), i < n. NaN where no
    |tau| is that rare (fewer than five arms).
    """
    counts = np.ones(1)
    for size in range(2, arms + 1):
        counts = np.convolve(counts, np.ones(size)) / size
    pairs = arms * (arms - 1) // 2
    tails = 2 * np.cumsum(counts[: (pairs + 1) // 2])  # P(|tau| >= 1 − 2 k / pairs)
    rare = np.flatnonzero(tails <= level * (1 + 1e-12))
    return float(1 - 2 * rare[-1] / pairs) if rare.size else float("nan")


def _taus(group: pd.DataFrame, quantity: str) -> tuple[list[float], int]:
    """Return tau of every seed that has one, and the number of arms ranked (the fewest)."""
    from scipy.stats import kendalltau  # 0.6 s to import

    taus, arms = [], []
    for _, runs in group.groupby("seed"):
        if len(runs) >= MIN_ARMS and min(runs["value"].nunique(), runs[quantity].nunique()) > 1:
            taus.append(float(kendalltau(runs["value"], runs[quantity]).statistic))
            arms.append(len(runs))
    return taus, min(arms, default=0)

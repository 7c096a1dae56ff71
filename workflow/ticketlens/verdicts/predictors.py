"""Predictors: does a property of tickets rank them by the accuracy that they reach?

Tickets are ranked by a property of their `init` state and by test accuracy; Kendall's tau says how
well the rankings agree. They are ranked twice. Across arms: at fixed study, seed and round all
arms, the IMP ticket among them. Along the chain: at fixed study and seed the IMP tickets of all
rounds, with the dense network of round 0.

The arms are few and chosen, the same for all seeds: an interval over seeds speaks of other seeds
with these arms, not of other arms. Along a chain everything changes with density, so that density
itself is among the properties there. `independence_band` says how large |tau| gets by chance; the
rounds of a chain are nested, not independent, so there it is only a mark on the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
ARMS, CHAIN = "arms", "chain"
DIGITS = 6


@dataclass(frozen=True)
class Property:
    """A number per ticket: the mean of a table's column, over the last half of the hidden layers.

    `rows` selects rows by other columns; a table without layers is not `deep`. `varies` names where
    it differs between tickets by design: across `ARMS` and along the `CHAIN`, or in one of them.
    """

    table: str
    column: str
    label: str
    rows: Mapping[str, str | int] | None = None
    deep: bool = True
    transform: Callable[[np.ndarray], np.ndarray] | None = None
    varies: tuple[str, ...] = (ARMS, CHAIN)


def _distance_from_1(values: np.ndarray) -> np.ndarray:
    return cast(np.ndarray, np.abs(np.log(values)))


PROPERTIES: dict[str, Property] = {
    "density": Property("accuracy", "density", "density", deep=False, varies=(CHAIN,)),
    "q": Property("qmap", "q", r"$q$"),
    "chi": Property("chi", "chi_frobenius", r"$\chi$ (Frobenius)"),
    "criticality": Property(
        "chi", "chi_frobenius", r"$|\log\,\chi|$", transform=_distance_from_1
    ),
    "slope": Property("chi", "slope", "slope of the C-map"),
    "correlation": Property("cmap", "c", r"$c$, correlation of images"),
    "weight_std": Property(
        "weight_statistics", "std_scaled", r"weights' std $\cdot\sqrt{N_\mathrm{in}}$"
    ),
    "bimodality": Property("weight_statistics", "bimodality_coefficient", "bimodality of weights"),
    "in_degree_cv": Property(
        "degrees", "coefficient_of_variation", "in-degree, sd / mean", {"direction": "in"}
    ),
    "effective_density": Property(
        "degrees", "effective_density", "effective density", {"direction": "in"}
    ),
    "kept_by_size": Property(
        "degrees", "kept_by_size", r"kept by $|\theta_0|$ too", {"direction": "in"}
    ),
    "outliers": Property("spectra", "outliers_null", r"outliers of $WW^T$"),
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
    "input_output": Property(
        "jacobian", "log_mean_square", r"$\ln\langle s^2\rangle$, pixels to logits",
        {"network": "ticket", "jacobian": "logits"}, deep=False,
    ),
    "gradient": Property(
        "gradients", "log_logits", r"$\ln G_1$ of the logits", {"network": "ticket", "layer": 1},
        deep=False,
    ),
    "loss_gradient": Property(
        "gradients", "log_loss", r"$\ln G_1$ of the loss", {"network": "ticket", "layer": 1},
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
    """Return one row per study, way of ranking, accuracy column and property: tau over seeds.

    `accuracy` is accuracy.csv, `tables` the tables of measurements by name. `along` says what is
    ranked, "arms" at a `round`, or "chain" (no round, no density). A property is left out where its
    table is missing or measures fewer than three tickets, or where it does not vary. tau is tau-b;
    `mean`, `lower`, `upper` are over seeds (NaN bounds for one seed; cut at ±1). `ranked` is the
    number of tickets, `band` that of `independence_band` for it. Runs that diverged count, at
    chance accuracy.
    Raises ValueError if no property can be compared anywhere.
    """
    import pandas as pd

    runs = accuracy[["study", "seed", "round", "arm", "density", *QUANTITIES]]
    all_tables = {**tables, "accuracy": accuracy}
    rows = []
    for name, wanted in PROPERTIES.items():
        if wanted.table not in all_tables:
            continue
        joined = runs.merge(
            values(all_tables[wanted.table], wanted), on=["study", "seed", "round", "arm"]
        )
        for (along, study, number), group in _rankings(joined, wanted.varies):
            for quantity in QUANTITIES:
                taus, ranked = _taus(group, quantity)
                if not taus:
                    continue
                interval = t_interval(taus)
                rows.append(
                    {
                        "study": study,
                        "along": along,
                        "round": number,
                        "density": group.loc[group["arm"] == "imp", "density"].mean()
                        if along == ARMS
                        else np.nan,
                        "quantity": quantity,
                        "property": name,
                        "mean": interval.mean,
                        "lower": np.maximum(interval.lower, -1),
                        "upper": np.minimum(interval.upper, 1),
                        "ranked": ranked,
                        "seeds": interval.n,
                        "band": independence_band(ranked),
                    }
                )
    if not rows:
        raise ValueError(
            f"no property is measured on {MIN_ARMS} or more arms of one study, seed and round, or "
            f"rounds of one chain: add arms, or kinds to measure.arms"
        )
    table = pd.DataFrame(rows)
    return table.astype({"round": "Int64"})


def _rankings(
    joined: pd.DataFrame, ways: Sequence[str]
) -> Iterator[tuple[tuple[str, str, float], pd.DataFrame]]:
    """Yield (along, study, round) and the tickets ranked together, of all seeds."""
    if ARMS in ways:
        for (study, number), group in joined.groupby(["study", "round"], sort=True):
            yield (ARMS, study, number), group
    if CHAIN in ways:
        for study, group in joined[joined["arm"] == "imp"].groupby("study", sort=True):
            yield (CHAIN, study, np.nan), group


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
    per_ticket = means.rename(columns={wanted.column: "value"})
    if wanted.transform is not None:
        per_ticket["value"] = wanted.transform(per_ticket["value"].to_numpy())
    return per_ticket[np.isfinite(per_ticket["value"])]


def independence_band(tickets: int, level: float = 0.05) -> float:
    """Return the least |tau| whose two-sided p is at most `level` if rankings are independent.

    Exact, without ties: tau = 1 − 4 k / (n (n − 1)) for k inversions, and the number of
    permutations with k inversions comes from the product of (1 + x + … + x^i), i < n. NaN where no
    |tau| is that rare (fewer than five tickets).
    """
    counts = np.ones(1)
    for size in range(2, tickets + 1):
        counts = np.convolve(counts, np.ones(size)) / size
    pairs = tickets * (tickets - 1) // 2
    tails = 2 * np.cumsum(counts[: (pairs + 1) // 2])  # P(|tau| >= 1 − 2 k / pairs)
    rare = np.flatnonzero(tails <= level * (1 + 1e-12))
    return float(1 - 2 * rare[-1] / pairs) if rare.size else float("nan")


def _taus(group: pd.DataFrame, quantity: str) -> tuple[list[float], int]:
    """Return tau of every seed that has one, and the number of tickets ranked (the fewest).

    Values that agree in `DIGITS` digits are ties: the same weights, shuffled, have the same std but
    for rounding.
    """
    from scipy.stats import kendalltau  # 0.6 s to import

    taus, counts = [], []
    group = group.assign(value=[float(f"{value:.{DIGITS}g}") for value in group["value"]])
    for _, runs in group.groupby("seed"):
        if len(runs) >= MIN_ARMS and min(runs["value"].nunique(), runs[quantity].nunique()) > 1:
            taus.append(float(kendalltau(runs["value"], runs[quantity]).statistic))
            counts.append(len(runs))
    return taus, min(counts, default=0)

"""What the tables say about one study: values per seed, to pair and to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ticketlens.architecture import READOUT
from ticketlens.verdicts.selection import deep


@dataclass(frozen=True, eq=False)
class Study:
    """The tables of one study, by name."""

    name: str
    tables: Mapping[str, pd.DataFrame]

    def rows(
        self, table: str, round_: int | None = None, arm: str = "imp", **where: str
    ) -> pd.DataFrame:
        """Return the rows of a table at one round (or all), of hidden layers only."""
        selected = self.tables[table]
        keep = selected["arm"] == arm
        if round_ is not None:
            keep &= selected["round"] == round_
        if "name" in selected:
            keep &= selected["name"] != READOUT
        for column, value in where.items():
            keep &= selected[column] == value
        return selected[keep]

    def q(self, table: str, column: str, round_: int, **where: str) -> pd.Series:
        """Return the mean over deep layers (the last half of the hidden ones) per seed, init."""
        rows = self.rows(table, round_, state="init", **where)
        return _means(deep(rows), column)

    def weights(self, column: str, round_: int, state: str = "init") -> pd.DataFrame:
        """Return a column of weight_statistics, (seeds, hidden layers)."""
        rows = self.rows("weight_statistics", round_, state=state)
        return rows.pivot(index="seed", columns="layer", values=column)

    def gradients(self, column: str, round_: int, network: str) -> pd.Series:
        """Return a column of gradients.csv at hidden layer 1 per seed, of the ticket or a null."""
        rows = self.rows("gradients", round_, state="init", network=network)
        return rows[rows["layer"] == 1].set_index("seed")[column].astype(float).sort_index()

    def accuracy(self, column: str, round_: int, arm: str = "imp") -> pd.Series:
        """Return accuracies per seed, in percent."""
        return 100 * self.rows("accuracy", round_, arm).set_index("seed")[column].sort_index()

    def against_imp(self, column: str, round_: int, arm: str) -> pd.Series:
        """Return accuracies of an arm minus IMP's, in points, for the seeds that the arm has."""
        of_arm, imp = self.accuracy(column, round_, arm), self.accuracy(column, round_)
        return minus(of_arm, imp[imp.index.isin(of_arm.index)])

    @property
    def last(self) -> int:
        """Return the last round."""
        return int(self.rows("weight_statistics")["round"].max())

    def absence(self, *rounds: int, arm: str = "imp") -> str:
        """Return why there is nothing at these rounds."""
        beyond = [number for number in rounds if number > self.last]
        if beyond:
            return f"needs round {max(beyond)}; the study's last is {self.last}"
        if arm != "imp":
            return f"arm {arm} is not trained at round {max(rounds)}"
        return "not in the tables"


def nothing() -> pd.DataFrame:
    """Return the rows of a table that no study fills.

    Residual networks have no ladder, tickets from files no accuracy.
    """
    texts = ("study", "arm", "state", "rung", "mode", "network")
    numbers = (
        "seed", "round", "layer", "q", "chi_frobenius", "log_loss", "test_accuracy",
        "test_accuracy_best_validation",
    )  # fmt: skip
    return pd.DataFrame(columns=[*texts, *numbers], dtype=float).astype(dict.fromkeys(texts, str))


def _means(rows: pd.DataFrame, column: str) -> pd.Series:
    """Return means per seed; NaN where any value is."""
    return rows.groupby("seed")[column].agg(lambda values: values.mean(skipna=False))


def minus(a: pd.Series, b: pd.Series) -> pd.Series:
    """Return a − b per seed; empty if one side is. Raises ValueError for other seeds."""
    if a.empty or b.empty:
        return pd.Series(dtype=float)
    if not a.index.equals(b.index):
        raise ValueError(f"seeds {list(a.index)} against {list(b.index)}: pairing needs the same")
    return a - b


def log_ratio(a: pd.Series, b: pd.Series) -> pd.Series:
    """Return log a/b per seed; NaN unless both are positive."""
    return minus(np.log(a.where(a > 0)), np.log(b.where(b > 0)))

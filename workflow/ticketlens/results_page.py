"""docs/results/README.md from its template: its numbers are looked up in the tables beside it.

    python -m ticketlens.results_page docs/results

In the template (`README.md.j2`) the functions of `Numbers` write numbers with their intervals.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

from ticketlens.publication import write_text
from ticketlens.reference import CONFIDENCE, quantiles

MINUS = "−"


@dataclass(frozen=True)
class Numbers:
    """The published tables of a folder, and how a number in them is written."""

    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        """Return a published table; `reference` and `claims` too."""
        own = self.folder / f"{name}.csv"
        path = own if own.exists() else self.folder / "tables" / f"{name}.csv"
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    def row(self, table: str, **where: Any) -> pd.Series:
        """Return the one row with these values. Raises LookupError if there is not exactly one."""
        rows = self.table(table)
        for column, value in where.items():
            rows = rows[rows[column] == value]
        if len(rows) != 1:
            raise LookupError(f"{self.folder}: {table} has {len(rows)} rows with {where}")
        return rows.iloc[0]

    def mean(
        self, quantity: str, round: int, study: str = "fcnet-normal", arm: str = "imp",
        digits: int = 2,
    ) -> str:  # fmt: skip
        """Return "mean ± half" over seeds, with the half-width of the 95 % t-interval."""
        row = self.row("reference", study=study, arm=arm, round=round, quantity=quantity)
        scale = 100 if "accuracy" in quantity else 1
        text = f"{scale * row['mean']:.{digits}f}"
        if row["n"] > 1:
            half = quantiles(row["n"] - 1) * row["sd"] / np.sqrt(row["n"])
            text += f" ± {scale * half:.{digits}f}"
        return text.replace("-", MINUS)

    def seeds(self, study: str = "fcnet-normal", arm: str = "imp", round: int = 0) -> int:
        """Return how many seeds the accuracy of an arm at a round is of."""
        where = {"study": study, "arm": arm, "round": round, "quantity": "test_accuracy"}
        return int(self.row("reference", **where)["n"])

    def gap(
        self, arm: str, round: int, quantity: str = "test_accuracy", study: str = "fcnet-normal"
    ) -> str:
        """Return an arm's accuracy minus IMP's: "mean [lower, upper]", in points."""
        row = self.row("contrasts", study=study, arm=arm, round=round, quantity=quantity)
        return self.interval(row["mean"], row["lower"], row["upper"], signed=True)

    def claim(self, claim: str, study: str = "fcnet-normal", which: int = 0) -> str:
        """Return a claim's number, interval and verdict."""
        rows = self.table("claims")
        rows = rows[(rows["study"] == study) & (rows["claim"] == claim)]
        if len(rows) <= which:
            raise LookupError(f"{self.folder}: {len(rows)} claims {claim!r} of {study}")
        row = rows.iloc[which]
        numbers = self.interval(row["number"], row["lower"], row["upper"], digits=3)
        return f"{numbers}: {row['verdict']}"

    def interval(
        self, mean: float, lower: float, upper: float, digits: int = 1, signed: bool = False
    ) -> str:
        """Return "mean [lower, upper]"; no bounds where there are none."""
        sign = "+" if signed else ""
        texts = [f"{value:{sign}.{digits}f}".replace("-", MINUS) for value in (mean, lower, upper)]
        return texts[0] if np.isnan(lower) else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def render(folder: Path) -> str:
    """Return the page of a folder of published results from its template.

    Raises LookupError for a number that the tables do not have, jinja2.UndefinedError for a name.
    """
    numbers = Numbers(folder)
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string((folder / "README.md.j2").read_text(encoding="utf-8"))
    return template.render(
        n=numbers,
        run=json.loads((folder / "run.json").read_text(encoding="utf-8")),
        config=yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")),
        confidence=round(100 * CONFIDENCE),
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_text(target / "README.md", render(target))

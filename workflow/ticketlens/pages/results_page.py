"""The pages of docs/results from their templates: numbers are looked up in the tables beside them.

    python -m ticketlens.pages.results_page docs/results

In the templates (`README.md.j2`, `details.md.j2`) the functions of `Numbers` write numbers with
their intervals.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

from ticketlens.files.atomic import write_text
from ticketlens.files.csv_tables import read_table
from ticketlens.ladder import RUNGS
from ticketlens.pages import arm_titles
from ticketlens.pages.frontpage import caption
from ticketlens.study.catalogue import figures
from ticketlens.verdicts import ladder_steps
from ticketlens.verdicts.inference import (
    Equivalence,
    Interval,
    equivalence,
    t_interval,
    t_quantile,
)
from ticketlens.verdicts.reference import CONFIDENCE
from ticketlens.verdicts.selection import deep

MINUS = "−"
# In a clone beside the package, in an installed copy inside it.
CAPTIONS = next(
    (
        path
        for path in (folder / "report" for folder in Path(__file__).parents[1:3][::-1])
        if path.is_dir()
    ),
    Path(__file__).parents[2] / "report",
)


@dataclass(frozen=True)
class Numbers:
    """The published tables of a folder, and how a number in them is written.

    `below` is the folder's path from the page's own, for links.
    """

    folder: Path
    below: Path = Path()

    def table(self, name: str) -> pd.DataFrame:
        """Return a published table; `reference` and `claims` too."""
        at_root = self.folder / f"{name}.csv"
        path = at_root if at_root.exists() else self.folder / "tables" / f"{name}.csv"
        return _read(path)

    @property
    def config(self) -> dict[str, Any]:
        """The config of the run."""
        return cast(
            dict[str, Any],
            yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8")),
        )

    def by_title(self, text: str) -> str:
        """Return `text` with the titles of arms for their names, without marks of formulas."""
        found = arm_titles.of_config(self.config)
        plain = {name: re.sub(r"[$\\]", "", title) for name, title in found.items()}
        return arm_titles.by_title(text, plain)

    def part(self, name: str) -> Numbers:
        """Return the numbers of another run, published in a folder below this one."""
        return Numbers(self.folder / name, self.below / name)

    def figure(self, name: str) -> str:
        """Return a published figure with the report's caption.

        Raises LookupError if the folder has no such figure.
        """
        path = Path("figures", f"{name}.png")
        if not (self.folder / path).exists():
            raise LookupError(f"{self.folder} has no {path.as_posix()}")
        title = figures.entry(name).title.format(**figures.wildcards(name))
        text = (CAPTIONS / f"{figures.key(name)}.rst").read_text(encoding="utf-8")
        in_italics = caption(text, name).strip().replace("*", r"\*")
        return f"![{title}]({(self.below / path).as_posix()})\n\n*{in_italics}*"

    def row(self, table: str, **where: Any) -> pd.Series:
        """Return the one row with these values. Raises LookupError if there is not exactly one."""
        rows = self.table(table)
        for column, value in where.items():
            rows = rows[rows[column] == value]
        if len(rows) != 1:
            raise LookupError(f"{self.folder}: {table} has {len(rows)} rows with {where}")
        return rows.iloc[0]

    def layers(self, table: str, column: str, weights: str = "", **where: Any) -> float:
        """Return the mean of a column over hidden layers and seeds, weighted by another column.

        Raises LookupError without rows.
        """
        rows = self.table(table)
        for name, value in where.items():
            rows = rows[rows[name] == value]
        rows = rows[rows["name"] != "readout"]
        if rows.empty:
            raise LookupError(f"{self.folder}: {table} has no rows with {where}")
        return float(np.average(rows[column], weights=rows[weights] if weights else None))

    def mean(
        self, quantity: str, round: int, study: str = "fcnet-normal", arm: str = "imp",
        digits: int = 2, bounds: bool = True,
    ) -> str:  # fmt: skip
        """Return "mean ± half" over seeds, with the half-width of the 95 % t-interval.

        Of one seed, and without `bounds`, the mean alone.
        """
        row = self.row("reference", study=study, arm=arm, round=round, quantity=quantity)
        scale = _scale(quantity)
        text = f"{scale * row['mean']:.{digits}f}"
        if bounds and row["n"] > 1:
            half = t_quantile(row["n"] - 1, (1 + CONFIDENCE) / 2) * row["sd"] / np.sqrt(row["n"])
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

    def change(self, arm: str, network: str, round: int = 7) -> float:
        """Return the mean accuracy over seeds of theta_0 with a part of what training changed.

        Raises LookupError, naming the folder, if the table has no such row.
        """
        rows = self.table("change_accuracy")
        kept = (rows["arm"] == arm) & (rows["round"] == round) & (rows["network"] == network)
        if not kept.any():
            raise LookupError(f"{self.folder}: no change of {arm}, round {round}, {network}")
        return float(rows.loc[kept, "validation_accuracy"].mean())

    def steps(self, round: int, study: str = "fcnet-normal") -> dict[str, str]:
        """Return the steps of the ladder since round 0, in ln q of the deep layers, by rung.

        Each is "mean [lower, upper]" over seeds; the first rung is the naive theory.
        """
        rows = self.table("ladder")
        rows = rows[(rows["study"] == study) & (rows["arm"] == "imp") & (rows["state"] == "init")]
        rows = deep(rows[rows["mode"].isin(["free", "measured"])])
        rungs = [*RUNGS, "measured"]
        differences = ladder_steps.steps(ladder_steps.log_q(rows), rungs)
        differences = differences[differences["round"] == round]
        intervals = {name: t_interval(differences[name]) for name in [*rungs[1:], "total"]}
        return {
            name: self.interval(
                interval.mean, interval.lower, interval.upper, digits=2, signed=True
            )
            for name, interval in intervals.items()
        }

    def claim(self, claim: str, case: str = "", study: str = "fcnet-normal", which: int = 0) -> str:
        """Return a claim's number, interval and verdict; `which` of its numbers, if of several.

        A round that is the same in all seeds has no interval: "2 in all 8 seeds, verdict". Raises
        LookupError, naming the folder, unless there is one such claim.
        """
        rows = self.table("claims").fillna({"case": ""})
        rows = rows[(rows["study"] == study) & (rows["claim"] == claim) & (rows["case"] == case)]
        if len(rows) <= which:
            raise LookupError(f"{self.folder}: {len(rows)} claims {claim!r} ({case!r}) of {study}")
        row = rows.iloc[which]
        if row["lower"] == row["upper"]:
            numbers = f"{row['number']:.0f} in all {self.seeds(study)} seeds"
        else:
            numbers = self.interval(row["number"], row["lower"], row["upper"], digits=3)
        return f"{numbers}, *{row['verdict']}*"

    def runs(self, round: int, study: str) -> pd.DataFrame:
        """Return the rows of accuracy.csv of the IMP tickets of a round."""
        runs = self.table("accuracy")
        is_wanted = (runs["study"] == study) & (runs["arm"] == "imp") & (runs["round"] == round)
        return runs[is_wanted]

    def density(self, round: int, study: str = "fcnet-normal") -> float:
        """Return the mean density of the IMP tickets of a round."""
        return float(self.runs(round, study)["density"].mean())

    def of_runs(self, column: str, round: int, digits: int = 2, study: str = "fcnet-normal") -> str:
        """Return the mean of a column of accuracy.csv over the IMP tickets of a round."""
        return f"{_scale(column) * self.runs(round, study)[column].mean():.{digits}f}"

    def over_seeds(
        self, table: str, column: str, round: int, digits: int = 2, signed: bool = False,
        bounds: bool = True, **where: Any,
    ) -> str:  # fmt: skip
        """Return `estimate` as "mean [lower, upper]", shares in percent; or the mean alone."""
        estimate = self.estimate(table, column, round, **where)
        scale = _scale(column)
        ends: tuple[float, ...] = (scale * estimate.lower, scale * estimate.upper) if bounds else ()
        interval: Callable[..., Any] = self.interval
        return cast(str, interval(scale * estimate.mean, *ends, digits=digits, signed=signed))

    def estimate(
        self, table: str, column: str, round: int, minus: int | str | None = None,
        study: str = "fcnet-normal", arm: str = "imp", **where: Any,
    ) -> Interval:  # fmt: skip
        """Return mean and t-interval over seeds of a column, `minus` another round's or arm's.

        Of a table with layers, the mean over the deep ones, or over those of `layer`; measured
        before training unless `state` says otherwise.
        """
        values = self.by_seed(table, column, round, study, arm, **where)
        if minus is not None:
            other = (arm, minus) if not isinstance(minus, str) else (minus, round)
            less = self.by_seed(table, column, other[1], study, other[0], **where)
            values = (values - less).dropna()  # paired: the seeds that both have
        return t_interval(values)

    def by_seed(
        self, table: str, column: str, round: int, study: str = "fcnet-normal", arm: str = "imp",
        **where: Any,
    ) -> pd.Series:  # fmt: skip
        """Return what `estimate` averages, by seed. Raises LookupError if there is no such row."""
        rows = self.table(table)
        rows = rows[rows["study"] == study]
        if "state" in rows.columns:
            where = {"state": "init", **where}
        for name, value in where.items():
            rows = rows[rows[name] == value]
        if "layer" in rows.columns and "layer" not in where:
            rows = deep(rows)
        if "arm" in rows.columns:
            rows = rows[rows["arm"] == arm]
        by_seed = rows.groupby(["round", "seed"])[column].mean()
        return cast(pd.Series, by_seed[round])

    def difference(
        self, one: pd.Series, other: pd.Series, digits: int = 1, signed: bool = True,
        scale: int = 100,
    ) -> str:  # fmt: skip
        """Return the mean difference of two accuracies `by_seed`, in points: "mean [lower, upper]".

        Pairs are the seeds that both have. Of what is no share, `scale` is 1.
        """
        found = t_interval(scale * (one - other).dropna())
        return self.interval(found.mean, found.lower, found.upper, digits, signed)

    def equivalence(self, one: pd.Series, other: pd.Series) -> Equivalence:
        """Return the test that two accuracies `by_seed` differ by less than the margin, in points.

        The margin is that of `inference.equivalence`. Pairs are the seeds that both have.
        """
        return equivalence(100 * (one - other).dropna())

    def best_epochs(self, round: int, study: str = "fcnet-normal") -> str:
        """Return the epochs of best validation accuracy of the IMP tickets of a round, sorted."""
        return ", ".join(str(int(epoch)) for epoch in sorted(self.runs(round, study)["best_epoch"]))

    def arms(self, round: int, study: str = "fcnet-normal") -> list[str]:
        """Return the arms that are compared with IMP at a round."""
        rows = self.table("contrasts")
        return list(dict.fromkeys(rows[(rows["study"] == study) & (rows["round"] == round)]["arm"]))

    def interval(
        self, mean: float, lower: float = np.nan, upper: float = np.nan, digits: int = 1,
        signed: bool = False,
    ) -> str:  # fmt: skip
        """Return "mean [lower, upper]"; no bounds where there are none.

        With `signed` a number that rounds to zero has its own sign: on which side of no difference
        a bound lies is what a verdict asks.
        """
        numbers = [float(value) for value in (mean, lower, upper)]
        if signed:
            texts = [f"{value + 0.0:+.{digits}f}" for value in numbers]
        else:
            texts = [f"{round(value, digits) + 0.0:.{digits}f}" for value in numbers]  # no −0
        texts = [text.replace("-", MINUS) for text in texts]
        return texts[0] if np.isnan(lower) else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _scale(column: str) -> int:
    """Return what a number is multiplied by on the page: shares are in percent."""
    is_share = "accuracy" in column or "fraction" in column or column == "barrier"
    return 100 if is_share else 1


@cache
def _read(path: Path) -> pd.DataFrame:
    return read_table(path)


def render(folder: Path, page: str = "README.md") -> str:
    """Return a page of a folder of published results from its template, `page` with `.j2`.

    Raises LookupError for a number that the tables do not have, jinja2.UndefinedError for a name.
    """
    numbers = Numbers(folder)
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string((folder / f"{page}.j2").read_text(encoding="utf-8"))
    return template.render(
        n=numbers,
        run=json.loads((folder / "run.json").read_text(encoding="utf-8")),
        config=numbers.config,
        confidence=round(100 * CONFIDENCE),
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for template in sorted(target.glob("*.md.j2")):
        write_text(target / template.stem, render(target, template.stem))

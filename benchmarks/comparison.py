"""What docs/comparison.md plans, from the finished runs of config/comparison.yaml:

python benchmarks/comparison.py results/comparison-pilot/tables/accuracy.csv
python benchmarks/comparison.py results/comparison-pilot/tables/accuracy.csv \\
    results/comparison/tables/accuracy.csv contrasts.csv

The pilot's validation accuracies choose each arm's rate; with the second table, that of the main
runs, test accuracies are read at these rates, and tested. The pilot's are never printed. The third
file, if named, is written: the contrasts of both outcomes at all rounds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import measuring  # noqa: F401  sets the library's path

# isort: split
import pandas as pd
from scipy.stats import ttest_1samp

from ticketlens.verdicts.inference import holm, t_interval

RATES = {
    "comparison-rate-0-003": 0.003, "comparison-rate-0-01": 0.01, "comparison-rate-0-03": 0.03,
    "comparison-rate-0-1": 0.1,
}  # fmt: skip
PILOT, MAIN = (100, 101, 102), tuple(range(10, 18))
DECIDES, DESCRIBED = 7, 10
"""Rounds. The second may be missing."""
ARMS = ("dense", "imp", "shuffle-layer", "imp-sign-redrawn", "uniform-matched", "magnitude-at-init")
PRIMARY = ("dense", "shuffle-layer", "magnitude-at-init")
FIRST, BEYOND = (0.003, 0.01, 0.03), 0.1
MARGIN = 0.5
"""Points."""

Choice = dict[tuple[str, int], float]
"""Rate by arm and round."""


def runs(path: Path) -> pd.DataFrame:
    """Columns arm, round, seed, rate and accuracies; the dense network once a round compared."""
    table = pd.read_csv(path).assign(rate=lambda rows: rows["study"].map(RATES))
    dense = table[(table["round"] == 0) & (table["arm"] == "imp")].assign(arm="dense")
    others = table[table["arm"].isin(ARMS) & table["round"].isin((DECIDES, DESCRIBED))]
    return pd.concat([others, *(dense.assign(round=number) for number in rounds(others))])


def rounds(table: pd.DataFrame) -> tuple[int, ...]:
    """Return the round that decides, and the described one where the table has any of it."""
    return (DECIDES, DESCRIBED) if (table["round"] == DESCRIBED).any() else (DECIDES,)


def chosen(pilot: pd.DataFrame) -> Choice:
    """Return the rate of each arm and round, by the pilot's validation accuracies alone.

    Raises ValueError if a run of the pilot is missing, those at 0.1 only where they are asked for.
    """

    def best(rates: tuple[float, ...]) -> Choice:
        own = pilot[pilot["seed"].isin(PILOT) & pilot["rate"].isin(rates)]
        number = len(ARMS) * len(rounds(own)) * len(rates) * len(PILOT)
        if len(own) != number:
            of_rates = ", ".join(f"{rate:g}" for rate in rates)
            raise ValueError(f"the pilot at {of_rates} has {len(own)} runs; expected {number}")
        mean = own.groupby(["arm", "round", "rate"])["validation_accuracy"].mean()
        return {
            (arm, at): max(rates, key=lambda rate: (mean[arm, at, rate], -rate))
            for arm in ARMS
            for at in rounds(own)
        }

    first = best(FIRST)
    highest = sum(first[arm, DECIDES] == max(FIRST) for arm in ARMS)
    return best((*FIRST, BEYOND)) if 2 * highest > len(ARMS) else first


def points(table: pd.DataFrame, arm: str, number: int, rate: float, column: str) -> pd.Series[Any]:
    """Return an arm's accuracies by main seed, in points. Raises ValueError if one is missing."""
    own = table[(table["arm"] == arm) & (table["round"] == number) & (table["rate"] == rate)]
    found = own.set_index("seed")[column]
    if sorted(set(MAIN) & set(found.index)) != list(MAIN):
        raise ValueError(f"{arm}, round {number}, rate {rate:g}: main seeds are missing")
    return 100 * found.loc[list(MAIN)]


def contrasts(
    table: pd.DataFrame, choice: Choice, number: int = DECIDES, column: str = "test_accuracy"
) -> pd.DataFrame:
    """Return IMP minus each rival, each at its own rate: mean, interval, p, Holm, verdict."""
    imp = points(table, "imp", number, choice["imp", number], column)
    gaps = {
        arm: imp - points(table, arm, number, choice[arm, number], column)
        for arm in ARMS
        if arm != "imp"
    }
    adjusted = holm({arm: float(ttest_1samp(gaps[arm], 0).pvalue) for arm in PRIMARY})
    rows = []
    for arm, gap in gaps.items():
        found = t_interval(gap)
        row = {"imp minus": arm, "rate": choice[arm, number], "imp_rate": choice["imp", number],
               "mean": found.mean, "low": found.lower, "high": found.upper}  # fmt: skip
        if arm in PRIMARY:
            one = adjusted[arm]
            verdict = "not decided"
            if one.rejected:
                verdict = "IMP wins" if found.mean > 0 else "IMP loses"
            elif found.lower > -MARGIN:
                verdict = "not decided; not worse"
            row |= {"p": one.p_value, "p_holm": one.p_adjusted, "verdict": verdict}
        rows.append(row)
    return pd.DataFrame(rows)


def all_contrasts(table: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Return the contrasts of both outcomes at every round that is there; verdicts of one only."""
    found = []
    for number in sorted({*rounds(table)} & {at for _, at in choice}):
        for column in ("test_accuracy", "test_accuracy_best_validation"):
            rows = contrasts(table, choice, number, column)
            if (number, column) != (DECIDES, "test_accuracy"):
                rows = rows.drop(columns=["p", "p_holm", "verdict"])
            found.append(rows.assign(round=number, quantity=column))
    return pd.concat(found)


def main(pilot: Path, runs_of_main: Path | None = None, output: Path | None = None) -> None:
    """Print the pilot's choice; with the main runs the three tests, and what is described."""
    found = runs(pilot)
    choice = chosen(found)
    print("rates:", {f"{arm} round {at}": rate for (arm, at), rate in choice.items()})
    print("validation accuracy of the pilot, last epoch, mean over seeds:")
    print(by_arm(found[found["seed"].isin(PILOT)], "validation_accuracy"))
    if runs_of_main is None:
        return
    table = runs(runs_of_main)
    print(contrasts(table, choice).round(4).to_string(index=False))
    described = {(DECIDES, "test_accuracy_best_validation"): "best validation epoch, round 7"}
    if DESCRIBED in {*rounds(table)} & {at for _, at in choice}:
        described[DESCRIBED, "test_accuracy"] = "round 10"
    for (number, column), title in described.items():
        found_here = contrasts(table, choice, number, column)
        print(f"described: {title}")
        print(found_here.drop(columns=["p", "p_holm", "verdict"]).round(2).to_string())
    print(by_arm(table[table["seed"].isin(MAIN)], "test_accuracy"))
    if output:
        written = all_contrasts(table, choice)
        written.to_csv(output, index=False, float_format="%.6g", lineterminator="\n")


def by_arm(table: pd.DataFrame, column: str) -> str:
    """Return mean accuracies in points by round and rate, a column for each arm."""
    means = 100 * table.groupby(["round", "rate", "arm"])[column].mean()
    return means.unstack()[list(ARMS)].round(2).to_string()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

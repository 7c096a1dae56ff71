"""The planned arms on more seeds, docs/results/planned-seeds: new seeds alone, then all.

python benchmarks/planned_seeds.py docs/results NEW/tables/accuracy.csv OUT.csv

OUT.csv has the rows of `contrasts`, once for each of the two, told apart by the column `of`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import measuring  # noqa: F401  sets the library's path

# isort: split
import pandas as pd
import yaml

from ticketlens.verdicts.contrasts import contrasts

STUDY, ROUNDS = "fcnet-normal", (7, 10)


def judged(first: pd.DataFrame, new: pd.DataFrame, plan: dict) -> pd.DataFrame:
    """Contrasts of the new seeds, and of these with the first ones: one row a round and arm.

    `first` and `new` are tables of accuracies without a common seed of any arm but imp; `plan` is
    the config's `contrasts`.
    """
    names = ["imp", *plan["arms"]]
    both = pd.concat([first, new])
    tables = {"new seeds": new, "all seeds": both}
    found = []
    for name, table in tables.items():
        own = table[(table["study"] == STUDY) & table["round"].isin(ROUNDS)]
        own = own[own["arm"].isin(names)].drop_duplicates(["seed", "round", "arm"])
        with_arms = own[own["arm"] != "imp"]["seed"].unique()
        own = own[own["seed"].isin(with_arms)]
        rows = contrasts(own, plan["arms"], plan["round"], plan["margin"])
        found.append(rows.assign(of=name))
    return pd.concat(found)


def main(results: Path, new: Path, output: Path) -> None:
    plan = yaml.safe_load((results / "config.yaml").read_text("utf-8"))["contrasts"]
    table = judged(pd.read_csv(results / "tables/accuracy.csv"), pd.read_csv(new), plan)
    table.to_csv(output, index=False, float_format="%.6g")
    shown = ["of", "round", "quantity", "arm", "n", "mean", "lower", "upper", "verdict"]
    print(table[shown].to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

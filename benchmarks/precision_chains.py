"""What docs/precision-chains.md plans, from the results of config/precision-chains.yaml:

python benchmarks/precision_chains.py results/precision-chains

Chains may be trained there or come from the ticket bank.
"""

from __future__ import annotations

import sys
from pathlib import Path

import measuring  # noqa: F401  sets the library's path

# isort: split
import pandas as pd

from ticketlens.checkpoint import read
from ticketlens.verdicts import precision
from ticketlens.verdicts.contrasts import QUANTITIES
from ticketlens.verdicts.predictors import values
from ticketlens.verdicts.reference import MEASURED

FLOAT32, BFLOAT16, OTHER = "narrow-float32", "narrow-bfloat16", "narrow-float32-other"
PLANNED = {FLOAT32: range(6), BFLOAT16: range(6), OTHER: range(2)}
"""Seeds."""
LAST = 7
"""Round."""


def trained(folder: Path) -> pd.DataFrame:
    """Rows of IMP of accuracy.csv; none before the table is there."""
    table = folder / "tables" / "accuracy.csv"
    if not table.is_file():
        return pd.DataFrame(columns=["study", "seed", "round", "arm", *QUANTITIES])
    runs = pd.read_csv(table)
    return runs[runs["arm"] == "imp"]


def quantities(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Columns study, seed, round, quantity, value: what `check_results` compares, by seed."""
    found = [runs.melt(["study", "seed", "round"], list(QUANTITIES), "quantity", "value")]
    for name, own in MEASURED.items():
        table = folder / "tables" / f"{own.table}.csv"
        if table.is_file():
            rows = values(pd.read_csv(table), own)
            found.append(rows[rows["arm"] == "imp"].assign(quantity=name))
    return pd.concat(found)[["study", "seed", "round", "quantity", "value"]]


def masks(folder: Path, study: str, other: str) -> pd.DataFrame:
    """Agreement of two studies' masks: columns seed, round, layer, shared, chance."""
    rows = []
    for path in sorted((folder / "checkpoints" / study).glob("seed*/round*/imp/ticket.h5")):
        beside = folder / "checkpoints" / other / path.relative_to(folder / "checkpoints" / study)
        if not beside.is_file():
            continue
        for one, two in zip(read(path).layers, read(beside).layers, strict=True):
            shared, chance = precision.agreement(one.mask, two.mask)
            seed = int(path.parts[-4].removeprefix("seed"))
            rows.append((seed, path.parts[-3], one.name, shared, chance))
    return pd.DataFrame(rows, columns=["seed", "round", "layer", "shared", "chance"])


def by_round(shared: pd.DataFrame) -> pd.DataFrame:
    """Mean of `masks` over seeds and layers."""
    return shared.groupby("round")[["shared", "chance"]].mean()


def inside(found: precision.Coverage) -> str:
    return f"{found.inside} of {found.numbers} inside ({found.share:.3f})"


def in_table(runs: pd.DataFrame, study: str) -> set[int]:
    """Seeds of a study whose rows go to the last round."""
    return set(runs.loc[(runs["study"] == study) & (runs["round"] == LAST), "seed"])


def on_disk(folder: Path, study: str) -> set[int]:
    """Planned seeds of a study that are trained there to their last round, in a table or not."""
    place = f"round{LAST:02d}/imp/trained.h5"
    own = folder / "checkpoints" / study
    return {seed for seed in PLANNED[study] if (own / f"seed{seed}" / place).is_file()}


def main(folder: Path) -> None:
    runs = trained(folder)
    tabulated = {study: in_table(runs, study) for study in PLANNED}
    if any(not tabulated[study] >= set(seeds) for study, seeds in PLANNED.items()):
        done = {study: sorted(seeds | on_disk(folder, study)) for study, seeds in tabulated.items()}
        print(f"interim, nothing is judged; finished seeds: {done}")
        for name in (BFLOAT16, OTHER):
            shared = by_round(masks(folder, FLOAT32, name))
            print(f"masks of {name} and {FLOAT32}, kept by both, and chance:\n{shared}")
        return
    table = quantities(folder, runs)
    by_study = dict(iter(table.groupby("study")))
    reference = by_study[FLOAT32]
    alone = precision.coverage(reference, reference)
    print(f"float32, leave one out: {inside(alone)}")
    for name in (BFLOAT16, OTHER):
        own = by_study[name]
        found = precision.coverage(own, reference)
        place = ["seed", "round", "quantity"]
        both = found.outside.merge(alone.outside, on=place)
        print(f"{name}: {inside(found)}; of those outside {len(both)} are so in float32 too")
        print(found.outside.to_string(index=False))
        same = precision.accuracy(own, reference)
        print(f"{name}: test accuracy, points, by seed: {same.differences.round(3)}; equivalent "
              f"within {precision.MARGIN}: {same.is_equivalent} (p {same.p_value:.2g}, power "
              f"{same.power:.2f})")  # fmt: skip
        shared = masks(folder, FLOAT32, name)
        print(by_round(shared).to_string())
        pair = shared[shared["seed"].isin(PLANNED[OTHER])]
        print(f"{name}, seeds 0 and 1, mean over rounds: {pair['shared'].mean():.3f}")
    # Tickets of round 0 are theta_0: there the studies could not differ.
    later = {name: table[table["round"] > 0] for name, table in by_study.items()}
    for name, own in later.items():
        print(f"{name}, without round 0: {inside(precision.coverage(own, later[FLOAT32]))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

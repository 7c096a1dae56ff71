"""Reference results: one number per quantity and round, and whether another run agrees with them.

The unit is the seed. A run of n seeds agrees with a reference of m seeds where its mean lies in the
95 % prediction interval for the mean of n further seeds,

    mean_m ± t_{0.975, m−1} · sd_m · sqrt(1/n + 1/m)

(normal values, the reference's spread: e.g. Hahn & Meeker 1991, Statistical Intervals, §4.7).
Rounds of a chain share their theta_0: where one is outside, its neighbours often are, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ticketlens.study.studies import dataset_split, study_spec
from ticketlens.tickets.recipe import ASIDE
from ticketlens.verdicts.contrasts import QUANTITIES
from ticketlens.verdicts.inference import t_quantile
from ticketlens.verdicts.predictors import PROPERTIES, values

if TYPE_CHECKING:
    import pandas as pd

Config = Mapping[str, Any]
CONFIDENCE = 0.95
NO_SPREAD = "no spread"
# Where and how fast a run is made changes rounding, not the law that its seeds are drawn from; and
# which arms are measured does not change the others.
IRRELEVANT = {
    *(f"training.{key}" for key in ("device", "threads", "kernel", "tf32")),
    *(f"training.{key}" for key in ("sparse_below", "sparse_kernel")),
    "measure.arms",
}
KEY = ["study", "arm", "round", "quantity"]
# A transformed property says again what the property itself says; a density is no measurement.
MEASURED = {
    name: own
    for name, own in PROPERTIES.items()
    if own.transform is None and own.table != "accuracy"
}
TABLES = ("accuracy", *dict.fromkeys(own.table for own in MEASURED.values()))


def reference(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean and sd over seeds of every quantity, by study, arm and round.

    `tables` are the tidy tables by name, those of `TABLES` that there are. Columns study, arm,
    round, quantity, n (seeds), mean, sd (NaN for one seed), seeds (text). Accuracies are shares;
    the other quantities are those of `predictors.PROPERTIES`, of tickets before training.
    """
    import pandas as pd

    runs = tables["accuracy"].melt(
        ["study", "seed", "round", "arm"], list(QUANTITIES), "quantity", "value"
    )
    parts = [runs] + [
        values(tables[measured.table], measured).assign(quantity=name)
        for name, measured in MEASURED.items()
        if measured.table in tables
    ]
    groups = pd.concat(parts).groupby(KEY, sort=True)
    summary = groups["value"].agg(n="count", mean="mean", sd="std")
    seeds = groups["seed"].agg(lambda values: " ".join(map(str, sorted(values))))
    return summary.assign(seeds=seeds).reset_index()


def check(own: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Return one row per quantity that both runs have, with a verdict: within, outside, no spread.

    `own` and `wanted` are tables of `reference`. `lower` and `upper` bound the prediction interval
    for the mean of as many seeds as `own` has; a reference of one seed has no spread, so none.
    """
    both = own.merge(wanted, on=KEY, suffixes=("", "_reference"))
    n, m = both["n"].to_numpy(float), both["n_reference"].to_numpy(float)
    quantile = np.array([t_quantile(seeds - 1, (1 + CONFIDENCE) / 2) for seeds in m])
    half = quantile * both["sd_reference"] * np.sqrt(1 / n + 1 / m)
    # What all seeds of the reference share may still differ by rounding: tables have six digits.
    half = np.maximum(half, 1e-5 * both["mean_reference"].abs())
    rows = both.assign(lower=both["mean_reference"] - half, upper=both["mean_reference"] + half)
    is_within = rows["mean"].between(rows["lower"], rows["upper"])
    verdict = np.where(half.isna(), NO_SPREAD, np.where(is_within, "within", "outside"))
    return rows.assign(verdict=verdict)


def differences(own: Config, wanted: Config, studies: Iterable[str]) -> dict[str, str]:
    """Return why studies of two configs cannot be compared; those that can are left out.

    Compared are the specs (network, init, training, pruning), the data set by name and split, and
    what the measurements see; how many rounds there are does not matter, as rounds are compared one
    by one.
    """
    known = wanted["studies"]
    return {
        study: _unequal(_settings(own, study), _settings(wanted, study))
        if study in known
        else f"the reference has {', '.join(known)}"
        for study in studies
        if study not in known or _settings(own, study) != _settings(wanted, study)
    }


def other_arms(own: Config, wanted: Config) -> dict[str, str]:
    """Return why arms that both configs have by name are not the same arm."""
    aside = {*ASIDE, "sparse_below"}  # rounding, as in IRRELEVANT
    recipes = [
        {arm: {k: v for k, v in entry.items() if k not in aside} for arm, entry in arms.items()}
        for arms in (own["arms"], wanted["arms"])
    ]
    return {
        arm: _unequal(entry, recipes[1][arm])
        for arm, entry in recipes[0].items()
        if arm in recipes[1] and entry != recipes[1][arm]
    }


def _unequal(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key} is {ours.get(key)}, the reference's {theirs.get(key)}"
        for key in {**theirs, **ours}
        if ours.get(key) != theirs.get(key)
    )


def _settings(config: Config, study: str) -> dict[str, Any]:
    """Return what a study's numbers depend on, flat, by the names that the config has."""
    # As a file has it: a reference that is older than a key has its default.
    nested = json.loads(study_spec(config, study).to_json())
    # By name and split: the same images may come from another place.
    nested["dataset"] = {"name": config["dataset"]["name"], **dataset_split(config)}
    nested["measure"] = {**config["measure"], **config["studies"][study].get("measure", {})}
    return {
        f"{part}.{key}": value
        for part, entries in nested.items()
        for key, value in entries.items()
        if f"{part}.{key}" not in IRRELEVANT
    }


def shared_seeds(rows: pd.DataFrame) -> dict[str, list[int]]:
    """Return the seeds that both runs have, by study; studies that share none are left out."""
    found: dict[str, set[int]] = {}
    for row in rows.itertuples():
        both = set(str(row.seeds).split()) & set(str(row.seeds_reference).split())
        found.setdefault(row.study, set()).update(map(int, both))
    return {study: sorted(seeds) for study, seeds in found.items() if seeds}


def page(rows: pd.DataFrame, skipped: Mapping[str, str], about: str) -> str:
    """Return the comparison in words: by study, arm and quantity, how many rounds agree.

    `rows` are those of `check`, with the folder that judges them in the column `reference` if there
    are several; `skipped` says by name why a study or arm is not compared; `about` says what the
    reference is.
    """
    lines = ["# This run against the reference results", "", about, ""]
    lines += [f"- `{name}` is not compared: {reason}" for name, reason in skipped.items()]
    judged = rows[rows["verdict"] != NO_SPREAD]
    if judged.empty:
        return "\n".join([*lines, "", "Nothing to compare.", ""])
    inside = int((judged["verdict"] == "within").sum())
    lines += [
        "",
        f"{inside} of {len(judged)} numbers lie within the reference's 95 % prediction intervals "
        f"({100 * inside / len(judged):.1f} %; 95 % are expected of a run like it, neighbouring "
        "rounds together).",
        *[
            f"Seeds {' '.join(map(str, seeds))} of `{study}` are the reference's own: for these it "
            "is a check of the code, not of the finding."
            for study, seeds in shared_seeds(judged).items()
        ],
        "",
        "| study | arm | quantity | rounds within | farthest: round | here | reference "
        "| of the folder |",
        "|---|---|---|---|---|---|---|---|",
    ]
    named = judged if "reference" in judged else judged.assign(reference="docs/results")
    by = ["study", "arm", "quantity", "reference"]
    for (study, arm, quantity, folder), group in named.groupby(by, sort=False):
        half = (group["upper"] - group["lower"]) / 2
        distance = (group["mean"] - group["mean_reference"]).abs() / half
        worst = group.loc[distance.fillna(0).idxmax()]
        within = int((group["verdict"] == "within").sum())
        mark = "" if within == len(group) else " **outside**"
        lines.append(
            f"| {study} | {arm} | {quantity} | {within} of {len(group)}{mark} | {worst['round']} "
            f"| {worst['mean']:.4g} | {worst['lower']:.4g} to {worst['upper']:.4g} | {folder} |"
        )
    return "\n".join([*lines, ""])

"""Published folders: which of them a run can be compared with, and by which a number is judged.

`docs/results` and the folders in it each hold the results of one config. A folder is a reference if
it has that config, and either `reference.csv` or the tables that `reference` takes. A number of a
run is judged by a folder whose study and arm of that name are the same (`differences`,
`other_arms`) and whose seeds have a spread, so two at least: `docs/results` before the others,
among those the one of most seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ticketlens.files.csv_tables import read_table
from ticketlens.verdicts.reference import (
    KEY,
    NO_SPREAD,
    TABLES,
    check,
    differences,
    other_arms,
    reference,
)

if TYPE_CHECKING:
    import pandas as pd

Config = Mapping[str, Any]
MAIN = "docs/results"
REFERENCE, CONFIG, RUNS = "reference.csv", "config.yaml", "tables/accuracy.csv"
NO_CONFIG = "it has no config.yaml"
NO_TABLE = "it has neither reference.csv nor tables/accuracy.csv"
ONE_SEED = "one seed, which has no spread"
NO_RESULTS = "planned, without results"
OTHER_ROWS = "results of other rounds, arms or quantities"


@dataclass(frozen=True)
class Folder:
    """A published folder by name: its config, and the table of `reference` of its studies."""

    name: str
    config: Config
    table: pd.DataFrame


def files(root: str | os.PathLike[str]) -> list[str]:
    """Return all files of the published folders in and below `root` that a comparison reads.

    Without any, those of `root` itself: they are what is missing.
    """
    found = [str(path) for folder in _folders(root) for path in _files(folder)]
    return found or [os.path.join(root, name) for name in (REFERENCE, CONFIG)]


def folders(root: str | os.PathLike[str]) -> list[Folder]:
    """Return the published folders that are a reference, `docs/results` itself first."""
    return [_read(folder, root) for folder in _folders(root)]


def no_reference(folder: str | os.PathLike[str]) -> str:
    """Return why no run is judged by a published folder; an empty text if some may be."""
    if reason := _missing(Path(folder)):
        return reason
    return "" if _has_spread(_read(Path(folder), folder).table) else ONE_SEED


def compare(
    own: pd.DataFrame, config: Config, published: Sequence[Folder]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of `check` with the folder that judges each, and why the rest has none.

    `own` is the run's table of `reference`, `config` its config. Column `reference` names the
    folder. Reasons are by study, by study and arm where other arms of the study are judged, and by
    numbers where only some of an arm are.
    """
    import pandas as pd

    unlike = {one.name: differences(config, one.config, config["studies"]) for one in published}
    others = {one.name: other_arms(config, one.config) for one in published}
    parts = [check(own.iloc[:0], own.iloc[:0]).assign(reference="")]
    for one in published:
        is_other = own["study"].isin(list(unlike[one.name])) | own["arm"].isin(others[one.name])
        parts.append(check(own[~is_other], one.table).assign(reference=one.name))
    rows = _best(pd.concat([part for part in parts if not part.empty] or parts[:1]))
    judged = rows[rows["verdict"] != NO_SPREAD]
    arms = {study: dict.fromkeys(group["arm"]) for study, group in own.groupby("study", sort=False)}
    skipped = {}
    for study in config["studies"]:
        having = [one for one in published if study in one.config["studies"]]
        known = judged[judged["study"] == study]["arm"].unique()
        if known.size == 0:
            skipped[study] = _why(
                {
                    one.name: unlike[one.name].get(study) or _unjudged(one.table, study)
                    for one in having
                },
                f"no published folder has it; {_known(published)}",
            )
            continue
        alike = [one for one in having if study not in unlike[one.name]]
        for arm in (arm for arm in arms[study] if arm not in known):
            skipped[f"{study}, {arm}"] = _why(
                {
                    one.name: others[one.name].get(arm) or _unjudged(one.table, study, arm)
                    for one in alike
                    if arm in one.config["arms"]
                },
                "no published folder has this arm of the study",
            )
        mine = own[(own["study"] == study) & own["arm"].isin(known)]
        skipped |= _left(study, mine, judged[judged["study"] == study])
    return rows.reset_index(drop=True), skipped


def about(config: Config, published: Iterable[Folder], rows: pd.DataFrame) -> str:
    """Return what the references are that judge `rows`, in words: folders and images."""
    used = [one for one in published if one.name in set(rows["reference"])]
    names = ", ".join(f"`{one.name}`" for one in used) or f"the folders of `{MAIN}`"
    sets = dict.fromkeys(
        f"data set {one.config['dataset']['name']} from `{one.config['dataset']['path']}`"
        for one in used
    )
    here = config["dataset"]
    return (
        f"Reference: {', '.join([names, *sets])}; here {here['name']}, source {here['source']}. "
        "The 95 % intervals are for the mean of as many other seeds as this run has."
    )


def _folders(root: str | os.PathLike[str]) -> list[Path]:
    every = [Path(root), *sorted(path for path in Path(root).glob("*") if path.is_dir())]
    return [folder for folder in every if not _missing(folder)]


def _missing(folder: Path) -> str:
    if not (folder / CONFIG).is_file():
        return NO_CONFIG
    has_table = any((folder / name).is_file() for name in (REFERENCE, RUNS))
    return "" if has_table else NO_TABLE


def _files(folder: Path) -> list[Path]:
    """Return what is read of a folder: its config, and `reference.csv` or the tables for it."""
    if (folder / REFERENCE).is_file():
        return [folder / REFERENCE, folder / CONFIG]
    tables = [folder / "tables" / f"{name}.csv" for name in TABLES]
    return [folder / CONFIG, *(path for path in tables if path.is_file())]


def _read(folder: Path, root: str | os.PathLike[str]) -> Folder:
    name = Path(MAIN, os.path.relpath(folder, root)).as_posix()
    tables = {path.stem: read_table(path) for path in _files(folder) if path.suffix == ".csv"}
    table = tables["reference"] if "reference" in tables else reference(tables)
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    # Its tables may hold measurements of other folders' studies, whose config is not here.
    return Folder(name, config, table[table["study"].isin(list(config["studies"]))])


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per number: one with a spread, of `MAIN`, of most seeds; else by name."""
    order = rows.assign(
        _none=rows["verdict"] == NO_SPREAD, _other=rows["reference"] != MAIN,
        _fewer=-rows["n_reference"],
    )  # fmt: skip
    order = order.sort_values([*KEY, "_none", "_other", "_fewer", "reference"], kind="stable")
    return order.drop_duplicates(KEY).drop(columns=["_none", "_other", "_fewer"])


def _left(study: str, own: pd.DataFrame, judged: pd.DataFrame) -> dict[str, str]:
    """Return how many numbers of arms that are judged have no judge, and which they are."""
    have = own.set_index(KEY).index.isin(judged.set_index(KEY).index)
    if have.all():
        return {}
    others = [
        f"{what} {', '.join(map(str, names))}"
        for column, what in (("round", "rounds"), ("quantity", "quantities"))
        if (names := sorted(set(own[column]) - set(judged[column])))
    ]
    reason = "no published folder has two seeds of them"
    named = f": {'; '.join(others)}" if others else ""
    return {f"{study}, {int((~have).sum())} of {len(own)} numbers": reason + named}


def _unjudged(table: pd.DataFrame, study: str, arm: str | None = None) -> str:
    """Return why a folder that has a study, and an arm, by config judges no number of it."""
    rows = table[table["study"] == study]
    rows = rows if arm is None else rows[rows["arm"] == arm]
    if rows.empty:
        return NO_RESULTS
    return OTHER_ROWS if _has_spread(rows) else ONE_SEED


def _has_spread(table: pd.DataFrame) -> bool:
    return bool((table["n"] > 1).any())


def _known(published: Iterable[Folder]) -> str:
    studies = dict.fromkeys(study for one in published for study in one.config["studies"])
    return f"they have {', '.join(studies)}"


def _why(reasons: Mapping[str, str], otherwise: str) -> str:
    """Return reasons in words, each with the folders that it is of; `otherwise` without any."""
    by_reason: dict[str, list[str]] = {}
    for folder, reason in reasons.items():
        by_reason.setdefault(reason, []).append(f"`{folder}`")
    said = [f"{reason} ({', '.join(names)})" for reason, names in by_reason.items()]
    return "; ".join(said) or otherwise

"""Published folders: each is a reference or said not to be; like is judged by like."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from config_tools import merged
from ticketlens.verdicts import published
from ticketlens.verdicts.published import CONFIG, REFERENCE, Folder, compare
from ticketlens.verdicts.reference import page
from workflow_tools import REPOSITORY

ROOT = REPOSITORY / "docs" / "results"
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("*/tables"))]
NO_REFERENCE = {
    "all-images": published.ONE_SEED,
    "convnet-20-epochs": published.ONE_SEED,
    "rates": published.ONE_SEED,
    "scaled-bias": published.ONE_SEED,
    "stability": published.NO_TABLE,
}
JUDGES = {folder for folder in FOLDERS if folder.name not in NO_REFERENCE}


@cache
def folders() -> list[Folder]:
    return published.folders(ROOT)


def config(*overlays: str) -> dict:
    whole = merged(*overlays)
    for part in ("studies", "arms"):
        whole[part] = {name: entry for name, entry in whole[part].items() if entry is not None}
    return whole


def table(mean: float = 0.5, n: int = 3, arm: str = "imp", study: str = "fcnet-normal"):
    return pd.DataFrame(
        {"study": study, "arm": arm, "round": [0, 7], "quantity": "test_accuracy", "n": n,
         "mean": mean, "sd": 0.01 if n > 1 else float("nan"), "seeds": " ".join(map(str, range(n)))}
    )  # fmt: skip


def of(name: str, *overlays: str, **rows) -> Folder:
    return Folder(name, config(*overlays), table(**rows))


# --- the folders that are committed --------------------------------------------------------------


def test_every_published_folder_is_a_reference_or_said_not_to_be() -> None:
    found = {path.name: published.no_reference(path) for path in FOLDERS}
    assert {name: reason for name, reason in found.items() if reason} == NO_REFERENCE
    said = (ROOT / "details.md").read_text(encoding="utf-8")
    judging, others = said.split("A number is judged by the folder")[1].split("No reference are")
    for path in FOLDERS[1:]:
        part = judging if path in JUDGES else others.split("\n## ")[0]
        assert f"[{path.name}]({path.name}" in part, f"details.md does not say it of {path.name}"


@pytest.mark.parametrize("folder", sorted(JUDGES), ids=lambda path: path.name)
def test_a_run_equal_to_a_published_folder_is_within_all_its_intervals(folder: Path) -> None:
    (itself,) = (one for one in folders() if Path(one.name).name == folder.name)
    rows, skipped = compare(itself.table, itself.config, [itself])
    judged = rows[rows["verdict"] != "no spread"]
    assert not judged.empty
    assert set(judged["verdict"]) == {"within"}
    assert (judged["lower"] <= judged["mean"]).all()
    several = itself.table[itself.table["n"] > 1]
    assert len(judged) == len(several), "each number of two seeds or more is judged"
    assert set(skipped) == {study for study in itself.config["studies"]
                            if study not in set(several["study"])}  # fmt: skip


def test_a_run_of_an_overlay_is_judged_by_the_folders_that_hold_its_studies() -> None:
    overlay = (REPOSITORY / "config/isometry.yaml").read_text(encoding="utf-8")
    run = next(one for one in folders() if one.name == "docs/results/isometry")
    rows, skipped = compare(run.table, config(overlay), folders())
    assert skipped == {}
    assert set(rows["verdict"]) == {"within"}
    by = rows.groupby("reference")["arm"].unique()
    assert set(by["docs/results/isometry"]) == {
        "imp", "isometric-orthogonal", "isometric-imp", "isometric-random", "bulk-redrawn",
        "spikes-removed",
    }  # fmt: skip
    assert "| docs/results/isometry |" in page(rows, skipped, "Reference: x.")
    moved = run.table.assign(mean=run.table["mean"] + 5 * run.table["sd"])
    rows, _ = compare(moved, config(overlay), folders())
    assert "outside" in set(rows[rows["arm"] == "spikes-removed"]["verdict"])


def test_all_files_that_a_comparison_reads_are_declared() -> None:
    files = {Path(name).relative_to(ROOT).as_posix() for name in published.files(ROOT)}
    assert {REFERENCE, CONFIG, "isometry/config.yaml", "isometry/tables/jacobian.csv"} <= files
    assert "convnet/reference.csv" in files
    assert not any(name.startswith("stability/") for name in files)


def test_without_a_published_folder_those_of_the_root_are_what_is_missing(tmp_path: Path) -> None:
    assert published.folders(tmp_path) == []
    assert published.files(tmp_path) == [str(tmp_path / REFERENCE), str(tmp_path / CONFIG)]


def test_measurements_of_studies_that_the_config_of_a_folder_lacks_do_not_judge() -> None:
    rates = next(one for one in folders() if one.name == "docs/results/rates")
    assert set(rates.table["study"]) <= set(rates.config["studies"])


# --- which folder judges -------------------------------------------------------------------------


def judge_of(*folders: Folder) -> str:
    rows, _ = compare(table(), config(), folders)
    return " ".join(rows["reference"].unique())


def test_the_main_folder_judges_before_one_of_more_seeds_and_that_before_one_of_fewer() -> None:
    main, more, fewer = of(published.MAIN, n=2), of("b", n=8), of("a", n=3)
    assert judge_of(fewer, more, main) == published.MAIN
    assert judge_of(fewer, more) == "b"
    assert judge_of(of(published.MAIN, n=1), fewer) == "a", "one seed has no spread"
    assert judge_of(of(published.MAIN, "training: {learning_rate: 0.1}"), fewer) == "a"


def test_what_no_folder_covers_is_named_with_its_reason_and_the_folders() -> None:
    other = "training: {learning_rate: 0.1}"
    own = pd.concat([table(), table(study="fcnet-orthogonal"), table(study="mine")])
    studies = "studies: {mine: {network: fcnet, init: normal, seeds: [0]}, convnet-normal: null}"
    folders = [of("a", other), of("b", other), of("c", n=1, study="fcnet-orthogonal")]
    rows, skipped = compare(own, config(studies), folders)
    assert set(rows["verdict"]) == {"no spread"}
    reason = "training.learning_rate is 0.01, the reference's 0.1 (`a`, `b`)"
    assert skipped["fcnet-normal"].startswith(reason)
    assert skipped["fcnet-orthogonal"].endswith("one seed, which has no spread (`c`)")
    assert skipped["mine"].startswith("no published folder has it; they have fcnet-normal")


def test_arms_without_a_judge_are_named_where_their_study_has_one() -> None:
    own = pd.concat([table(), table(arm="rewire"), table(arm="snip"), table(arm="erk")])
    arms = "arms: {snip: {mask: snip, weights: rewind}}"
    there = pd.concat([table(), table(arm="snip", n=1), table(arm="rewire")])
    late = table(study="resnet-fc-normal").assign(round=[1, 2])
    own = pd.concat([own, table(study="resnet-fc-normal")])
    lone = Folder("b", config(arms), pd.concat([there, late]))
    fresh = config(arms, "arms: {rewire: {mask: rewire, weights: fresh}}")
    _, skipped = compare(own, fresh, [lone])
    assert skipped == {
        "fcnet-orthogonal": "planned, without results (`b`)",
        "convnet-normal": "planned, without results (`b`)",
        "resnet-conv-normal": "planned, without results (`b`)",
        "resnet-fc-normal": "results of other rounds, arms or quantities (`b`)",
        "fcnet-normal, erk": "no published folder has this arm of the study",
        "fcnet-normal, rewire": "weights is fresh, the reference's shuffled-values (`b`)",
        "fcnet-normal, snip": "one seed, which has no spread (`b`)",
    }


def test_numbers_without_a_judge_are_counted_where_others_of_their_arm_have_one() -> None:
    more = [table().assign(round=[3, 10]), table().assign(quantity="q")]
    _, skipped = compare(pd.concat([table(), *more]), config(), [of("a")])
    reason = "no published folder has two seeds of them: rounds 3, 10; quantities q"
    assert skipped["fcnet-normal, 4 of 6 numbers"] == reason


def test_the_page_says_which_folders_judge_and_from_which_images() -> None:
    folders = [of("a"), of("b", study="fcnet-orthogonal"), of("unused", study="none")]
    own = pd.concat([table(), table(study="fcnet-orthogonal")])
    rows, _ = compare(own, config(), folders)
    text = published.about(config(), folders, rows)
    assert text.startswith("Reference: `a`, `b`, data set cifar10 from ")
    assert "unused" not in text

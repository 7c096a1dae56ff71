"""Publishing a run, and checking another against it, as rules of the workflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ticketlens.pages import publication
from workflow_tools import copy_run, finished_run, overlay, plan, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def published(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = copy_run(finished_run(tmp_path_factory), tmp_path / "run")
    snakemake(clone, "publish", "--cores", "1")
    shutil.copytree(clone / "results" / "published", clone / "docs" / "results")
    return clone


def test_a_run_agrees_with_itself_and_a_changed_one_is_named(published: Path) -> None:
    reference = published / "docs" / "results" / "reference.csv"
    # One seed has no spread: give it one.
    pd.read_csv(reference).assign(n=3, sd=0.01).to_csv(reference, index=False)
    snakemake(published, "check_results", "--cores", "1")
    rows = pd.read_csv(published / "results" / "check.csv")
    assert set(rows["verdict"]) == {"within"}
    assert {"test_accuracy", "q", "weight_std", "log_jacobian"} <= set(rows["quantity"])
    assert set(rows["reference"]) == {"docs/results"}
    beside = reference.with_name("beside")
    beside.mkdir()
    assert not plan(published, "check_results"), "a folder without results is not a reference"
    shutil.copy(reference.with_name("config.yaml"), beside)
    shutil.copytree(reference.with_name("tables"), beside / "tables")
    assert [job.rule for job in plan(published, "check_results")] == ["check_results"]
    other = overlay(published, {"measure": {"images": 7}})
    snakemake(published, "check_results", "--cores", "1", overlays=other)
    page = (published / "results" / "check.md").read_text(encoding="utf-8")
    assert "`fcnet-normal` is not compared: measure.images is 7" in page
    assert "(`docs/results`, `docs/results/beside`)" in page


def test_the_published_folder_is_small_and_whole(published: Path) -> None:
    folder = published / "docs" / "results"
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert config["training"]["epochs"] == 2
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["machine"]["cores"] >= 1
    assert run["versions"]["python"] and run["recorded"]["torch"]
    assert {"train fcnet-normal"} <= {row["rule"] for row in run["run_times"]}
    figures = sorted(path.stem for path in (published / "results").glob("*.png"))
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == figures
    for path in folder.rglob("*"):
        assert path.is_dir() or path.stat().st_size <= publication.MAX_BYTES
        assert path.suffix == ".png" or path.is_dir() or str(published) not in path.read_text()

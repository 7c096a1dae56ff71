"""Studies whose networks train together: one job a round, the same files, nothing left to do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workflow_tools import only, overlay, plan, snakemake, tiny_clone

pytestmark = pytest.mark.workflow
NAMES = ["study", "seed", "round", "arm"]


def study(**more: dict) -> dict:
    return {"network": "fcnet", "init": "normal", "seeds": [0, 1], **more}


def test_chains_of_several_studies_train_together_and_end_where_each_ends_alone(
    tmp_path: Path,
) -> None:
    folder = tiny_clone(tmp_path / "clone")
    target = "results/{}/tables/accuracy.csv"
    tables = {}
    for kernel in ("stacked", "aten"):
        training = {"kernel": kernel, "device": "cpu"}
        late = {"pruning": {"rewind_epoch": 1}, "training": {**training, "learning_rate": 0.02}}
        config = {
            "results": f"results/{kernel}",
            "studies": only(fcnet_normal=study(training=training), fcnet_late=study(**late)),
        }
        files = overlay(folder, config)
        goal = target.format(kernel)
        jobs = [job.rule for job in plan(folder, goal, overlays=files) if "train" in job.rule]
        together = [f"train_fcnet_normal_round0{number}_chains_imp" for number in (0, 1)]
        others = ["train"] * 6 + ["train_keeping_theta_k"] * 2
        assert sorted(jobs) == (together if kernel == "stacked" else others)
        snakemake(folder, goal, "--cores", "2", overlays=files)
        assert plan(folder, goal, overlays=files) == []
        tables[kernel] = pd.read_csv(folder / goal).set_index(NAMES)
    one, other = tables["stacked"], tables["aten"]
    assert list(one.index) == list(other.index) and len(one) == 8
    for part in ("train", "validation", "test"):
        assert (one[f"{part}_loss"] - other[f"{part}_loss"]).abs().max() < 1e-4

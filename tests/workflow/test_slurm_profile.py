"""What `--profile slurm` would submit, seen in dry runs: no SLURM is needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from workflow_tools import REPOSITORY, clone, only, rules, run, shared

pytestmark = pytest.mark.workflow
PROFILE = yaml.safe_load((REPOSITORY / "slurm/profile.yaml").read_text(encoding="utf-8"))
# Two chains that train, three rounds of them, two rounds of arms; measured.
OVERLAY = {
    "studies": only(
        fcnet_normal={"seeds": [0], "training": {"device": "cuda"}},
        convnet_normal={"seeds": [1], "pruning": {"rounds": 1}},
    ),
    "pruning": {"rounds": 2},
    "interventions": {"rounds": [2]},
    "arms": {
        "snip": {"mask": "snip", "weights": "rewind"},
        "synflow": {"mask": "synflow", "weights": "rewind"},
    },
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    def build(folder: Path) -> None:
        clone(folder)
        (folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "-n", "--profile", "slurm", "--configfile"]
        result = run(folder, [*command, "config/quick.yaml", "overlay.yaml"])
        assert result.returncode == 0, result.stdout
        (folder / "planned.txt").write_text(result.stdout, encoding="utf-8")

    folder = shared(tmp_path_factory, "slurm-plan", build)
    return (folder / "planned.txt").read_text(encoding="utf-8")


def test_all_analyses_of_a_round_are_one_submission_and_those_of_an_arm_another(plan: str) -> None:
    groups = re.findall(r"Group job (measure-\S+) ", plan)
    expected = [f"measure-fcnet-normal-seed0-round0{number}-imp" for number in range(3)]
    expected += [f"measure-convnet-normal-seed1-round0{number}-imp" for number in range(2)]
    assert sorted(group for group in groups if group.endswith("-imp")) == sorted(expected)
    arms = [group for group in groups if not group.endswith("-imp")]
    assert {"measure-fcnet-normal-seed0-round02-snip"} < set(arms) and len(set(arms)) == len(arms)
    assert all(group.startswith("measure-fcnet-normal-seed0-round02-") for group in arms)


def test_saliency_masks_of_a_round_are_one_submission(plan: str) -> None:
    assert re.findall(r"Group job (construct-\S+) ", plan) == [
        "construct-fcnet-normal-seed0-round02"
    ]


def test_no_analysis_is_a_submission_of_its_own() -> None:
    analyses = {rule.name for rule in rules() if rule.name.startswith("measure_")}
    assert set(PROFILE["groups"]) == analyses | {"construct_with_saliency"}
    for group in PROFILE["groups"].values():
        assert {"{study}", "{seed}", "{round}"} <= set(re.findall(r"{\w+}", group)), (
            "a name without them is one group over all chains"
        )
        assert PROFILE["group-components"][group] >= 100


def test_chains_of_training_are_in_no_group(plan: str) -> None:
    """A group that fails loses the outputs of all its members."""
    assert not {"train", "train_keeping_theta_k"} & set(PROFILE["groups"])
    assert re.search(r"^rule train:$", plan, re.MULTILINE)


@pytest.mark.parametrize(
    ("study", "gpu", "minutes"), [("fcnet-normal", 1, 60), ("convnet-normal", 0, 240)]
)
def test_a_training_gets_a_gpu_if_the_config_asks_for_one_and_time_by_its_kind(
    plan: str, study: str, gpu: int, minutes: int
) -> None:
    jobs = re.split(r"\n(?=(?:local)?rule )", plan)
    trainings = [
        job
        for job in jobs
        if job.startswith("rule train:") and re.search("wildcards: study=(.*?),", job)[1] == study
    ]
    assert trainings
    for job in trainings:
        resources = dict(re.findall(r"(\w+)=(\d+)", re.search(r"resources: (.*)", job)[1]))
        assert (int(resources["gpu"]), int(resources["runtime"])) == (gpu, minutes)


def test_no_submission_asks_for_less_memory_than_its_two_snakemakes_take() -> None:
    asked = [PROFILE["default-resources"]["mem_mb"]]
    for file in Path(REPOSITORY / "workflow/rules").glob("*.smk"):
        asked += [int(value) for value in re.findall(r"mem_mb=(\d+)", file.read_text())]
    assert min(asked) >= 500


def test_trainings_have_attempts_left_after_a_time_limit() -> None:
    assert PROFILE["retries"] >= 1 and PROFILE["slurm-requeue"]
    assert PROFILE["slurm-status-command"] == "squeue", "sacct never answers without accounting"
    assert "slurm-array-jobs" not in PROFILE, "deletes good outputs in version 2.8"

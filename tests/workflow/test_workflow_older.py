"""A finished study of an older version needs one `--touch` and nothing else (nightly).

The older version itself makes the study: its commit is taken out of the repository's history.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from core_tools import write_images
from ticketlens import checkpoint
from workflow_tools import PARTS, REPOSITORY, Job, clone, jobs, run, snakemake_with

pytestmark = [pytest.mark.workflow, pytest.mark.nightly]
OLDER = "1fb1ed6"  # its rerun trigger was a digest of files
OVERLAY = """
dataset: {name: tiny, source: folder, path: images, validation: 15}
networks:
  fcnet: {hidden_layers: 3, width: 8}
studies:
  fcnet-normal: {seeds: [0]}
  fcnet-orthogonal: null
  convnet-normal: null
  resnet-fc-normal: null
  resnet-conv-normal: null
training: {epochs: 1, batch_size: 9}
pruning: {rounds: 1}
measure: {images: 10}
interventions: {studies: [fcnet-normal], rounds: [1]}
contrasts: {round: 1}
experiments: {std_experiment: {round: 1}}
"""
ARM = "results/checkpoints/fcnet-normal/seed0/round01/uniform-fresh/trained.h5"
ROWS = "results/measurements/chi/fcnet-normal/seed0/round01/imp/init.csv"
TARGETS = ("results/weight_std.png", ROWS, ARM)


def finish(folder: Path, *arguments: str) -> str:
    """Run Snakemake on the study; return its output, fail the test if it fails."""
    result = run(folder, snakemake_with("tiny.yaml", arguments=arguments))
    assert result.returncode == 0, result.stdout
    return result.stdout


def planned(folder: Path) -> list[Job]:
    return jobs(finish(folder, "-n", *TARGETS))


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that the older version finished, in a clone that is then brought to this version."""
    folder = tmp_path_factory.mktemp("older") / "clone"
    folder.mkdir()
    archive = folder.parent / "older.tar"
    command = ["git", "-C", str(REPOSITORY), "archive", "-o", str(archive), OLDER, *PARTS]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"no commit {OLDER} in this history")
    subprocess.run(["tar", "-xf", str(archive), "-C", str(folder)], check=True)
    write_images(folder / "images", train=20, test=5, size=(8, 8))
    (folder / "tiny.yaml").write_text(OVERLAY, encoding="utf-8")
    finish(folder, *TARGETS, "--cores", "1")
    new = clone(folder.parent / "new")
    for name in PARTS:
        old = folder / name
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        shutil.move(new / name, old)
    return folder


def test_one_touch_settles_a_finished_study(updated: Path) -> None:
    trained = {path: path.read_bytes() for path in updated.glob("results/**/*.h5")}
    assert {"prepare_dataset", "init", "train"} <= {job.rule for job in planned(updated)}
    finish(updated, *TARGETS, "--touch", "--cores", "1")
    assert planned(updated) == []
    assert trained and {path: path.read_bytes() for path in trained} == trained


def test_checkpoints_of_the_older_version_are_read_and_measure_the_same(updated: Path) -> None:
    for path in updated.glob("results/checkpoints/**/*.h5"):
        checkpoint.verify(path)
    before = pd.read_csv(updated / ROWS)
    finish(updated, *TARGETS, "--touch", "--cores", "1")
    finish(updated, ROWS, "--forcerun", "measure_signal", "--cores", "1")
    again = pd.read_csv(updated / ROWS)
    pd.testing.assert_frame_equal(again[before.columns], before, rtol=1e-12)

"""Threads of a training, from the config to the log: as many as Snakemake gives, the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticketlens import checkpoint
from workflow_tools import only, overlay, snakemake, tiny_clone

pytestmark = pytest.mark.workflow
TRAINED = "results/checkpoints/convnet-normal/seed0/round00/imp/trained.h5"
LOG = "results/logs/train/convnet-normal/seed0/round00/imp.log"


def test_a_training_in_bfloat16_takes_the_threads_that_snakemake_gives(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "clone")
    training = {"precision": "bfloat16", "device": "cpu", "kernel": "onednn", "sparse_below": 0}
    study = {"training": {**training, "threads": 2}}
    config = overlay(tmp_path, {"studies": only(convnet_normal=study)})
    found = {}
    for cores in (2, 1):
        snakemake(folder, TRAINED, "--cores", str(cores), overlays=config)
        assert f", {cores} thread(s), " in (folder / LOG).read_text(encoding="utf-8")
        found[cores] = checkpoint.read(folder / TRAINED).content_sha256
        (folder / TRAINED).unlink()
    assert found[1] == found[2]

"""Files copied to another place of the results are refused by name, also after `--touch`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from workflow_tools import copy_run, failing_snakemake, finished_run, overlay, snakemake

pytestmark = pytest.mark.workflow
CHECKPOINTS = "results/checkpoints"
CURVES = "results/tables/accuracy.csv"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return copy_run(finished_run(tmp_path_factory), tmp_path / "run")


SEED = ("fcnet-normal/seed0", "fcnet-normal/seed1", r"seed 0 \(its path says 1\)")
STUDY = ("fcnet-normal", "another", r"study 'fcnet-normal' \(its path says 'another'\)")
ROUND = (
    "fcnet-normal/seed0/round00",
    "fcnet-normal/seed0/round01",
    r"round 0 \(its path says 1\)",
)
ARM = (
    "fcnet-normal/seed0/round01/imp",
    "fcnet-normal/seed0/round01/again",
    r"arm 'imp' \(its path says 'again'\)",
)
TOUCHED = {
    "seed": ["results/checkpoints/fcnet-normal/seed1/round01/imp/trained.h5"],
    "study": ["results/checkpoints/another/seed0/round01/imp/trained.h5"],
    "round": ["results/checkpoints/fcnet-normal/seed0/round01/imp/trained.h5"],
    "arm": ["results/checkpoints/fcnet-normal/seed0/round01/again/trained.h5"],
}
CONFIGS = {
    "seed": {"studies": {"fcnet-normal": {"seeds": [0, 1]}}},
    "study": {"studies": {"another": {"network": "fcnet", "init": "normal", "seeds": [0]}}},
    "round": {},
    "arm": {
        "arms": {"again": {"mask": "imp", "weights": "fresh", "rounds": [1]}},
        "interventions": {"studies": ["fcnet-normal"]},
    },
}


@pytest.mark.parametrize("is_touched", [False, True], ids=["as copied", "touched"])
@pytest.mark.parametrize(
    ("what", "copy"), [("seed", SEED), ("study", STUDY), ("round", ROUND), ("arm", ARM)]
)
def test_a_copy_in_anothers_place_is_refused_by_name(folder, tmp_path, what, copy, is_touched):
    source, target, said = copy
    shutil.copytree(
        folder / CHECKPOINTS / source, folder / CHECKPOINTS / target,
        copy_function=shutil.copy, dirs_exist_ok=True,
    )  # fmt: skip
    (folder / CURVES).unlink()
    overlays = overlay(tmp_path, CONFIGS[what])
    if is_touched:
        snakemake(folder, "--touch", "--cores", "1", *TOUCHED[what], overlays=overlays)
    arguments = ("--rerun-triggers", "mtime") if is_touched else ()
    output = failing_snakemake(folder, CURVES, "--cores", "1", *arguments, overlays=overlays)
    assert re.search(rf"{CHECKPOINTS}/{target}.*\.h5: holds .*{said}", output), output
    assert "Traceback" not in output
    assert not (folder / CURVES).exists()

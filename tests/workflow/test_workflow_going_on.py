"""A chain over two machines: packed as far as it is, gone on with elsewhere, the same files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ticketlens import checkpoint
from ticketlens.files.csv_tables import read_table
from workflow_tools import overlay, snakemake, tiny_clone

pytestmark = [pytest.mark.workflow, pytest.mark.nightly]
ACCURACY = "results/tables/accuracy.csv"
STUDY, LAST = "fcnet-normal", 2
CHAIN = {"pruning": {"rounds": LAST}}
OTHERS = {"convnet-normal": None}


def file_of(root: Path, round_: int, kind: str) -> Path:
    return root / f"results/checkpoints/{STUDY}/seed0/round{round_:02d}/imp/{kind}.h5"


def test_a_chain_goes_on_elsewhere_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    here = tiny_clone(tmp_path / "here")
    longer = overlay(tmp_path, {"studies": {STUDY: CHAIN, **OTHERS}})
    snakemake(here, str(file_of(Path(), 1, "trained")), "--cores", "1", overlays=longer)
    output = snakemake(here, "bank_so_far", "--cores", "1", overlays=longer)
    assert "train" not in re.findall(r"^(?:local)?rule (\w+):$", output, flags=re.MULTILINE)
    snakemake(here, "bank", ACCURACY, "--cores", "1", overlays=longer)

    there = tiny_clone(tmp_path / "there")
    packed = Path(f"{STUDY}/seed0.h5")
    (there / "resources/tickets" / STUDY).mkdir(parents=True)
    shutil.copy(here / "results/bank-so-far" / packed, there / "resources/tickets" / packed)
    going_on = overlay(tmp_path, {"studies": {STUDY: {"tickets": "continue", **CHAIN}, **OTHERS}})
    targets = ("bank_so_far", ACCURACY, "results/training_curves.png")
    # What is under way is known when Snakemake starts: the chain first, then the file.
    snakemake(there, ACCURACY, "--cores", "1", overlays=going_on)
    output = snakemake(there, *targets, "--cores", "1", overlays=going_on)
    assert "train" not in re.findall(r"^(?:local)?rule (\w+):$", output, flags=re.MULTILINE)

    assert not file_of(there, LAST - 1, "trained").exists()  # its accuracy is in the bank
    for kind in ("ticket", "trained"):
        ours, theirs = (checkpoint.read(file_of(d, LAST, kind)) for d in (there, here))
        assert ours.content_sha256 == theirs.content_sha256
    whole = (here / "resources/tickets" / packed).read_bytes()
    assert (there / "results/bank-so-far" / packed).read_bytes() == whole
    ours, theirs = (read_table(d / ACCURACY) for d in (there, here))
    # The bank does not know the kind of CPU.
    ours, theirs = (table.drop(columns="cpu_capability") for table in (ours, theirs))
    keys = ["study", "seed", "round"]
    ours, theirs = (t.sort_values(keys).reset_index(drop=True) for t in (ours, theirs))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

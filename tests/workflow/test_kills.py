"""kill −9 at random moments, again and again: the bytes are those of an uninterrupted run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

import kills
from ticketlens.checkpoint import write
from workflow_tools import environment, run, snakemake, snakemake_command, tiny_clone

KILLS = int(os.environ.get("TICKETLENS_KILLS", "50"))
TARGET = "results/tables/accuracy.csv"


@pytest.mark.parametrize(
    "count", [6, pytest.param(4 * KILLS, marks=pytest.mark.nightly)], ids=["few", "many"]
)
def test_training_jobs_killed_at_random_moments_end_in_the_same_bytes(
    make_ticket, prepared, tmp_path, count
):
    write(tmp_path / "ticket.h5", make_ticket(0.5, training={"epochs": 8}))
    inputs = tmp_path / "ticket.h5", prepared.path
    kills.finished(*inputs, tmp_path / "warm-up.partial.h5", tmp_path / "warm-up.h5")
    seconds = kills.finished(*inputs, tmp_path / "whole.partial.h5", tmp_path / "whole.h5")
    output = tmp_path / "killed.h5"
    done = kills.killed(count, count, seconds / 4, *inputs, tmp_path / "killed.partial.h5", output)
    print(f"{count} kills of training jobs, {done} runs finished, {seconds:.2f} s for a whole one")
    assert output.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def clean(folder: Path) -> None:
    """Remove what a run makes; jobs that lost their Snakemake may still be writing."""
    wait_for_orphans(folder)
    for name in ("results", ".snakemake"):
        shutil.rmtree(folder / name)


def wait_for_orphans(folder: Path) -> None:
    """Wait until no process works in `folder`."""
    while any(
        process.info["cwd"] == str(folder) and process.info["status"] != "zombie"
        for process in psutil.process_iter(["cwd", "status"])
    ):
        time.sleep(0.1)


def results(folder: Path) -> dict[str, bytes]:
    """The checkpoints that the table over accuracies needs, and the table, by name."""
    files = [*(folder / "results/checkpoints").rglob("imp/[!.]*.h5"), folder / TARGET]
    # The saved state of an orphan that trained beside its successor may be left.
    files = [file for file in files if not file.name.endswith(".partial.h5")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.mark.nightly
@pytest.mark.workflow
def test_snakemakes_killed_at_random_moments_end_in_the_same_bytes(tmp_path):
    folder, rng, deaths, done = tiny_clone(tmp_path / "run"), random.Random(0), 0, 0
    start = time.monotonic()
    snakemake(folder, TARGET, "--cores", "2")
    seconds, wanted = time.monotonic() - start, results(folder)
    clean(folder)
    while deaths < KILLS or not done:
        with open(tmp_path / "log", "w") as log:
            running = subprocess.Popen(
                snakemake_command(TARGET, "--cores", "2"),
                cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            running.wait(rng.uniform(0, seconds / 3) if deaths < KILLS else None)
        except subprocess.TimeoutExpired:
            # Snakemake with all its jobs, or Snakemake alone: its jobs go on, orphaned.
            alone = rng.random() < 0.3
            (os.kill if alone else os.killpg)(running.pid, signal.SIGKILL)
            running.wait()
            deaths += 1
            print(f"kill {deaths}: {'Snakemake alone' if alone else 'all'}", flush=True)
            assert run(folder, snakemake_command("--unlock")).returncode == 0
            continue
        assert running.returncode == 0, (tmp_path / "log").read_text()
        assert results(folder) == wanted
        done += 1
        clean(folder)
    print(f"{deaths} kills of Snakemake, {done} runs finished")

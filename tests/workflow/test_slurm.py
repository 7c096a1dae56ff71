"""The workflow on a real SLURM: `make test-slurm` starts one beside these tests, and stops it.

One run of Snakemake trains two chains through `--profile slurm`. In mid-training the first job of
seed 0 is cancelled, that of seed 1 meets its time limit, and the second job of seed 0 is requeued,
as preemption does; in the second job of seed 1 the node goes down, and comes back. Meanwhile the
same runs locally, undisturbed. The tests say what came of it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

import slurm_box
from ticketlens import checkpoint
from workflow_tools import clone, environment, only

pytestmark = pytest.mark.slurm
Fields = dict[str, str]
RESULTS = "results/cluster"
TABLES = (f"{RESULTS}/tables/accuracy.csv", f"{RESULTS}/tables/chi.csv")
OVERLAY = {
    "results": RESULTS,
    "studies": only(fcnet_normal={"seeds": [0, 1]}),
    "training": {"epochs": 40},
    "pruning": {"rounds": 1},
    "interventions": {"studies": []},
}
# A look every 6 s at first, not every 40 s: jobs of seconds, one after another.
OPTIONS = ("--slurm-init-seconds-before-status-checks", "6", "--set-resources", "train:gpu=1")
SECONDS = 1800  # where the machine is busy


@dataclass(frozen=True)
class Frozen:
    """A training stopped in its middle: SLURM has to wake it to end it.

    So the test does not depend on the speed of the machine.
    """

    job: str
    gpu: str


@dataclass(frozen=True)
class Runs:
    """The run on SLURM and the local one, both at their end; all jobs that SLURM has seen."""

    cluster: Path
    local: Path
    output: str
    jobs: list[Fields]
    cancelled: Frozen
    timed_out: Frozen
    requeued: Frozen
    failed: Frozen
    orphans: list[str]

    def attempts(self, frozen: Frozen) -> list[Fields]:
        """All jobs that ran the same training as a frozen one, in their order."""
        (comment,) = (job["Comment"] for job in self.jobs if job["JobId"] == frozen.job)
        return [job for job in self.jobs if job["Comment"] == comment]


def start(folder: Path, *options: str) -> subprocess.Popen:
    """Start Snakemake in a clone of its own."""
    clone(folder)
    (folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", *TABLES, *options]
    return subprocess.Popen(
        [*command, "--configfile", "config/quick.yaml", "overlay.yaml"],
        cwd=folder,
        env=environment(),
        stdout=open(folder / "output.txt", "w"),
        stderr=subprocess.STDOUT,
    )


def finish(started: subprocess.Popen, folder: Path) -> str:
    """Wait for Snakemake; return its output, fail if it failed."""
    code = started.wait(timeout=SECONDS)
    output = (folder / "output.txt").read_text(encoding="utf-8")
    assert code == 0, output
    return output


def scontrol(*arguments: str) -> list[Fields]:
    """Ask or tell the controller; the fields of each line of its answer."""
    done = subprocess.run(["scontrol", "-o", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [dict(re.findall(r"(\S+?)=(\S+)", line)) for line in done.stdout.splitlines()]


def folder_of(seed: int, number: int) -> str:
    return f"{RESULTS}/checkpoints/fcnet-normal/seed{seed}/round{number:02d}/imp"


def log_of(seed: int, number: int) -> str:
    return f"{RESULTS}/logs/train/fcnet-normal/seed{seed}/round{number:02d}/imp.log"


def training(folder: Path, seed: int, number: int) -> psutil.Process | None:
    """The process of a training, once it has saved its state for the first time."""
    place = folder / folder_of(seed, number)
    assert not (place / "trained.h5").exists(), "finished before it was stopped: more epochs needed"
    if not (place / "training.partial.h5").exists():
        return None
    log = str(folder / log_of(seed, number))
    for process in psutil.process_iter(["cmdline"]):
        script = (process.info["cmdline"] or [""])[-1]
        is_training = script.startswith(str(folder)) and script.endswith("train.py")
        with suppress(psutil.NoSuchProcess):
            if is_training and log in {file.path for file in process.open_files()}:
                return process
    return None


def freeze(snakemake: subprocess.Popen, folder: Path, *tickets: tuple[int, int]) -> list[Frozen]:
    """Stop the trainings of tickets, (seed, round), each as soon as it has saved its state."""
    frozen: dict[tuple[int, int], Frozen] = {}
    deadline = time.monotonic() + SECONDS
    while len(frozen) < len(tickets):
        assert time.monotonic() < deadline, f"no training of {set(tickets) - set(frozen)}"
        assert snakemake.poll() is None, (folder / "output.txt").read_text(encoding="utf-8")
        for ticket in set(tickets) - set(frozen):
            process = training(folder, *ticket)
            if process is not None:
                process.send_signal(signal.SIGSTOP)
                seen = process.environ()
                frozen[ticket] = Frozen(seen["SLURM_JOB_ID"], seen["CUDA_VISIBLE_DEVICES"])
        time.sleep(0.01)
    return [frozen[ticket] for ticket in tickets]


def wait_for_end(snakemake: subprocess.Popen, folder: Path, job: str) -> None:
    """Wait until a job is COMPLETED."""
    deadline = time.monotonic() + SECONDS
    while states(scontrol("show", "job", job)) != ["COMPLETED"]:
        assert time.monotonic() < deadline, f"job {job} does not end"
        assert snakemake.poll() is None, (folder / "output.txt").read_text(encoding="utf-8")
        time.sleep(0.5)


def processes_of(*jobs: str) -> list[psutil.Process]:
    """All processes on this machine that SLURM started for jobs, Snakemakes among them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") in jobs:
                found.append(process)
    return found


def left_after_the_node_fails(frozen: Frozen) -> list[str]:
    """Let the node go down and come back; return what is left then of a job's first attempt.

    It has as long as SLURM gives a job between SIGTERM and SIGKILL, and as long again.
    """
    box = Path(os.environ["SLURM_CONF"]).parent
    before = processes_of(frozen.job)
    assert any("snakemake" in " ".join(process.cmdline()) for process in before)
    slurm_box.fail_node(box)
    slurm_box.return_node(box)
    _, left = psutil.wait_procs(before, timeout=40)
    return [" ".join(process.cmdline()) for process in left if process.is_running()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    assert "SLURM_CONF" in os.environ, "no SLURM: run `make test-slurm`"
    root = tmp_path_factory.mktemp("slurm")
    cluster, local = root / "cluster", root / "local"
    on_slurm, here = start(cluster, "--profile", "slurm", *OPTIONS), start(local, "--cores", "1")
    try:
        cancelled, timed_out = freeze(on_slurm, cluster, (0, 0), (1, 0))
        subprocess.run(["scancel", cancelled.job], check=True)
        scontrol("update", f"JobId={timed_out.job}", "EndTime=now+1")
        requeued, failed = freeze(on_slurm, cluster, (0, 1), (1, 1))
        scontrol("requeue", requeued.job)
        wait_for_end(on_slurm, cluster, requeued.job)
        orphans = left_after_the_node_fails(failed)
        output = finish(on_slurm, cluster)
        finish(here, local)
    finally:
        for started in (on_slurm, here):
            if started.poll() is None:
                started.terminate()
                started.wait()
    jobs = scontrol("show", "jobs")
    _, left = psutil.wait_procs(processes_of(*(job["JobId"] for job in jobs)), timeout=40)
    orphans += [" ".join(process.cmdline()) for process in left]
    return Runs(cluster, local, output, jobs, cancelled, timed_out, requeued, failed, orphans)


def states(jobs: list[Fields]) -> list[str]:
    return [job["JobState"] for job in jobs]


def was_resumed(runs: Runs, seed: int, number: int) -> bool:
    """Whether the attempt that finished went on from a saved state, and cleaned up after it."""
    log = (runs.cluster / log_of(seed, number)).read_text(encoding="utf-8")
    return (
        "resumed at epoch" in log
        and not (runs.cluster / folder_of(seed, number) / "training.partial.h5").exists()
    )


def test_a_training_cancelled_by_scancel_is_submitted_again_and_goes_on(runs: Runs) -> None:
    assert states(runs.attempts(runs.cancelled)) == ["CANCELLED", "COMPLETED"]
    assert was_resumed(runs, seed=0, number=0)


def test_a_training_at_its_time_limit_goes_on_with_more_time(runs: Runs) -> None:
    attempts = runs.attempts(runs.timed_out)
    assert states(attempts) == ["TIMEOUT", "COMPLETED"]
    assert attempts[1]["TimeLimit"] == "02:00:00", "twice the 60 minutes of the first attempt"
    assert was_resumed(runs, seed=1, number=0)


def test_a_preempted_training_is_requeued_by_slurm_and_goes_on(runs: Runs) -> None:
    (job,) = runs.attempts(runs.requeued)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert was_resumed(runs, seed=0, number=1)


def test_a_node_that_goes_down_leaves_no_process_behind_and_its_training_goes_on(
    runs: Runs,
) -> None:
    assert runs.orphans == []
    (job,) = runs.attempts(runs.failed)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert was_resumed(runs, seed=1, number=1)


def test_checkpoints_of_the_cluster_are_those_of_the_local_run_bit_for_bit(runs: Runs) -> None:
    for seed in (0, 1):
        for number in (0, 1):
            for kind in ("ticket", "trained", *(["mask"] if number else [])):
                file = f"{folder_of(seed, number)}/{kind}.h5"
                ours, theirs = (checkpoint.read(run / file) for run in (runs.cluster, runs.local))
                for layer, other in zip(ours.layers, theirs.layers, strict=True):
                    for part in ("mask", "weight", "bias") if kind != "mask" else ("mask",):
                        found, expected = getattr(layer, part), getattr(other, part)
                        assert found.tobytes() == expected.tobytes(), f"{file}, {layer.name} {part}"
                assert ours.content_sha256 == theirs.content_sha256, file


@pytest.mark.parametrize("table", TABLES)
def test_tables_of_the_cluster_are_those_of_the_local_run(runs: Runs, table: str) -> None:
    assert (runs.cluster / table).read_bytes() == (runs.local / table).read_bytes()


def test_analyses_of_a_round_are_one_submission_and_chains_a_round_each(runs: Runs) -> None:
    kinds = Counter(re.match(r"rule_([a-z]+)", job["Comment"])[1] for job in runs.jobs)
    attempts = 2  # one after scancel, one after the time limit
    assert kinds == {"prepare": 1, "train": 4 + attempts, "measure": 4, "tabulate": 2}


def test_analyses_ask_for_one_core(runs: Runs) -> None:
    """The members of a group run one after another: more cores would lie idle."""
    groups = [job for job in runs.jobs if job["Comment"].startswith("rule_measure")]
    assert {job["NumCPUs"] for job in groups} == {"1"}


def test_trainings_side_by_side_have_a_gpu_each(runs: Runs) -> None:
    assert {runs.cancelled.gpu, runs.timed_out.gpu} == {"0", "1"}

"""Kills, damaged files, missing data and bad configs: nothing is lost, nothing goes unsaid."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from ticketlens import checkpoint
from ticketlens.files.dataset import open_prepared
from ticketlens.jobs import preflight
from ticketlens.training.resume import Saver
from workflow_tools import (
    REPOSITORY,
    copy_run,
    environment,
    failing_snakemake,
    finished_run,
    overlay,
    plan,
    snakemake,
    snakemake_command,
    tiny_clone,
)

pytestmark = pytest.mark.workflow
CHAIN = "results/checkpoints/fcnet-normal/seed0"
TRAINED = f"{CHAIN}/round00/imp/trained.h5"
MASK = f"{CHAIN}/round01/imp/mask.h5"
TABLE = "results/tables/accuracy.csv"
PARTIAL = f"{CHAIN}/round00/imp/training.partial.h5"
LOG = "results/logs/train/fcnet-normal/seed0/round00/imp.log"
SCREEN = 24  # lines
MINUTES = 30
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return copy_run(finished, tmp_path / "run")


@pytest.fixture
def long(tmp_path: Path) -> tuple[str]:
    """Enough epochs to be stopped in the middle."""
    return overlay(tmp_path, {"training": {"epochs": 600}})


@contextmanager
def training(folder: Path, overlays: tuple[str, ...]) -> Iterator[subprocess.Popen]:
    """Snakemake at work on one training that has saved its state at least once."""
    running = subprocess.Popen(
        snakemake_command(TRAINED, "--cores", "1", overlays=overlays),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60 * MINUTES
        while not (folder / PARTIAL).exists():
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < deadline, "no saved state"
            time.sleep(0.005)
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def training_script(running: subprocess.Popen) -> psutil.Process:
    """The process that trains, below Snakemake's own."""
    for process in psutil.Process(running.pid).children(recursive=True):
        command = process.cmdline()
        if "python" in Path(command[0]).name and command[-1].endswith("train.py"):
            return process
    raise AssertionError("no training process")


def check_resumed_run_equals_an_uninterrupted_one(folder: Path) -> None:
    from ticketlens.training.loop import train

    assert "resumed at epoch" in (folder / LOG).read_text(encoding="utf-8")
    assert not (folder / PARTIAL).exists()
    found = checkpoint.read(folder / TRAINED, kind="trained")
    ticket = checkpoint.read(folder / TRAINED.replace("trained", "ticket"), kind="ticket")
    uninterrupted, _ = train(ticket, open_prepared(folder / "resources/tiny.h5"))
    for ours, theirs in zip(found.layers, uninterrupted.layers, strict=True):
        assert ours.weight.tobytes() == theirs.weight.tobytes()
        assert ours.bias.tobytes() == theirs.bias.tobytes()
    assert found.content_sha256 == uninterrupted.content_sha256  # history and best epoch, too


def test_kill_9_of_everything_and_a_rerun_give_the_bytes_of_an_uninterrupted_run(
    folder: Path, long: tuple[str]
) -> None:
    with training(folder, long) as running:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert (folder / PARTIAL).exists() and not (folder / TRAINED).exists()
    snakemake(folder, "--unlock", overlays=long)
    snakemake(folder, TRAINED, "--cores", "1", "--rerun-incomplete", overlays=long)
    check_resumed_run_equals_an_uninterrupted_one(folder)


def test_sigterm_to_a_training_saves_it_and_a_rerun_goes_on(folder: Path, long: tuple[str]) -> None:
    with training(folder, long) as running:
        training_script(running).send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=60 * MINUTES)
        assert running.returncode != 0
        assert "saved, the next run goes on from here" in output
    assert not (folder / TRAINED).exists()
    snakemake(folder, TRAINED, "--cores", "1", overlays=long)
    check_resumed_run_equals_an_uninterrupted_one(folder)


def test_a_saved_state_of_another_run_is_not_resumed(folder: Path, tmp_path: Path) -> None:
    Saver(folder / PARTIAL, "key of another run").save({"position": np.array([1, 0, 1])})
    longer = overlay(tmp_path, {"training": {"epochs": 3}})
    snakemake(folder, TRAINED, "--cores", "1", overlays=longer)
    log = (folder / LOG).read_text(encoding="utf-8")
    assert "belongs to another configuration" in log and "resumed" not in log
    assert len(checkpoint.read(folder / TRAINED).history["train_loss"]) == 3
    assert not (folder / PARTIAL).exists()


def damage(path: Path, content: bytes) -> None:
    """Change a file as a bad disk does: the modification time stays."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def with_a_flipped_bit(path: Path) -> bytes:
    """The file with one bit of the first layer's weights flipped."""
    with h5py.File(path) as file:
        layer = next(iter(file["layers"].values()))
        chunk = layer["weight"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    return bytes(content)


def test_damaged_checkpoints_in_the_chain_are_refused_by_name(folder: Path) -> None:
    truncated = "results/checkpoints/fcnet-normal/seed0/round01/imp/trained.h5"
    flipped = "results/checkpoints/convnet-normal/seed0/round00/imp/trained.h5"
    damage(folder / truncated, (folder / truncated).read_bytes()[:-1000])
    damage(folder / flipped, with_a_flipped_bit(folder / flipped))
    targets = [
        "results/checkpoints/fcnet-normal/seed0/round02/imp/mask.h5",
        "results/checkpoints/convnet-normal/seed0/round01/imp/mask.h5",
    ]
    output = failing_snakemake(folder, *targets, "--cores", "1", "--keep-going")
    for path in (truncated, flipped):
        assert f"CheckpointError: {path}: " in output
    assert not [target for target in targets if (folder / target).exists()]
    assert "Traceback" not in output


def results_of(folder: Path) -> dict[str, bytes]:
    """Every checkpoint of the long chain and the table over all, by name."""
    files = [*(folder / CHAIN).rglob("*.h5"), folder / TABLE]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_a_damaged_file_in_mid_chain_is_mended_by_the_documented_command(
    folder: Path, finished: Path
) -> None:
    damage(folder / TRAINED, with_a_flipped_bit(folder / TRAINED))
    (folder / MASK).unlink()
    output = failing_snakemake(folder, MASK, "--cores", "1")
    assert f"CheckpointError: {TRAINED}: damaged" in output
    assert f"move it away and make it again: snakemake {TRAINED} all" in output
    page = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert "`mv FILE FILE.damaged && snakemake FILE all`" in page
    (folder / TRAINED).unlink()
    snakemake(folder, TRAINED, TABLE, "--cores", "1")
    assert results_of(folder) == results_of(finished)


def test_results_of_another_spec_in_a_half_done_chain_are_refused(folder: Path) -> None:
    """As after copying files from another study: times and names fit, contents do not."""
    theta = checkpoint.read(folder / TRAINED.replace("trained", "ticket"))
    init = replace(theta.spec.init, sigma_w=1.3)
    checkpoint.write(
        folder / TRAINED.replace("trained", "ticket"),
        replace(theta, spec=theta.spec.replace(init=init)),
    )
    (folder / MASK.replace("mask", "ticket")).unlink()
    output = failing_snakemake(
        folder, MASK.replace("mask", "ticket"), "--cores", "1", "--allowed-rules", "rewind"
    )
    assert f"InvariantError: {MASK.replace('mask', 'ticket')}: theta is " in output
    assert "expected what fcnet-normal seed 0 rewinds to" in output
    assert "made by another spec" in output and "Traceback" not in output


def test_a_second_snakemake_is_turned_away_but_for_progress_and_the_first_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    endless = overlay(tmp_path, {"training": {"epochs": 20_000}})
    with training(folder, endless) as running:
        output = failing_snakemake(folder, TRAINED, "--cores", "1", overlays=endless)
        assert "cannot be locked" in output and "--unlock" in output
        command = ("progress", "--nolock", "--quiet", "all")
        assert f"snakemake {' '.join(command)} " in README
        shown = snakemake(folder, *command, overlays=endless)
        line = r"^fcnet-normal +0 +\d/2 .*round 0, epoch \d+/20000 .*\d\d:\d\d$"
        assert re.search(line, shown, re.MULTILINE), shown
        assert running.poll() is None


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount on `folder` for the block; skip the test where that is not permitted."""
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_named_and_with_more_room_the_run_ends_in_the_same_bytes(
    folder: Path, finished: Path
) -> None:
    shutil.rmtree(folder / "results")
    (folder / "results").mkdir()
    size = (finished / TRAINED.replace("trained", "ticket")).stat().st_size // 1024 + 40
    with mounted(folder / "results", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs"):
        output = failing_snakemake(folder, TRAINED, "--cores", "1")
        assert f"[Errno 28] No space left on device: '{CHAIN}/round00/imp/tr" in output
        assert "free some space there and run Snakemake again" in output
        assert "Traceback" not in output
        assert [file.name for file in (folder / CHAIN).rglob("*.h5")] == ["ticket.h5"]
        subprocess.run(["mount", "-o", "remount,size=9m", folder / "results"], check=True)
        snakemake(folder, TRAINED, "--cores", "1")
        assert (folder / TRAINED).read_bytes() == (finished / TRAINED).read_bytes()


def test_a_run_into_a_read_only_folder_says_so_before_any_job(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    (folder / "results").mkdir()
    with mounted(folder / "results", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"):
        output = failing_snakemake(folder, "resources/tiny.h5", "--cores", "1")
    assert "results/ cannot be written (Read-only file system: results/.last-run)" in output
    assert "set `results` in the config to another folder" in output
    assert "Traceback" not in output and not (folder / "resources/tiny.h5").exists()


def test_a_clock_that_went_backwards_stops_the_run_before_it_makes_stale_results(
    folder: Path,
) -> None:
    tomorrow = time.time() + 86400
    os.utime(folder / "results" / preflight.STAMP, (tomorrow, tomorrow))
    (folder / TRAINED).unlink()
    output = failing_snakemake(folder, TRAINED, "--cores", "1")
    assert "Correct the system clock" in output and not (folder / TRAINED).exists()


def test_missing_images_end_in_a_message_that_says_how_to_get_some(
    folder: Path, tmp_path: Path
) -> None:
    nowhere = overlay(tmp_path, {"dataset": {"name": "nowhere", "path": "no-such-folder"}})
    output = failing_snakemake(folder, "resources/nowhere.h5", "--cores", "1", overlays=nowhere)
    assert "DatasetError: no-such-folder: no such file or folder. Ways to get images:" in output
    assert "source: embedded" in output
    assert not (folder / "resources/nowhere.h5").exists()


def test_an_archive_that_is_only_newer_is_not_prepared_again(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    archive = shutil.make_archive(str(tmp_path / "images"), "zip", folder / "images")
    overlays = overlay(tmp_path, {"dataset": {"name": "zipped", "path": archive}})
    target = "resources/zipped.h5"
    snakemake(folder, target, "--cores", "1", overlays=overlays)
    later = time.time() + 60
    os.utime(archive, (later, later))
    assert "Nothing to be done" in snakemake(folder, "-n", target, overlays=overlays)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("notes.txt", "another listing")
    (job,) = plan(folder, target, overlays=overlays)
    assert job.rule == "prepare_dataset" and "Params have changed" in job.reason


def test_a_bad_config_ends_before_anything_runs_in_a_message_of_one_screen(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    bad = {
        "trainning": {"epochs": 3},
        "results": "../elsewhere",
        "networks": {"convnet": {"kernel": 4}},
        "studies": {"fcnet-normal": {"seeds": [0, 0]}},
    }
    output = failing_snakemake(folder, "all", "--cores", "1", overlays=overlay(tmp_path, bad))
    assert "unknown key trainning; did you mean 'training'?" in output
    assert "networks.convnet.kernel is 4; allowed: an odd number" in output
    assert "results is '../elsewhere'; allowed: a relative folder" in output
    assert "studies.fcnet-normal.seeds is [0, 0]; allowed: no entry twice" in output
    assert "Traceback" not in output
    assert len(output.splitlines()) <= SCREEN
    assert not (folder / "results").exists() and not list((folder / "resources").glob("*.h5"))

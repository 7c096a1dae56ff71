"""Progress of long runs, from files alone: what is trained, what is on its way, when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ticketlens.pages.progress import Chain, chains, read_run, table
from ticketlens.study.config import checked
from workflow_tools import REPOSITORY

NOW = datetime(2026, 3, 1, 12, 0, 0)
RUN = "fc seed 0 round 3 arm imp"


def log(*events: tuple[float, str]) -> str:
    """A log of (seconds before NOW, text)."""
    return "".join(
        f"{NOW - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S} INFO {RUN}: {text}\n"
        for ago, text in events
    )


@pytest.fixture
def config() -> dict:
    """Two studies of one seed: 4 networks of 50 epochs each, one arm at round 2 in the first."""
    whole = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    study = {"network": "fcnet", "init": "normal", "seeds": [0]}
    whole["studies"] = {"fc": study, "other": {**study, "seeds": [4, 5, 6]}}
    whole["pruning"]["rounds"] = 3
    whole["arms"] = {
        "imp": whole["arms"]["imp"],
        "rewire": {"mask": "rewire", "weights": "shuffled-values"},
    }
    whole["interventions"] = {"rounds": [2], "studies": ["fc"]}
    whole |= {"contrasts": {"arms": [], "round": 2, "margin": 0.5}, "experiments": {}}
    whole.pop("claims", None)
    return checked(whole)


def finish(results: Path, run: str, seconds: float = 4.0) -> None:
    """Leave behind what a finished run does: trained.h5 and a log."""
    checkpoint = results / "checkpoints" / run / "trained.h5"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    write(results, run, log((9000, f"{seconds:.2f} s an epoch; test accuracy 0.4957 (last epoch)")))


def write(results: Path, run: str, text: str) -> None:
    path = results / "logs/train" / f"{run}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def first(config: dict, results: Path) -> Chain:
    return chains(config, results, NOW)[0]


def test_nothing_begun_is_waiting_and_seeds_share_a_line(config: dict, tmp_path: Path) -> None:
    found = chains(config, tmp_path, NOW)
    assert [(chain.done, chain.total, chain.is_running) for chain in found] == [(0, 4, False)] * 4
    lines = table(found, NOW).splitlines()
    assert lines[2].split() == ["other", "4–6", "0/4", "–", "waiting", "–"]
    assert lines[-1] == "0 of 17 networks trained, 0 in training"


def test_speed_is_that_of_whole_epochs_and_the_end_counts_all_rounds_left(
    config: dict, tmp_path: Path
) -> None:
    for number in (0, 1):
        finish(tmp_path, f"fc/seed0/round{number:02d}/imp", seconds=99)
    events = [(70, "1249802 parameters"), (60, "epoch 1/50, train"), (10, "epoch 11/50, train")]
    write(tmp_path, "fc/seed0/round02/imp", log(*events))
    chain = first(config, tmp_path)
    assert (chain.done, chain.round, chain.run.epoch, chain.run.epochs) == (2, 2, 11, 50)
    assert chain.run.seconds == 5.0
    # 39 epochs of this round and 50 of the last one, from the last line on.
    assert chain.end == NOW + timedelta(seconds=-10 + (39 + 50) * 5)
    text = table([chain], NOW)
    assert "round 2, epoch 11/50" in text and "12:07" in text


def test_a_run_without_an_epoch_goes_at_the_speed_of_the_finished_ones(
    config: dict, tmp_path: Path
) -> None:
    for number, seconds in enumerate((4, 6, 100)):
        finish(tmp_path, f"fc/seed0/round{number:02d}/imp", seconds)
    write(tmp_path, "fc/seed0/round03/imp", log((30, "1249802 parameters")))
    assert first(config, tmp_path).end == NOW + timedelta(seconds=50 * 6 - 30)


def test_a_silent_log_is_no_running_job(config: dict, tmp_path: Path) -> None:
    events = [(900, "epoch 1/50, train"), (600, "epoch 31/50, train")]
    write(tmp_path, "fc/seed0/round00/imp", log(*events))
    chain = first(config, tmp_path)
    assert not chain.is_running and chain.end is None
    assert "silent since 11:50" in table([chain], NOW)


def test_long_epochs_are_waited_for(config: dict, tmp_path: Path) -> None:
    events = [(1500, "epoch 1/50, train"), (500, "epoch 3/50, train")]
    write(tmp_path, "fc/seed0/round00/imp", log(*events))
    assert first(config, tmp_path).is_running


def test_a_resumed_run_is_not_taken_for_a_fast_one(config: dict, tmp_path: Path) -> None:
    events = [(30, "resumed at epoch 41, step 7"), (20, "epoch 41/50, train")]
    write(tmp_path, "fc/seed0/round00/imp", log(*events))
    chain = first(config, tmp_path)
    assert chain.is_running and chain.run.seconds is None and chain.end is None


def test_arms_are_trained_after_the_chain_and_counted_apart(config: dict, tmp_path: Path) -> None:
    for number in range(4):
        finish(tmp_path, f"fc/seed0/round{number:02d}/imp", seconds=2)
    assert "done, arms waiting" in table([first(config, tmp_path)], NOW)
    write(tmp_path, "fc/seed0/round02/rewire", log((5, "epoch 20/50, train")))
    chain = first(config, tmp_path)
    assert (chain.arms_done, chain.arms_total) == (0, 1)
    assert chain.end == NOW + timedelta(seconds=30 * 2)
    assert "round02/rewire, epoch 20/50" in table([chain], NOW)
    finish(tmp_path, "fc/seed0/round02/rewire")
    assert table([first(config, tmp_path)], NOW).splitlines()[1].split()[4] == "done"


def test_chains_trained_for_their_masks_alone_are_listed(config: dict, tmp_path: Path) -> None:
    config["arms"]["imp-other-seed"] = {"mask": "imp-other-seed", "weights": "rewind"}
    found = {(chain.study, chain.seed): chain for chain in chains(config, tmp_path, NOW)}
    assert found["fc", 1000].total == 2  # the mask of round 2 comes from the network of round 1
    assert found["fc", 1000].arms_total == 0


def test_of_a_study_from_the_bank_the_arms_alone_are_listed(config: dict, tmp_path: Path) -> None:
    config["studies"]["fc"]["tickets"] = config["studies"]["other"]["tickets"] = "bank"
    assert [(c.study, c.total, c.arms_total) for c in chains(config, tmp_path, NOW)] == [
        ("fc", 0, 1)
    ], "other has no arms"
    assert table([first(config, tmp_path)], NOW).splitlines()[1].split() == [
        "fc", "0", "bank", "0/1", "waiting", "–"
    ]  # fmt: skip
    events = [(25, "epoch 10/50, train"), (5, "epoch 20/50, train")]
    write(tmp_path, "fc/seed0/round02/rewire", log(*events))
    assert first(config, tmp_path).end == NOW + timedelta(seconds=30 * 2), "at the arm's own speed"
    text = table([first(config, tmp_path)], NOW)
    assert "round02/rewire, epoch 20/50" in text and "0 of 1 networks trained, 1 in" in text
    finish(tmp_path, "fc/seed0/round02/rewire")
    assert table([first(config, tmp_path)], NOW).splitlines()[1].split()[4] == "done"


@pytest.mark.parametrize("text", ["", "no time at all\n", "2026-03-01 11:5"])
def test_a_log_that_says_nothing_is_no_run(text: str) -> None:
    assert read_run(text) is None


def test_the_log_lines_are_those_that_training_writes() -> None:
    """The patterns above are read from the source, so that a reworded line fails here."""
    source = (REPOSITORY / "workflow/ticketlens/training/loop.py").read_text(encoding="utf-8")
    assert '"%s: epoch %d/%d, train loss' in source
    assert '"%s: %.2f s an epoch; test accuracy' in source
    assert '"%s: resumed at epoch %d, step %d"' in source

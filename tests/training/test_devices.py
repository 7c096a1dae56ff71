"""Two trainings on a machine with several GPUs never share one by accident."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ticketlens.training import devices
from workflow_tools import REPOSITORY

HOLD = """
import sys
from pathlib import Path
from ticketlens.training.devices import held

with held(sys.argv[2:], Path(sys.argv[1])) as index:
    print(index, flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, *names: str) -> subprocess.Popen:
    """Another process that holds a name until its standard input ends, or it is killed."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(REPOSITORY / "workflow")},
    )


@pytest.fixture
def fake_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Two GPUs that torch sees; the list records which ones are chosen."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"uuid-{index}")
    )
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "SECONDS_BETWEEN_LOOKS", 0.01)
    return chosen


def test_jobs_side_by_side_hold_different_gpus_and_the_third_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "SECONDS_BETWEEN_LOOKS", 0.01)
    other = holder(tmp_path, "a", "b")
    assert other.stdout.readline() == "0\n"
    with devices.held(["a", "b"], tmp_path) as index:
        assert index == 1
        waited = []

        def give_up(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                other.kill()  # by SIGKILL: the lock ends with its process
                other.communicate()

        monkeypatch.setattr(devices.time, "sleep", give_up)
        with devices.held(["a", "b"], tmp_path) as third:
            assert third == 0 and len(waited) == 3
    assert caplog.text.count("all 2 GPUs are in use by other trainings") == 1


def test_a_gpu_is_free_again_after_the_block_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError), devices.held(["a"], tmp_path):
        raise ArithmeticError("training diverged")
    with devices.held(["a"], tmp_path) as index:
        assert index == 0


def test_the_second_training_takes_the_second_gpu(fake_gpus: list[int]) -> None:
    with devices.gpu_of_its_own("auto"), devices.gpu_of_its_own("cuda"):
        assert fake_gpus == [0, 1]


@pytest.mark.parametrize(("device", "number"), [("cpu", 2), ("auto", 1), ("cuda", 1), ("auto", 0)])
def test_nothing_is_chosen_on_a_cpu_or_where_a_scheduler_dealt_out_one_gpu(
    fake_gpus: list[int], monkeypatch: pytest.MonkeyPatch, device: str, number: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
    with devices.gpu_of_its_own(device), devices.gpu_of_its_own(device):
        assert fake_gpus == []

"""Before a run: results can be written and the clock goes forwards, or a message says so."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ticketlens.jobs import preflight
from ticketlens.jobs.preflight import PreflightError, check

NOW = 1.7e9


def test_a_run_leaves_the_time_of_its_start(tmp_path):
    check(tmp_path / "a" / "results", NOW)
    check(tmp_path / "a" / "results", NOW + 60)
    assert (tmp_path / "a" / "results" / preflight.STAMP).stat().st_mtime == NOW + 60


def test_a_clock_behind_the_last_run_is_refused_and_the_stamp_stays(tmp_path):
    check(tmp_path, NOW)
    check(tmp_path, NOW - preflight.SLACK)  # the clocks of two machines
    check(tmp_path, NOW)
    with pytest.raises(PreflightError, match=r"the clock says .*Correct the system clock"):
        check(tmp_path, NOW - 3600)
    assert (tmp_path / preflight.STAMP).stat().st_mtime == NOW


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    def refusing(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "touch", refusing)
    message = rf"cannot be written \({os.strerror(number)}: .*last-run\).*set `results`"
    with pytest.raises(PreflightError, match=message):
        check(tmp_path)


def test_the_documented_command_makes_a_mended_clock_acceptable(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs/troubleshooting.md").read_text(
        encoding="utf-8"
    )
    command = "find results resources -newermt now -exec touch -d @$(date +%s) {} +"
    assert f"`{command}`" in page
    (tmp_path / "resources").mkdir()
    check(tmp_path / "results", time.time() + 1e6)
    with pytest.raises(PreflightError):
        check(tmp_path / "results")
    assert os.system(f"cd {tmp_path} && {command}") == 0
    check(tmp_path / "results")

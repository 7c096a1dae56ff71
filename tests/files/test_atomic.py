"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from ticketlens.files.atomic import replacing


def test_a_finished_file_replaces_the_older_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_failed_rename_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"), replacing(tmp_path / "x.h5") as temporary:
        temporary.write_text("whole")
    assert os.listdir(tmp_path) == []


def test_the_temporary_file_is_a_hidden_sibling_of_the_same_suffix(tmp_path):
    path = tmp_path / "folder" / "chi.png"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
    assert path.exists()


def test_content_is_synced_before_the_rename_and_the_rename_after_it(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, f=function, n=name: (calls.append(n), f(*args))[1]
        )
    with replacing(tmp_path / "x") as temporary:
        temporary.write_text("content")
    assert calls == ["fsync", "replace", "fsync"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "x"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "x") as temporary:
            temporary.write_text("content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~umask

"""Modules taken apart are kept in one bounded file, which may be lost, damaged or shared."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ticketlens.jobs import parsed
from ticketlens.jobs.parsed import Store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "module.py"
    file.write_text("ONE = 1\n", encoding="utf-8")
    return file


def take_apart(store: Path, file: Path, *values: int) -> None:
    """Take a module apart that has each of the values in turn, and save."""
    own = Store(store)
    for value in values:
        file.write_text(f"ONE = {value}\n", encoding="utf-8")
        own.parse(file, "lens", "lens")
    own.save()


def test_what_was_taken_apart_is_found_again_by_its_bytes_wherever_they_stand(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_apart(tmp_path / "kept.json", source, 1)
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("ONE = 1\n", encoding="utf-8")
    monkeypatch.setattr(parsed.definitions, "parse", None)
    assert "ONE" in Store(tmp_path / "kept.json").parse(elsewhere, "lens", "lens").definitions
    with pytest.raises(TypeError):  # another package: names are resolved otherwise
        Store(tmp_path / "kept.json").parse(elsewhere, "other", "other")


def test_the_file_keeps_the_entries_that_were_used_last(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept.json"
    monkeypatch.setattr(parsed, "LIMIT", 3)
    take_apart(file, source, 1, 2, 3)
    first, _, third = Store(file).kept
    take_apart(file, source, 1, 4)
    assert list(Store(file).kept)[:2] == [third, first]
    assert len(Store(file).kept) == 3
    take_apart(file, source, 5, 6, 7, 8)
    assert len(Store(file).kept) == 3


def test_a_damaged_file_costs_time_alone(tmp_path: Path, source: Path) -> None:
    file = tmp_path / "kept.json"
    take_apart(file, source, 1)
    whole = file.read_bytes()
    for damaged in (b"", whole[:-5], whole.replace(b"ONE", b"TWO"), b"\xff" * 9):
        file.write_bytes(damaged)
        assert "ONE" in Store(file).parse(source, "lens", "lens").definitions
        take_apart(file, source, 1)
        assert file.read_bytes() == whole


def test_processes_that_write_at_once_leave_a_whole_file(tmp_path: Path, source: Path) -> None:
    file = tmp_path / "kept.json"
    with multiprocessing.get_context("fork").Pool(4) as pool:
        jobs = [(file, tmp_path / f"{value}.py", value) for value in range(40)]
        pool.starmap(take_apart, jobs)
    assert 0 < len(Store(file).kept) <= 40
    assert not list(tmp_path.glob("*.tmp"))

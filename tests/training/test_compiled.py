"""Compiled sources: cached by all that decides their code, whole files only, no folder needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ticketlens.training import compiled

WORKFLOW = Path(compiled.__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Return a small source file; the cache is a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiled.library.cache_clear()
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return 42; }\n", encoding="utf-8")
    yield path
    compiled.library.cache_clear()


def files():
    return sorted(compiled.cache_folder().iterdir())


def load(source):
    compiled.library.cache_clear()
    return compiled.library(source)


def elsewhere(source):
    """Load and call in another process; the answer is printed."""
    code = (
        "from pathlib import Path; from ticketlens.training import compiled; "
        f"print(compiled.library(Path({str(source)!r})).answer())"
    )
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)


def test_a_source_is_compiled_once_and_then_taken_from_the_cache(source, monkeypatch):
    assert load(source).answer() == 42
    (cached,) = files()
    before = cached.stat().st_mtime_ns
    assert load(source).answer() == 42
    assert files() == [cached] and cached.stat().st_mtime_ns == before


def test_another_source_flag_or_machine_has_another_file(source, monkeypatch):
    load(source)
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "FLAGS", (*compiled.FLAGS, "-fno-inline"))
        load(source)
    with monkeypatch.context() as patch:
        found = compiled._flags
        patch.setattr(compiled, "_flags", lambda command: (found(command)[0], b"another machine"))
        load(source)
    source.write_text("int answer(void) { return 43; }\n", encoding="utf-8")
    assert load(source).answer() == 43
    assert len(files()) == 4


def test_a_damaged_file_of_the_cache_is_replaced(source):
    assert elsewhere(source).communicate()[0] == b"42\n"
    (cached,) = files()
    cached.write_bytes(b"no library")
    assert load(source).answer() == 42
    assert files() == [cached] and cached.stat().st_size > 1000


def test_where_no_cache_can_be_written_the_job_compiles_for_itself(source, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert load(source).answer() == 42


def test_an_error_of_the_compiler_is_shown(source):
    source.write_text("int answer(void) { return nothing; }\n", encoding="utf-8")
    with pytest.raises(compiled.CompilerError, match=r"(?s)the C compiler failed.*nothing"):
        load(source)
    assert not files()


def test_an_unknown_machine_flag_is_passed_over(source, monkeypatch):
    monkeypatch.setattr(compiled, "NATIVE", ("-march=no-such-machine",))
    assert load(source).answer() == 42


def test_jobs_that_compile_at_the_same_time_do_not_disturb_each_other(source):
    jobs = [elsewhere(source) for _ in range(4)]
    assert [job.communicate()[0] for job in jobs] == [b"42\n"] * 4
    assert len(files()) == 1

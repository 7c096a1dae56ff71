"""Tests of one module, collected once in a warm process; each mutant is tried in a fork of it.

What a mutant changes inside functions goes into the live functions (`__code__`), so that nothing is
imported again. A change elsewhere (a constant, a default, a decorator), or in a function that ran
during import, needs a fresh import: `patched` says so with None.

No test is left out: those that reach the mutant's line come first, by how many mutants they have
killed in a second of theirs; all others follow, as a fixture or a cache may have reached the line
for them.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

SLOWER = 4  # a test that takes so many times its CPU seconds has noticed
PAUSE = 60  # seconds in which no process of a fork runs: it waits for what never comes

Tests = dict[str, tuple[float, set[int]]]
"""For each test its CPU seconds and the lines of the module that it reaches."""


class Lines:
    """Which lines of a file run, and which of its functions (by their first line)."""

    def __init__(self, path: Path) -> None:
        self.lines, self.called = set[int](), set[int]()
        name, called = str(path), self.called

        def line(frame: FrameType, event: str, arg: object) -> Any:
            self.lines.add(frame.f_lineno)
            return line

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            code = frame.f_code
            if code.co_filename != name:
                return None
            if code.co_flags & 1:  # CO_OPTIMIZED: a function, not a module or a class body
                called.add(code.co_firstlineno)
            return line

        self.trace = trace


def functions(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """Return the outermost functions of two codes in pairs; None if more than functions differ."""
    same = ("co_code", "co_names", "co_varnames", "co_flags", "co_exceptiontable")
    if any(getattr(old, name) != getattr(new, name) for name in same):
        return None
    if len(old.co_consts) != len(new.co_consts):
        return None
    found = []
    for one, other in zip(old.co_consts, new.co_consts, strict=True):
        if not isinstance(one, CodeType) or not isinstance(other, CodeType):
            if type(one) is not type(other) or repr(one) != repr(other):
                return None
        elif not one.co_flags & 1:  # a class body
            inner = functions(one, other)
            if inner is None:
                return None
            found += inner
        elif one.co_name.endswith("comp>") or one.co_name == "<genexpr>":
            if one != other:  # runs during import
                return None
        else:
            found.append((one, other))
    return found


def patched(path: Path, source: str, text: str, called: set[int]) -> Callable[[], None] | None:
    """Return what puts a mutant into the live functions of a module; None if only an import can."""
    pairs = functions(compile(source, str(path), "exec"), compile(text, str(path), "exec"))
    changed = {(a.co_qualname, a.co_firstlineno): b for a, b in pairs or () if a != b}
    if not changed or called & {line for _, line in changed}:
        return None
    live = [
        (each, changed[key])
        for each in gc.get_objects()
        if isinstance(each, FunctionType) and each.__code__.co_filename == str(path)
        for key in [(each.__code__.co_qualname, each.__code__.co_firstlineno)]
        if key in changed
    ]
    if {(f.__code__.co_qualname, f.__code__.co_firstlineno) for f, _ in live} != set(changed):
        return None
    if any(len(f.__code__.co_freevars) != len(code.co_freevars) for f, code in live):
        return None

    def put() -> None:
        for function, code in live:
            function.__code__ = code

    return put


def ordered(tests: Tests, number: int, kills: Counter[str]) -> list[str]:
    """Return all tests: first those that reach a line, by kills in a second of theirs."""

    def rank(name: str) -> tuple[bool, float]:
        seconds, lines = tests[name]
        return number not in lines, -(kills[name] + 0.5) / (seconds + 0.05)

    return sorted(tests, key=rank)


def run_in_order(session: pytest.Session, names: Sequence[str], tests: Tests) -> str | None:
    """Run collected tests in an order, to the first that fails; return its name."""
    by_name = {item.nodeid: item for item in session.items}
    items = [by_name[name] for name in names if name in by_name]
    for item, after in zip(items, [*items[1:], None], strict=True):
        limit = SLOWER * tests[item.nodeid][0] + 2 if item.nodeid in tests else 0
        signal.setitimer(signal.ITIMER_PROF, limit)  # ends the process: the caller counts a kill
        _said(item.nodeid)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return item.nodeid
    return None


_SAYS: list[int] = []


def _said(name: str) -> None:
    for descriptor in _SAYS:
        os.write(descriptor, name.encode() + b"\n")


def forked(work: Callable[[], bool], pause: float = PAUSE) -> tuple[bool, str, float]:
    """Return whether `work` in a fork says True, the last test that it began, and CPU seconds.

    A fork in which nothing has run for `pause` seconds is ended.
    """
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            os.close(reads)
            _SAYS[:] = [writes]
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            code = int(not work())
        finally:
            os._exit(code)
    os.close(writes)
    os.set_blocking(reads, False)
    said, still, wait = b"", 0, 0.01
    while True:
        finished, status, usage = os.wait4(child, os.WNOHANG)
        with suppress(BlockingIOError):
            said += os.read(reads, 65536)
        if finished:
            break
        time.sleep(wait)
        wait = min(1.2 * wait, 1)
        if wait == 1:
            still = 0 if _runs(child) else still + 1
        if still > pause:
            os.killpg(child, signal.SIGKILL)
    with suppress(BlockingIOError):
        while part := os.read(reads, 65536):
            said += part
    os.close(reads)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what a mutant left behind
    names = said.decode().split("\n")
    return status == 0, names[-2] if len(names) > 1 else "", usage.ru_utime + usage.ru_stime


def _runs(session: int) -> bool:
    """Whether a process of a session runs, waits for a CPU or for a disk."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] in "RD":
                    return True
    return False


class Warm:
    """A pytest plugin: collects the tests, looks at which lines they reach, then calls `work`.

    `work(session, tests, called)` gets the collected tests with their seconds and lines, and the
    functions that ran during import.
    """

    def __init__(
        self, path: Path, work: Callable[[pytest.Session, Tests, set[int]], None], seen: Path
    ) -> None:
        self.path, self.work, self.seen = path, work, seen
        self.lines, self.fixtures = Lines(path), dict[str, set[int]]()
        sys.settrace(self.lines.trace)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        sys.settrace(None)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        outer = self.lines.lines
        self.lines.lines = set()
        try:
            return (yield)
        finally:
            self.fixtures.setdefault(fixturedef.argname, set()).update(self.lines.lines)
            self.lines.lines |= outer

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        called = set(self.lines.called)
        passes, last, _ = forked(lambda: self._look(session))
        if not passes:
            _said(last)
            os._exit(1)
        stored = json.loads(self.seen.read_text("utf-8"))
        tests = {name: (seconds, set(lines)) for name, (seconds, lines) in stored.items()}
        self.work(session, tests, called)
        return True

    def _look(self, session: pytest.Session) -> bool:
        """Run all tests under a tracer and store their seconds and lines."""
        sys.settrace(self.lines.trace)
        found: dict[str, tuple[float, set[int], Sequence[str]]] = {}
        for item, after in zip(session.items, [*session.items[1:], None], strict=True):
            self.lines.lines = set()
            start = time.process_time()
            _said(item.nodeid)
            sys.settrace(self.lines.trace)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            names = getattr(item, "fixturenames", ())
            found[item.nodeid] = (time.process_time() - start, self.lines.lines, names)
            if session.testsfailed:
                return False
        sys.settrace(None)
        stored = {
            name: (seconds, sorted(lines.union(*(self.fixtures.get(one, ()) for one in names))))
            for name, (seconds, lines, names) in found.items()
        }
        self.seen.write_text(json.dumps(stored), "utf-8")
        return True

"""Mutation run: do the tests notice a fault in what the results rest on? Part of `make nightly`.

Usage: python tests/tools/mutation.py run [--count 400] [--seed 16] [--out FILE]

A random sample of the mutants (`mutants.py`) is tried in a copy of the project, each in a fork of a
process that has collected the tests of its module (`warm_tests.py`), until the first test fails. A
test that takes four times its CPU seconds counts as one that fails.

What happened is written as it goes, one line of JSON a mutant. A run goes on where an earlier one
ended; mutants that survived are tried again, as there may be new tests.

Cosmic Ray is no dependency of ticketlens: `make nightly` installs it into build/mutation.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from mutants import EQUIVALENT, TARGETS, Mutant, Target, sampled
from warm_tests import Tests, Warm, forked, ordered, patched, run_in_order

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "workflow/ticketlens"
COPIED = ("workflow", "tests", "config", "resources", "docs/results", "pyproject.toml", "README.md")
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")


def copied(folder: Path) -> None:
    """Copy what tests read. Compiled files are left out, as their times could hide a mutant."""
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "results", "*.png", "*.pdf")
            shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
        else:
            shutil.copy(source, folder / name)


def in_place(folder: Path, *plugins: object, tests: Sequence[str]) -> int:
    """Run pytest in a copy of the project; the copy's package is the one that is imported."""
    os.chdir(folder)
    sys.path[:0] = [str(folder / "workflow"), str(folder / "tests/tools")]
    paths = [f"tests/{test}" for test in tests]
    options = (*OPTIONS, f"--basetemp={folder / 'temporary'}")
    return int(pytest.main([*options, *paths], plugins=list(plugins)))


class _Ordered:
    """A pytest plugin of a fresh process: tests in an order, to the first that fails."""

    def __init__(self, names: Sequence[str], tests: Tests) -> None:
        self.names, self.tests = names, tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        os._exit(int(run_in_order(session, self.names, self.tests) is not None))


def try_target(
    folder: Path, target: Target, mutants: Sequence[Mutant], source: str, out: Path
) -> None:
    """Try all mutants of a module from one warm process; each outcome becomes a line of `out`."""
    path = folder / PACKAGE / target.path
    kills: Counter[str] = Counter()

    def work(session: pytest.Session, tests: Tests, called: set[int]) -> None:
        for mutant in mutants:
            names = ordered(tests, mutant.number, kills)
            path.write_text(mutant.text, encoding="utf-8")  # for processes that tests start
            put = patched(path, source, mutant.text, called)

            def warm(put=put, names=names) -> bool:
                put()
                return run_in_order(session, names, tests) is None

            if put:
                survives, last, seconds = forked(warm)
            else:
                survives, last, seconds = _fresh(folder, target, names, tests)
            path.write_text(source, encoding="utf-8")
            if not survives:
                kills[last] += 1
            row = {
                "key": mutant.key,
                "outcome": "survived" if survives else "killed",
                "name": mutant.name,
                "by": "" if survives else last or "import",
                "seconds": round(seconds, 2),
                "fresh": put is None,
            }
            with out.open("a", encoding="utf-8") as report:
                print(json.dumps(row), file=report)

    seen = folder / "seen.json"

    def server() -> bool:
        return in_place(folder, Warm(path, work, seen), tests=target.tests) == 0

    passes, last, _ = forked(server, pause=math.inf)
    if not passes:
        raise SystemExit(f"{target.path}: without a mutant fails {last or 'the collection'}")


def _fresh(
    folder: Path, target: Target, names: Sequence[str], tests: Tests
) -> tuple[bool, str, float]:
    """Try a mutant in a process that imports everything of ticketlens anew."""

    def work() -> bool:
        own = ("ticketlens", "tests", "conftest", "test_")
        for name in [one for one in sys.modules if one.split(".")[0].startswith(own)]:
            del sys.modules[name]
        in_place(folder, _Ordered(names, tests), tests=target.tests)
        return False  # reached only where collecting fails

    return forked(work)


def outcomes(out: Path) -> dict[str, dict[str, object]]:
    """Return what an earlier run wrote, by key; the last line of a key counts."""
    if not out.exists():
        return {}
    rows = (json.loads(line) for line in out.read_text("utf-8").splitlines())
    return {row["key"]: row for row in rows}


def run(count: int, seed: int, out: Path, only: Sequence[str] = ("",)) -> int:
    """Try a sample of mutants, write what happened; return 1 below 95 % of those to be killed."""
    # Imported once for all children: what tests need, but nothing of ticketlens.
    import h5py  # noqa: F401
    import hypothesis  # noqa: F401
    import pandas  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch  # noqa: F401

    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sources = {one: (PROJECT / PACKAGE / one.path).read_text("utf-8") for one in TARGETS}
    sample = sampled(sources, count, seed)
    sample = [one for one in sample if any(part in one.name for part in only)]
    before = outcomes(out)
    done = {key for key, row in before.items() if row["outcome"] == "killed"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copied(folder)
        for target in TARGETS:
            mine = [one for one in sample if one.target == target and one.key not in done]
            mine = [one for one in mine if (target.path, one.line.strip()) not in EQUIVALENT]
            if mine:
                try_target(folder, target, mine, sources[target], out)
    return summed_up(sample, seed, out)


def summed_up(sample: Sequence[Mutant], seed: int, out: Path) -> int:
    """Print survivors and the score; return 1 below 95 % of those to be killed."""
    after = outcomes(out)
    tried = [one for one in sample if (one.target.path, one.line.strip()) not in EQUIVALENT]
    survived = [one for one in tried if after[one.key]["outcome"] == "survived"]
    for mutant in survived:
        print(f"SURVIVED {mutant.name}")
    killed = len(tried) - len(survived)
    share = killed / max(1, len(tried))
    spent = sum(float(str(after[one.key]["seconds"])) for one in tried)
    print(
        f"{len(sample)} mutants, seed {seed}: mutation score {share:.1%}, {killed} of {len(tried)} "
        f"killed, {len(sample) - len(tried)} equivalent, {spent:.0f} CPU-s in mutants"
    )
    return int(share < 0.95)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names: no others")
    parser.add_argument("--out", type=Path, default=Path("build/mutation.jsonl"))
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    sys.exit(run(given.count, given.seed, given.out.resolve(), given.only))

"""Mutation run: do the tests notice a fault in what the results rest on? Part of `make nightly`.

Usage: python tests/tools/mutation.py run [--count 400] [--seed 16] [--out FILE]

Mutants are those of Cosmic Ray's operators (all that need no arguments) and the removal of single
statements, over TARGETS: pruning, rewinding, resuming, bank, inference, signal, ladder. A mutant
that differs in annotations alone is none. A random sample is tried, each in a forked process that
runs the tests of its module in a copy of the project, until the first fails. A mutant that takes
four times the CPU seconds of the tests counts as killed. EQUIVALENT lists survivors that no test
can kill, each with the reason.

Cosmic Ray is no dependency of ticketlens: `make nightly` installs it into build/mutation.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "workflow/ticketlens"
COPIED = ("workflow", "tests", "config", "resources", "docs/results", "pyproject.toml")
SLOWER = 4


@dataclass(frozen=True)
class Target:
    """A module, its tests, cheap ones first, and the functions that count (all if none)."""

    path: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


TARGETS = (
    Target("tickets/pruning.py", ("tickets/test_masks.py", "tickets/test_rewind.py")),
    Target(
        "tickets/random_weights.py",
        ("tickets/test_rewind.py",),
        ("rewind", "check_rewound", "check_theta"),
    ),
    Target("training/resume.py", ("training/test_saver.py", "training/test_resume.py")),
    Target(
        "training/loop.py",
        ("training/test_resume.py", "training/test_training.py"),
        (
            "state",
            "restore",
            "snapshot",
            "set_parameters",
            "finish_epoch",
            "check_masks",
            "_epochs",
        ),
    ),
    Target("tickets/bank.py", ("tickets/test_bank.py", "root/test_bank_facade.py")),
    Target("tickets/bank_file.py", ("tickets/test_bank.py", "root/test_bank_facade.py")),
    Target("bank.py", ("root/test_bank_facade.py",)),
    Target("verdicts/inference.py", ("verdicts/test_inference.py",)),
    Target("measure/signal.py", ("measure/test_signal.py",)),
    Target("ladder.py", ("measure/test_ladder.py", "measure/test_sign_null.py")),
)

EQUIVALENT: dict[tuple[str, str], str] = {}
"""(path, changed line as mutated): why no test can tell the mutant from the original."""


@dataclass(frozen=True)
class Mutant:
    """A fault: a module's text with one change, which makes `line` (number and text) new."""

    target: Target
    operator: str
    number: int
    line: str
    text: str

    @property
    def name(self) -> str:
        """Where and what it is, in one line."""
        return f"{self.target.path}:{self.number} {self.operator}: {self.line.strip()}"


@dataclass(frozen=True)
class Place:
    """Where a mutant could be made: occurrence `occurrence` of an operator in a module."""

    target: Target
    operator: str
    occurrence: int
    number: int


REMOVAL = "RemoveStatement"


def places(target: Target, source: str) -> list[Place]:
    """Return all places of a module's mutants, in a fixed order."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    nodes = list(ast_nodes(get_ast(source)))
    found = []
    for name in sorted(plugins.operator_names()):
        if not plugins.get_operator(name).arguments():
            operator = plugins.get_operator(name)()
            starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
            found += [Place(target, name, n, line) for n, (line, _) in enumerate(starts)]
    removable = enumerate(_removable(source))
    found += [Place(target, REMOVAL, number, node.lineno) for number, node in removable]
    spans = _spans(source, target.functions)
    return [one for one in found if any(a <= one.number <= b for a, b in spans)]


def made(place: Place, source: str) -> Mutant | None:
    """Return the mutant of a place; None if it is not Python, or says what the original says."""
    if place.operator == REMOVAL:
        text: str | None = _without(source, place.occurrence)
    else:
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code

        text = mutate_code(source, plugins.get_operator(place.operator)(), place.occurrence)
    try:
        if text is None or _meaning(text) == _meaning(source):
            return None
    except SyntaxError:
        return None
    number = _first_difference(source, text)
    line = text.splitlines()[number - 1]
    return Mutant(place.target, place.operator.removeprefix("core/"), number, line, text)


def _removable(source: str) -> list[ast.stmt]:
    """Return the statements that leave Python when they go: calls, changes in place, raises."""
    found = []
    for node in ast.walk(ast.parse(source)):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        is_change = isinstance(node, ast.AugAssign) or (
            isinstance(node, ast.Assign)
            and all(isinstance(left, ast.Attribute | ast.Subscript) for left in node.targets)
        )
        if isinstance(node, ast.stmt) and (is_call or is_change or isinstance(node, ast.Raise)):
            found.append(node)
    return found


def _without(source: str, occurrence: int) -> str:
    lines, node = source.splitlines(keepends=True), _removable(source)[occurrence]
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    removed = [" " * node.col_offset + "pass\n", *["\n"] * (last - first - 1)]
    return "".join([*lines[:first], *removed, *lines[last:]])


def sampled(sources: dict[Target, str], count: int, seed: int) -> list[Mutant]:
    """Return a random sample without repetition of all mutants, and print how many there may be."""
    everything = [place for target, text in sources.items() for place in places(target, text)]
    random.Random(seed).shuffle(everything)
    print(f"{len(everything)} places for mutants")
    chosen: dict[tuple[Target, str], Mutant] = {}
    for place in everything:
        if len(chosen) == count:
            break
        if mutant := made(place, sources[place.target]):
            chosen.setdefault((mutant.target, mutant.text), mutant)
    return list(chosen.values())


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _meaning(source: str) -> str:
    """Return what a text does: its syntax tree, without annotations (which are never evaluated)."""
    return ast.dump(_WithoutAnnotations().visit(ast.parse(source)))


def _spans(source: str, functions: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and last lines of the functions; of the whole text if there are none."""
    if not functions:
        return [(1, len(source.splitlines()))]
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name in functions
    ]


def _first_difference(source: str, text: str) -> int:
    pairs = zip(source.splitlines(), text.splitlines(), strict=False)
    return next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), 1)


def in_a_fork(folder: Path, tests: Sequence[str], seconds: float) -> tuple[bool, float]:
    """Return whether all tests pass in a child process, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            limit = int(seconds) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            os.chdir(folder)
            sys.path[:0] = [str(folder / "workflow"), str(folder / "tests/tools")]
            import pytest

            paths = [f"tests/{test}" for test in tests]
            code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *paths])
        finally:
            os._exit(int(code))
    deadline = time.monotonic() + 20 * seconds + 60  # for what sleeps and uses no CPU
    while True:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return status == 0, spent


def copied(folder: Path) -> None:
    """Copy what tests read. Compiled files are left out, as their times could hide a mutant."""
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "results", "*.png", "*.pdf")
            shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
        else:
            shutil.copy(source, folder / name)


def run(count: int, seed: int, out: Path, only: str = "") -> int:
    """Try a sample of mutants, write what happened; return 1 below 95 % of those to be killed."""
    # Imported once for all children: what tests need, but nothing of ticketlens.
    import h5py  # noqa: F401
    import hypothesis  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch  # noqa: F401

    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sources = {one: (PROJECT / PACKAGE / one.path).read_text("utf-8") for one in TARGETS}
    sample = [mutant for mutant in sampled(sources, count, seed) if only in mutant.name]
    order = {target: number for number, target in enumerate(TARGETS)}
    sample.sort(key=lambda mutant: (order[mutant.target], mutant.number))
    tally: Counter[str] = Counter()
    spent = 0.0
    with tempfile.TemporaryDirectory() as temporary, open(out, "w", encoding="utf-8") as report:
        folder = Path(temporary)
        copied(folder)
        print(f"{len(sample)} mutants, seed {seed}", file=report, flush=True)
        limits: dict[Target, float] = {}
        for mutant in sample:
            target, place = mutant.target, folder / PACKAGE / mutant.target.path
            if target not in limits:
                passes, seconds = in_a_fork(folder, target.tests, 3600)
                if not passes:
                    raise SystemExit(f"{target.path}: its tests fail without a mutant")
                limits[target] = SLOWER * seconds
                spent += seconds
            place.write_text(mutant.text, encoding="utf-8")
            survives, seconds = in_a_fork(folder, target.tests, limits[target])
            place.write_text(sources[target], encoding="utf-8")
            spent += seconds
            key = (target.path, mutant.line.strip())
            outcome = (
                "killed" if not survives else "equivalent" if key in EQUIVALENT else "SURVIVED"
            )
            tally[outcome] += 1
            print(f"{outcome} {mutant.name}", file=report, flush=True)
        killable = len(sample) - tally["equivalent"]
        share = tally["killed"] / max(1, killable)
        summary = (
            f"mutation score {share:.1%}: {tally['killed']} of {killable} killed, "
            f"{tally['equivalent']} equivalent, {spent:.0f} CPU-s"
        )
        print(summary, file=report)
    print(summary)
    return int(share < 0.95)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--only", default="", help="part of a mutant's name: tries these alone")
    parser.add_argument("--out", type=Path, default=Path("build/mutation.txt"))
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    sys.exit(run(given.count, given.seed, given.out, given.only))

"""Each constant, default and decorator of the library, changed in turn, changes its definition."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticketlens.jobs.definitions import Parsed, parse
from ticketlens.jobs.fingerprint import PACKAGE

# What users call, not jobs: it shows its docstring, which a digest would not see.
MODULES = [file for file in sorted(PACKAGE.rglob("*.py")) if file.name != "__main__.py"]


def parsed(tree: ast.Module, file: Path) -> Parsed:
    origin = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts[:-1])
    return parse(ast.unparse(tree), PACKAGE.name, origin, is_script=False)


def slots(statement: ast.stmt) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield (node, field, index) of the values that a top-level statement sets.

    These are a constant's value, the defaults of fields and arguments, methods' included.
    """
    if isinstance(statement, ast.Assign) or getattr(statement, "value", None):
        yield statement, "value", None
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef):
            for own in node.body:
                if isinstance(own, (ast.Assign, ast.AnnAssign)) and own.value:
                    yield own, "value", None
        elif isinstance(node, ast.arguments):
            yield from ((node, "defaults", index) for index in range(len(node.defaults)))
            for index, default in enumerate(node.kw_defaults):
                if default is not None:
                    yield node, "kw_defaults", index


def change(node: ast.AST, field: str, index: int | None) -> None:
    """Put another value into a slot: the old one, and one thing more."""
    old = getattr(node, field) if index is None else getattr(node, field)[index]
    new = ast.Tuple([old, ast.Constant("changed")], ast.Load())
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new


def names(statement: ast.stmt) -> set[str]:
    """Names that a statement at the top of a module binds."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    nodes = [node for target in targets if target for node in ast.walk(target)]
    return {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def named(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


# Fields with defaults; constants; a registry with names in a tuple. All others are nightly.
EVERY_TIME = ("spec.py", "training/loop.py", "tickets/recipe.py", "theory/gaussian.py")
TURNS = [
    pytest.param(
        file, id=named(file), marks=[] if named(file) in EVERY_TIME else [pytest.mark.nightly]
    )
    for file in MODULES
]


@pytest.mark.parametrize("file", TURNS)
def test_a_changed_constant_or_default_changes_its_definition_alone(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    before = parsed(ast.parse(source), file)
    turns = max((len(list(slots(statement))) for statement in ast.parse(source).body), default=0)
    for turn in range(turns):  # the same slot of all definitions at once: each has its own digest
        tree = ast.parse(source)
        changed: set[str] = set()
        for statement in tree.body:
            own = list(slots(statement))
            if turn < len(own) and names(statement):
                change(*own[turn])
                changed |= names(statement)
        after = parsed(ast.fix_missing_locations(tree), file)
        for name in changed:
            assert after.definitions[name].own != before.definitions[name].own, f"{name}, {turn}"
        for name in before.definitions.keys() - changed:
            if "[" not in name:  # a registry that is no dict literal any more has no entries
                assert after.definitions[name].own == before.definitions[name].own, name

"""One style of errors in docstrings: "Raises ValueError if …", for all that a body raises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "workflow" / "ticketlens"
SENTENCE = re.compile(r"\bRaises? ([^.]|\.(?=\S))*\.|\bRaises `")
REFERENCE = re.compile(r"\bRaises? (\w+ )?as `")


@cache
def functions() -> tuple[tuple[str, ast.FunctionDef], ...]:
    """Public functions and methods of the package, "file:line name"."""
    return tuple(read())


def read() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for holder in (body, *(node.body for node in body if isinstance(node, ast.ClassDef))):
            for node in holder:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    name = f"{file.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                    yield name, node


def raised(node: ast.AST) -> Iterator[str]:
    """Names of errors that a body raises, but for what a `with` may turn into others."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.With)):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = ast.unparse(child.exc.func).rpartition(".")[2]
            if name[0].isupper():
                yield name
        yield from raised(child)


def words(node: ast.FunctionDef) -> str:
    """A docstring in one line."""
    return " ".join((ast.get_docstring(node) or "").split())


def unsaid(node: ast.FunctionDef) -> set[str]:
    """Errors that a function raises and its docstring does not name in a sentence of `Raises`."""
    text = words(node)
    if REFERENCE.search(text):
        return set()
    said = " ".join(match[0] for match in SENTENCE.finditer(text))
    return {name for name in raised(node) if not re.search(rf"\b{name}\b", said)}


def test_every_error_that_a_public_function_raises_by_name_is_in_its_docstring() -> None:
    found = {name: errors for name, node in functions() if (errors := unsaid(node))}
    assert found == {}


def test_the_sentence_begins_with_raises() -> None:
    """Not ", raises" and not "ValueError, naming it, if": one style, to scan for."""
    odd = {
        name: sentence
        for name, node in functions()
        for sentence in re.split(r"(?<=[.:)])\s+", words(node))
        if re.search(r"\b[A-Z]\w+Error\b", sentence)
        and re.search(r"\braises\b|Error,? (if|unless|naming)", sentence)
        and not re.match("Raises? ", sentence)
    }
    assert odd == {}


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return x.", {"ValueError"}),
        ("Return x. Raises ValueError if x < 0.", set()),
        ("Return x; a ValueError if x < 0.", {"ValueError"}),
        ("Return x. Raises as `read`.", set()),
        ("Return x. Raises OSError for 0.5 and less.", {"ValueError"}),
    ],
)
def test_a_docstring_that_leaves_an_error_out_is_found(docstring: str, expected: set[str]) -> None:
    source = f'def f(x):\n    """{docstring}"""\n    raise ValueError(x)\n'
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    assert unsaid(node) == expected

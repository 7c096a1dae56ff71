"""Shapes that docstrings state, read and compared with arrays.

A docstring states them in one line, `Shapes: q (...), weight (out, in) -> (out,).`: each array
argument with its shape, or several with `or`, or `as in` another function; then, behind the arrow,
the result's. `each`: of the values of a mapping. A name stands for one size throughout a call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LINE = re.compile(r"^ *Shapes: (?P<text>(?:.|\n)*?)\.$", flags=re.MULTILINE)
SHAPES = r"\([^()]*\)(?: or \([^()]*\))*"
Alternatives = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Stated:
    """Shapes of arguments by name, `like`: names whose shapes stand in another function's line."""

    arguments: dict[str, Alternatives] = field(default_factory=dict)
    like: dict[str, str] = field(default_factory=dict)
    result: Alternatives = ()
    is_each: bool = False


def stated(docstring: str) -> Stated | None:
    """Return what a docstring states, or None; ValueError for a line of another form."""
    found = LINE.search(docstring)
    if not found:
        return None
    arguments, arrow, result = " ".join(found["text"].split()).partition("->")
    shapes, like = {}, {}
    for clause in (
        re.split(r", (?=\w+ (?:\(|as in))", arguments.strip()) if arguments.strip() else ()
    ):
        if one := re.fullmatch(rf"(\w+) ({SHAPES})(?: each)?", clause):
            shapes[one[1]] = _alternatives(one[2])
        elif one := re.fullmatch(r"(\w+) as in `(\w+)`", clause):
            like[one[1]] = one[2]
        else:
            raise ValueError(f"{clause!r} is not a name with its shape")
    if arrow and not re.fullmatch(rf"{SHAPES}(?: each)?", result.strip()):
        raise ValueError(f"{result!r} is not a shape")
    return Stated(shapes, like, _alternatives(result), result.endswith("each"))


def check(name: str, value: Any, allowed: Alternatives, sizes: dict[str, int]) -> None:
    """Assert that an array has one of the shapes; `sizes` are those met, and grow."""
    if isinstance(value, Mapping):
        for key, one_value in value.items():
            check(f"{name}[{key!r}]", one_value, allowed, sizes)
        return
    shape = tuple(np.shape(value))
    for one in allowed:
        found = _sizes(shape, one)
        if found is not None and all(sizes.get(key, size) == size for key, size in found.items()):
            sizes.update(found)
            return
    raise AssertionError(f"{name} has shape {shape}; the docstring says {allowed}, with {sizes}")


def check_result(value: Any, said: Stated, sizes: dict[str, int]) -> None:
    """Assert the shape of a result; an iterator is left alone."""
    if not said.is_each or isinstance(value, Mapping):
        check("the result", value, said.result, sizes)


def _alternatives(text: str) -> Alternatives:
    return tuple(
        tuple(part.strip() for part in one.split(",") if part.strip())
        for one in re.findall(r"\(([^()]*)\)", text)
    )


def _sizes(shape: tuple[int, ...], stated_: tuple[str, ...]) -> dict[str, int] | None:
    """Return the sizes of named dimensions, None if they do not fit."""
    if "..." in stated_:
        at = stated_.index("...")
        behind = len(stated_) - at - 1
        if len(shape) < at + behind:
            return None
        pairs = [*zip(stated_[:at], shape[:at], strict=True)]
        pairs += zip(stated_[at + 1 :], shape[len(shape) - behind :] if behind else (), strict=True)
    elif len(shape) != len(stated_):
        return None
    else:
        pairs = [*zip(stated_, shape, strict=True)]
    named = [(name, size) for name, size in pairs if name.isidentifier()]
    return dict(named) if len(set(named)) == len({name for name, _ in named}) else None

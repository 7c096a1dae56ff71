"""Whether an entry that a plugin adds to a registry is of the kind that the others there are."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

FUNCTIONS = (FunctionType, BuiltinFunctionType)


def unlike(value: object, others: Iterable[object], own: Mapping[str, object]) -> str:
    """Return how an entry differs in kind from others of its registry; "" if it does not.

    Functions are compared by the arguments that they can be called with, tuples part by part. An
    entry that names its function by text names one of the library's, or of `own`: what stands in
    the plugin, by name, with its `__name__`.
    """
    known = list(others)
    if callable(value) and any(map(callable, known)):
        return _differs_in_arguments(value, known)
    types = tuple({type(other) for other in known if not isinstance(other, FUNCTIONS)})
    if types and isinstance(value, types):
        return _differs_in_parts(value, [o for o in known if isinstance(o, types)], own)
    wanted = ["functions"] * any(isinstance(other, FUNCTIONS) for other in known)
    wanted += sorted("classes" if kind is type else f"{kind.__name__}s" for kind in types)
    return f"is {_shown(value)}; the others are {' or '.join(wanted)}"


def _function_of(entry: object) -> object:
    """Return the function of an entry: itself, or what an object that can be called holds."""
    if isinstance(entry, (*FUNCTIONS, type)) or not callable(entry):
        return entry
    return next((held for held in vars(entry).values() if callable(held)), entry)


def _differs_in_arguments(value: object, others: Iterable[object]) -> str:
    functions = map(_function_of, others)
    ways = {way for function in functions if (way := _arguments(function)) is not None}
    signature = None if isinstance(value, type) else _signature(_function_of(value))
    if signature is None or not ways:
        return ""
    for names in ways:
        try:
            signature.bind(*names)
        except TypeError:
            continue
        return ""
    said = " or ".join(f"({', '.join(names)})" for names in sorted(ways))
    return f"takes {signature}; the others are called with {said}"


def _signature(function: object) -> inspect.Signature | None:
    """Return the signature; None where there is none to read, as of functions in C."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    bare = [
        one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()
    ]
    return inspect.Signature(bare)


def _arguments(function: object) -> tuple[str, ...] | None:
    """Return the names of the arguments that a function must be given, by position."""
    signature = _signature(function)
    if signature is None:
        return None
    return tuple(
        one.name
        for one in signature.parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    )


def _differs_in_parts(value: Any, others: list[Any], own: Mapping[str, object]) -> str:
    if isinstance(value, tuple):
        lengths = sorted({len(other) for other in others if isinstance(other, tuple)})
        if lengths and len(value) not in range(lengths[0], lengths[-1] + 1):
            return f"has {len(value)} parts; the others have {' or '.join(map(str, lengths))}"
        for number, part in enumerate(value):
            parts = [other[number] for other in others if len(other) > number]
            if said := unlike(part, parts, own):
                return f"part {number + 1} {said}"
        return ""
    text = getattr(value, "function", "")
    if not isinstance(text, str) or text.count(":") > 1:
        return f"names its function by {_shown(text)}; allowed: a text such as module:name"
    module, _, name = text.partition(":")
    if module == own.get("__name__") and not callable(own.get(name)):
        return f"names the function {name!r}, which the plugin does not define"
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '…'}, of type {type(value).__name__}"

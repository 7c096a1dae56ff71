"""What the JSON schema refuses: one clear line each, and the config without it."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import jsonschema

from ticketlens.study.hints import did_you_mean

LARGEST_INTEGER = 2**63 - 1


def errors(schema: Mapping[str, Any], config: Mapping[str, Any]) -> list[Any]:
    """Return the errors of a config against a schema, in the order of the config."""
    # JSON schema takes 1.0 for an integer and .nan for a number; as seed or rate they are neither.
    # No file holds integers beyond 64 bits; jsonschema compares what is no number with no maximum.
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: (
                isinstance(value, int)
                and not isinstance(value, bool)
                and abs(value) <= LARGEST_INTEGER
            ),
            "number": lambda _, value: (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and abs(value) <= sys.float_info.max
            ),
        }
    )
    strict = cast(Any, jsonschema.validators).extend(
        jsonschema.Draft202012Validator, type_checker=types
    )
    faults = strict(schema).iter_errors(_document(config))
    return sorted(faults, key=lambda error: list(map(str, error.path)))


def repaired(
    config: Mapping[str, Any], errors: Sequence[Any], shipped: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the config with each refused value as `shipped` has it, or without it."""
    document = copy.deepcopy(_document(config))
    for error in errors:
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            keys: list[Any] = [key for key in error.instance if key not in known]
        elif error.validator == "required":
            keys = [key for key in error.validator_value if key not in error.instance]
        elif error.validator == "propertyNames":
            keys = [error.instance]
        elif path:
            path, keys = path[:-1], path[-1:]
        else:
            keys = []
        for key in keys:
            _replace(_at(document, path), key, _at(shipped, path))
    return document  # type: ignore[no-any-return]


def _at(document: Any, path: Sequence[Any]) -> Any:
    """Return what stands at a path, None if nothing does."""
    try:
        for key in path:
            document = document[key]
    except (KeyError, IndexError, TypeError):
        return None
    return document


def _replace(container: Any, key: Any, shipped: Any) -> None:
    if isinstance(container, dict):
        if isinstance(shipped, Mapping) and key in shipped:
            container[key] = copy.deepcopy(_document(shipped[key]))
        else:
            container.pop(key, None)
    elif isinstance(container, list) and isinstance(key, int) and key < len(container):
        container[key] = container[0] if len(container) == 1 else container[key - 1]


def _document(value: Any) -> Any:
    """Return the config as JSON has it: keys are text, mappings and lists are plain."""
    if isinstance(value, Mapping):
        return {str(key): _document(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_document(entry) for entry in value]
    return value


def lines(error: Any) -> Iterator[str]:
    """Yield what a person needs to know of one error: the key, the value, what is allowed."""
    where = ".".join(str(part) for part in error.absolute_path) or "config"
    prefix = "" if where == "config" else f"{where}."
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        for key in sorted(set(error.instance) - set(known)):
            hint = did_you_mean(key, known)
            yield f"unknown key {prefix}{key}{hint} (allowed: {', '.join(known)})"
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield f"missing key {prefix}{key}"
    elif error.validator == "enum":
        allowed = ", ".join(str(value) for value in error.validator_value)
        wanted = str(error.instance).lower()
        hint = did_you_mean(wanted, error.validator_value)
        yield f"{where} is {error.instance!r}; allowed: {allowed}{hint}"
    elif error.validator in ("propertyNames", "pattern"):
        yield (
            f"{where}: {error.instance!r} is not a valid name; allowed: lower-case letters, digits "
            "and single hyphens, starting with a letter"
            if "$comment" not in error.schema
            else f"{where} is {error.instance!r}; allowed: {error.schema['$comment']}"
        )
    else:
        yield f"{where} is {_short(error.instance)}; allowed: {_allowed(error)}{_as_number(error)}"


def _short(value: Any) -> str:
    """Return a value as Python writes it, in one line that a person reads to its end."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes, 4300
        return "an integer of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _as_number(error: Any) -> str:
    """Hint at numbers that YAML reads as text: '3', and 1e-3 without a decimal point."""
    if error.validator != "type" or error.validator_value not in ("number", "integer"):
        return ""
    try:
        number = float(error.instance) if isinstance(error.instance, str) else math.nan
    except ValueError:
        return ""
    hint = (
        f"; did you mean {number:g}, written as a number (1.0e-3, not 1e-3)? Numbers inside "
        "`--config 'key={...}'` arrive as text: write them to a file for --configfile"
    )
    return hint if math.isfinite(number) else ""


def _allowed(error: Any) -> str:
    value = error.instance
    if error.validator == "type" and isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return f"at most {LARGEST_INTEGER}"
    types = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "integer": "an integer",
        "number": "a finite number",
        "boolean": "true or false",
        "null": "null",
    }
    wording: dict[str, Callable[[Any], str]] = {
        "type": lambda value: " or ".join(
            types[name] for name in ([value] if isinstance(value, str) else value)
        ),
        "minimum": lambda value: f"at least {value}",
        "maximum": lambda value: f"at most {value}",
        "exclusiveMinimum": lambda value: f"more than {value}",
        "exclusiveMaximum": lambda value: f"less than {value}",
        "minItems": lambda value: f"{value} or more entries",
        "maxItems": lambda value: f"at most {value} entries",
        "uniqueItems": lambda value: "no entry twice",
        "minProperties": lambda value: f"{value} or more entries",
        "const": lambda value: repr(value),
        "not": lambda value: error.schema.get("$comment", "another value"),
        "minLength": lambda value: "a non-empty text",
        "maxLength": lambda value: f"at most {value} characters",
    }
    explain: Callable[[Any], str] = wording.get(
        cast(str, error.validator), lambda value: f"{error.validator} {value}"
    )
    return explain(error.validator_value)

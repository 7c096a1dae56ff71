"""A module taken apart into its definitions, each in its canonical form (see `canonical`).

A definition is a top-level function, class or constant, an entry of a registry (a top-level dict
literal with literal texts as keys), or a C source. Statements that bind no name (such as
`plt.rcParams.update(…)`), and compound ones, stand together under the name "": they run whenever
the module is imported, so they belong to every definition of it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from ticketlens.jobs.canonical import Facts, canonical, is_text
from ticketlens.jobs.names import imported_modules, imports

STATEMENTS = ""
"""The name of a module's statements that bind no name."""


@dataclass(frozen=True)
class Definition:
    """One definition: the digest of its form, and its facts (see `canonical.Facts`).

    `spans` are its lines in the file, first and last, decorators included.
    """

    own: str
    references: tuple[str, ...] = ()
    imported: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()
    probed: tuple[str, ...] = ()
    beside: frozenset[str] = frozenset()
    by_text: bool = False
    decorators: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> list[Any]:
        """Return the fields as JSON can hold them."""
        return [
            self.own, self.references, self.imported, sorted(self.named), self.probed,
            sorted(self.beside), self.by_text, self.decorators, self.spans,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, values: list[Any]) -> Definition:
        """Build from what `to_json` returned."""
        own, references, imported, named, probed, beside, by_text, decorators, spans = values
        return cls(
            own, tuple(references), tuple(imported), frozenset(named), tuple(probed),
            frozenset(beside), by_text, tuple(decorators),
            tuple((first, last) for first, last in spans),
        )  # fmt: skip


@dataclass(frozen=True)
class Parsed:
    """A module: its definitions by name, what its imports bind, what its registries hold.

    The entry `key` of a registry is the definition `registry[key]`; the registry's own has no
    entries. `compound` are the names bound in compound statements, `imported` the modules that an
    import of this one loads.
    """

    definitions: dict[str, Definition] = field(default_factory=dict)
    bindings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    registries: dict[str, tuple[str, ...]] = field(default_factory=dict)
    compound: frozenset[str] = frozenset()
    imported: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the module as JSON can hold it."""
        return {
            "definitions": {name: own.to_json() for name, own in self.definitions.items()},
            "bindings": self.bindings,
            "registries": self.registries,
            "compound": sorted(self.compound),
            "imported": self.imported,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Parsed:
        """Build from what `to_json` returned."""
        definitions = values["definitions"].items()
        return cls(
            {name: Definition.from_json(own) for name, own in definitions},
            {name: tuple(paths) for name, paths in values["bindings"].items()},
            {name: tuple(keys) for name, keys in values["registries"].items()},
            frozenset(values["compound"]),
            tuple(values["imported"]),
        )


def parse(source: str, package: str, origin: str, is_script: bool) -> Parsed:
    """Take a module's source apart.

    `package` is the root package's name, `origin` the dotted package that holds the module.
    In a script, `if __name__ == "__main__"` counts.
    Raises SyntaxError as Python does, DefinitionError for what a digest cannot follow.
    """
    groups: dict[str, list[ast.stmt]] = {STATEMENTS: []}
    bindings: dict[str, tuple[str, ...]] = {}
    registries: dict[str, tuple[str, ...]] = {}
    compound: set[str] = set()
    loaded: list[str] = []
    for statement in ast.parse(source).body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if getattr(statement, "module", "") == "__future__":
                continue
            loaded += imported_modules(statement, origin)
            for name, path in imports(statement, origin):
                bindings[name] = (*bindings.get(name, ()), path)
        elif is_text(statement) or _never_runs(statement, is_script):
            continue
        elif (entry := _added(statement)) and entry[0] in registries:
            name, key = entry
            registries[name] = tuple(dict.fromkeys((*registries[name], key)))
            groups.setdefault(f"{name}[{key}]", []).append(statement)
            continue
        elif not (named := list(_named(statement))):
            groups[STATEMENTS].append(statement)
            if hasattr(statement, "body"):
                for name, paths in _bound_inside(statement, origin):
                    bindings[name] = (*bindings.get(name, ()), *paths)
                    compound.add(name)
        for name, part in () if isinstance(statement, (ast.Import, ast.ImportFrom)) else named:
            if name not in groups and (keys := _keys(part)):
                registries[name] = keys
                for key, value in _entries(name, cast(ast.Assign | ast.AnnAssign, part)):
                    groups[key] = [value]
            groups.setdefault(name, []).append(part)
    known = frozenset((*bindings, *compound, *groups)) - {STATEMENTS}
    definitions = {}
    for name, statements in groups.items():
        spans = tuple(_span(statement) for statement in statements)
        form, facts = canonical(statements, known, package, origin)
        definitions[name] = _definition(form, facts, spans)
    return Parsed(definitions, bindings, registries, frozenset(compound), tuple(loaded))


def parse_c(source: str) -> Parsed:
    """Take a C source: one definition, without comments and layout, and what it includes."""
    includes = re.findall(r'^\s*#\s*include\s*"([^"]+)"', source, flags=re.MULTILINE)
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)
    own = Definition(_sha256(" ".join(text.split())), beside=frozenset(("", *includes)))
    return Parsed({STATEMENTS: own})


def _definition(form: str, facts: Facts, spans: tuple[tuple[int, int], ...]) -> Definition:
    own = _sha256(form) if form else ""
    beside = frozenset(facts.beside) if "" in facts.beside else frozenset()
    return Definition(
        own, tuple(facts.references), tuple(facts.imported), frozenset(facts.named),
        tuple(facts.probed), beside, facts.by_text, tuple(facts.decorators), spans,
    )  # fmt: skip


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _never_runs(statement: ast.stmt, is_script: bool) -> bool:
    """Whether a block is for type checkers, or for a module that is run as a program."""
    if not isinstance(statement, ast.If):
        return False
    test = ast.unparse(statement.test)
    return test in ("TYPE_CHECKING", "typing.TYPE_CHECKING") or (
        not is_script and test.replace('"', "'") == "__name__ == '__main__'"
    )


def _named(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """Yield (name, statement) of what binds names; `a, b = x, y` is one statement for each."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name, statement
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        if isinstance(statement.target, ast.Name):
            yield statement.target.id, statement
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
        if len(targets) == 1 and isinstance(targets[0], ast.Tuple):
            parts, values = targets[0].elts, getattr(statement.value, "elts", ())
            if len(parts) == len(values) and all(isinstance(part, ast.Name) for part in parts):
                for part, value in zip(parts, values, strict=True):
                    assignment = ast.Assign(targets=[part], value=value)
                    yield cast(ast.Name, part).id, ast.copy_location(assignment, statement)
                return
        names = [
            node.id
            for target in targets
            for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        # The canonical form is made in place, so each name takes a copy of its own.
        for name in names:
            copy = ast.parse(ast.unparse(statement)).body[0]
            for node in ast.walk(copy):
                ast.copy_location(node, statement)
            yield name, copy


def _bound_inside(statement: ast.stmt, origin: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (name, dotted paths) of what a compound statement at the top of a module binds."""
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, path in imports(node, origin):
                yield name, (path,)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, ()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, ()


def _keys(statement: ast.stmt) -> tuple[str, ...]:
    """Return the keys of a registry, a dict literal with literal texts as keys; none for others."""
    value = getattr(statement, "value", None)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(value, ast.Dict):
        return ()
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
    is_registry = len(keys) == len(value.keys) and all(isinstance(key, str) for key in keys)
    return cast(tuple[str, ...], tuple(keys)) if is_registry else ()


def _entries(name: str, statement: ast.Assign | ast.AnnAssign) -> Iterator[tuple[str, ast.stmt]]:
    """Take the entries out of a registry; yield (name of the definition, statement) of each."""
    value = statement.value
    assert isinstance(value, ast.Dict)
    for key, entry in zip(value.keys, value.values, strict=True):
        assert isinstance(key, ast.Constant)
        label = ast.Constant(f"{name}[{key.value!s}]")
        labelled = ast.copy_location(ast.Expr(ast.Tuple([label, entry], ast.Load())), entry)
        yield f"{name}[{key.value!s}]", labelled
    statement.value = ast.copy_location(ast.Dict(keys=[], values=[]), value)


def _added(statement: ast.stmt) -> tuple[str, str] | None:
    """Return (registry, key) if a statement is `REGISTRY["key"] = value`."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
        return None
    key = target.slice.value if isinstance(target.slice, ast.Constant) else None
    return (target.value.id, key) if isinstance(key, str) else None


def _span(statement: ast.stmt) -> tuple[int, int]:
    decorators = getattr(statement, "decorator_list", ())
    first = min([statement.lineno, *(each.lineno for each in decorators)])
    return first, statement.end_lineno or statement.lineno

"""Names that Python code binds: by imports, by assignments in a function, by its parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

Scope = dict[str, tuple[str, ...]]
"""Names that a function binds; for imports, the dotted paths that they stand for."""


class DefinitionError(ValueError):
    """The code does something that a digest of definitions cannot follow; says where."""


def imports(node: ast.Import | ast.ImportFrom, origin: str) -> Iterator[tuple[str, str]]:
    """Yield (bound name, absolute dotted path) of an import statement.

    Raises DefinitionError for a star import.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (
                alias.asname or alias.name.split(".")[0],
                (alias.name if alias.asname else alias.name.split(".")[0]),
            )
        return
    for alias in node.names:
        if alias.name == "*":
            raise DefinitionError(f"line {node.lineno}: a star import; name what is used")
        yield alias.asname or alias.name, f"{_base(node, origin)}.{alias.name}"


def imported_modules(node: ast.Import | ast.ImportFrom, origin: str) -> list[str]:
    """Return the dotted paths that an import statement may load as modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{_base(node, origin)}.{alias.name}" for alias in node.names]


def _base(node: ast.ImportFrom, origin: str) -> str:
    if not node.level:
        return node.module or ""
    above = origin.split(".")
    above = above[: len(above) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def bound(statements: Sequence[ast.stmt], origin: str) -> Scope:
    """Return the names that a function's body binds, those that it declares global left out."""
    scope: dict[str, tuple[str, ...]] = {}
    outside: set[str] = set()
    pending: list[tuple[ast.AST, bool]] = [(statement, False) for statement in statements]
    while pending:
        node, is_inner = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            scope.setdefault(node.name, ())
            pending += [(each, is_inner) for each in node.decorator_list]
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, path in imports(node, origin):
                scope[name] = (*scope.get(name, ()), path)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            outside.update(node.names)
        elif isinstance(node, ast.NamedExpr):
            scope.setdefault(node.target.id, ())
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and not is_inner:
            scope.setdefault(node.id, ())
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            scope.setdefault(node.name, ())
        is_inner = is_inner or isinstance(
            node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        )
        pending += [(child, is_inner) for child in ast.iter_child_nodes(node)]
    return {name: paths for name, paths in scope.items() if name not in outside}


def parameters(arguments: ast.arguments) -> Scope:
    """Return the names that a function's parameters bind."""
    return {argument.arg: () for argument in all_arguments(arguments)}


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """Return all parameters of a function, those with stars last."""
    star = [each for each in (arguments.vararg, arguments.kwarg) if each]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *star]


def stored(target: ast.AST) -> list[str]:
    """Return the names that an assignment to `target` binds."""
    return [
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    ]

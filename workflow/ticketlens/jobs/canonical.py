"""The canonical form of a definition: what it does, free of words, layout, and names of imports.

Left out are comments, docstrings, annotations (those of fields say `ClassVar` and the like at
most), what `cast(…)` tells a type checker, import statements, and the literal texts of `log.…`
calls. A name that stands for something outside the definition, with the attributes that follow
(`masks.prune`), becomes a blank; what it stands for is listed in order as a reference:
`.name.rest` in the same module, else an absolute dotted path. So neither a module's path nor an
import's form or alias is part of the form.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from ticketlens.jobs.names import (
    DefinitionError,
    Scope,
    all_arguments,
    bound,
    imported_modules,
    imports,
    parameters,
    stored,
)
from ticketlens.jobs.written import text_of

BLANK = "§"
REFUSED = frozenset(("__import__", "eval", "exec", "globals", "__doc__"))
READ_BY_DATACLASSES = frozenset(("ClassVar", "InitVar", "KW_ONLY"))
PROBES = frozenset(("getattr", "setattr", "delattr", "hasattr", "vars", "dir"))


@dataclass
class Facts:
    """What is found in a piece of code besides its form.

    `references` in order of their blanks, `imported` modules (for their top-level statements),
    `named`: texts that are passed on and so may name an entry of a registry, `probed`: references
    whose attributes are looked up by text, `beside`: C sources named next to the module, `by_text`:
    whether a reference is a text `package.module:name`, `decorators`: the references in those.
    """

    references: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    probed: list[str] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    by_text: bool = False
    decorators: list[str] = field(default_factory=list)


def canonical(
    statements: Sequence[ast.stmt], known: frozenset[str], package: str, origin: str
) -> tuple[str, Facts]:
    """Return the form and the facts of statements of a module that binds the names `known`.

    `origin` is the dotted package that relative imports start from, `package` the root package.
    Statements are changed in place.
    Raises DefinitionError, saying line and reason, for what a digest cannot follow.
    """
    form = _Form(known, package, origin)
    kept = [kept for statement in statements for kept in form.visited(statement)]
    module = ast.fix_missing_locations(ast.Module(body=kept, type_ignores=[]))
    return text_of(module), form.facts


def is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring: of a module, class or function, or below a constant."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Form(ast.NodeTransformer):
    """Rewrites nodes in place; `scopes` are those of the functions around the node."""

    def __init__(self, known: frozenset[str], package: str, origin: str) -> None:
        self.known, self.package, self.origin = known, package, origin
        self.scopes: list[Scope] = []
        self.is_local = False  # directly in a function, not in a class or module
        self.facts = Facts()

    def visited(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return what is left of a statement: nothing, or the statement."""
        left = self.visit(statement)
        return [left] if left is not None else []

    # --- names ------------------------------------------------------------------------------

    def path(self, name: str) -> tuple[str, ...] | None:
        """Return what a name stands for outside the function; None for a local or a builtin."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name] or None
        return (f".{name}",) if name in self.known else None

    def visit_Name(self, node: ast.Name) -> Any:
        return self._chain(node, node, "")

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        root: ast.expr = node
        rest = ""
        while True:
            if isinstance(root, ast.Attribute):
                rest = f".{root.attr}{rest}"
                root = root.value
            elif self._is_cast(root):
                root = root.args[1]
            else:
                break
        if node.attr in ("__doc__", "__subclasses__"):
            self._refuse(node, f"`{node.attr}`")
        if isinstance(root, ast.Name):
            return self._chain(node, root, rest)
        return self.generic_visit(node)

    def _chain(self, node: ast.Name | ast.Attribute, root: ast.Name, rest: str) -> ast.expr:
        """Blank a chain of attributes that starts outside the function."""
        paths = self.path(root.id)
        if paths is None:
            if root.id in REFUSED and not any(root.id in scope for scope in self.scopes):
                self._refuse(node, f"`{root.id}`")
            if root.id == "__file__":
                self.facts.beside.add("")
            return node
        for path in paths:
            self.facts.references.append(f"{path}{rest}")
        return ast.Name(id=BLANK, ctx=node.ctx)

    def _refuse(self, node: ast.expr | ast.stmt, what: str) -> None:
        raise DefinitionError(
            f"line {node.lineno}: {what} reaches code that no digest sees; name the code instead"
        )

    # --- statements -------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        self.facts.imported += imported_modules(node, self.origin)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        list(imports(node, self.origin))
        self.facts.imported += imported_modules(node, self.origin)

    def visit_Expr(self, node: ast.Expr) -> Any:
        return None if is_text(node) else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """A field keeps what dataclasses read of its annotation; a local is an assignment."""
        if self.is_local:
            if node.value is None:
                return None
            value, target = self.visit(node.value), self.visit(node.target)
            self._name_texts([value])
            return ast.Assign(targets=[target], value=value)
        node.annotation = ast.Constant(_read_by_dataclasses(node.annotation))
        # A field without a value reads nothing, also where a module has the field's name.
        return self.generic_visit(node) if node.value else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        if self.is_local:
            self._name_texts([node.value])
        return self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> Any:
        self._name_texts([node.value] if node.value else [])
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> Any:
        self._name_texts(getattr(node.iter, "elts", ()))
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        node.body = self._body(node.body, is_local=False)
        node.bases = [self.visit(base) for base in node.bases]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        self._decorators(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.name == "__init_subclass__":
            self._refuse(node, "`__init_subclass__`")
        self._decorators(node)
        self._arguments(node.args)
        node.returns = None
        self.scopes.append(bound(node.body, self.origin) | parameters(node.args))
        node.body = self._body(node.body, is_local=True)
        self.scopes.pop()
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self.visit_FunctionDef(cast(ast.FunctionDef, node))

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._arguments(node.args)
        self.scopes.append(parameters(node.args))
        node.body = self.visit(node.body)
        self.scopes.pop()
        return node

    def generic_visit(self, node: Any) -> Any:
        """As NodeTransformer does, and a block that has lost its last statement passes."""
        node = super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not isinstance(node, ast.Module):
            node.body = node.body or [ast.Pass()]
            if isinstance(node, ast.Try) and not (node.handlers or node.finalbody):
                node.finalbody = [ast.Pass()]
        return node

    def _decorators(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        before = len(self.facts.references)
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        self.facts.decorators += self.facts.references[before:]

    def _body(self, statements: list[ast.stmt], is_local: bool) -> list[ast.stmt]:
        before, self.is_local = self.is_local, is_local
        kept = [kept for statement in statements for kept in self.visited(statement)]
        self.is_local = before
        return kept or [ast.Pass()]

    def _arguments(self, arguments: ast.arguments) -> None:
        """Visit defaults, which belong to the scope around; leave out annotations."""
        defaults = [each for each in (*arguments.defaults, *arguments.kw_defaults) if each]
        self._name_texts(defaults)
        arguments.defaults = [self.visit(each) for each in arguments.defaults]
        arguments.kw_defaults = [each and self.visit(each) for each in arguments.kw_defaults]
        for argument in all_arguments(arguments):
            argument.annotation = None

    # --- expressions ------------------------------------------------------------------------

    def _comprehension(self, node: Any) -> Any:
        """A comprehension's targets are its own; its first source belongs to the scope around."""
        first = node.generators[0]
        self._name_texts(getattr(first.iter, "elts", ()))
        first.iter = self.visit(first.iter)
        source, first.iter = first.iter, ast.Constant(None)
        names: Scope = {
            name: () for generator in node.generators for name in stored(generator.target)
        }
        self.scopes.append(names)
        visited = super().generic_visit(node)
        self.scopes.pop()
        first.iter = source
        return visited

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Call(self, node: ast.Call) -> Any:
        if self._is_cast(node):
            self._name_texts([node.args[1]])
            return self.visit(node.args[1])
        if self._is_log(node.func):
            node.args = [_silenced(argument) for argument in node.args]
        self._name_texts([*node.args, *(keyword.value for keyword in node.keywords)])
        if isinstance(node.func, ast.Name) and node.func.id in PROBES and node.args:
            chain = ast.unparse(node.args[0]).split(".")
            for path in self.path(chain[0]) or ():
                self.facts.probed.append(".".join([path, *chain[1:]]))
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        if isinstance(node.value, (ast.Name, ast.Attribute)):
            self._name_texts([node.slice])
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.generic_visit(value)
            elif str(cast(ast.Constant, value).value).endswith((".c", ".h")):
                self.facts.beside.add(f"?{cast(Any, value).value[-2:]}")
        return node

    def visit_Constant(self, node: ast.Constant) -> Any:
        """A text `package.module:name` is a reference to that definition."""
        value = node.value
        if isinstance(value, str):
            module, colon, name = value.partition(":")
            if colon and module.startswith(f"{self.package}.") and name.isidentifier():
                self.facts.references.append(f"{module}.{name}")
                self.facts.by_text = True
                return ast.Name(id=f"{BLANK}text", ctx=ast.Load())
            if value.endswith((".c", ".h")) and len(value) > 2:
                self.facts.beside.add(value)
        return node

    def _is_log(self, function: ast.expr) -> bool:
        return (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "log"
            and self.path("log") is not None
        )

    def _is_cast(self, node: ast.expr) -> TypeGuard[ast.Call]:
        """Whether this is `cast(type, value)` of `typing`, which returns the value itself."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "cast"
            and len(node.args) == 2
            and self.path("cast") is not None
        )

    def _name_texts(self, values: Sequence[ast.expr]) -> None:
        for value in values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                self.facts.named.add(value.value)
            elif isinstance(value, ast.IfExp):
                self._name_texts([value.body, value.orelse])
            elif isinstance(value, ast.BoolOp):
                self._name_texts(value.values)


def _silenced(argument: ast.expr) -> ast.expr:
    """Return an argument of a log call without its literal texts."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return ast.Constant("")
    if isinstance(argument, ast.JoinedStr):
        kept: list[ast.expr] = [
            value for value in argument.values if isinstance(value, ast.FormattedValue)
        ]
        return ast.JoinedStr(values=kept) if kept else ast.Constant("")
    if isinstance(argument, ast.BinOp):
        argument.left, argument.right = _silenced(argument.left), _silenced(argument.right)
    return argument


def _read_by_dataclasses(annotation: ast.expr) -> str:
    """Return the one word of a field's annotation that dataclasses read, or no word."""
    text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    head = str(text).split("[")[0].split(".")[-1].strip()
    return head if head in READ_BY_DATACLASSES else ""

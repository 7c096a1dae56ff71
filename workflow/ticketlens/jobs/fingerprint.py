"""A digest of a script and of every project module that it imports: never stale, never spurious.

Snakemake's own `code` trigger looks at the script's modification time: a checkout reruns
everything, and a change in an imported module reruns nothing. The digest is over syntax trees, so
comments, docstrings and white space do not count. A module's C source, of the same name, belongs to
it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def fingerprint(script: str | Path, package: Path = PACKAGE) -> str:
    """Return a hex digest of `script` and of the modules of `package` that it reaches.

    Imports inside functions count, too. Raises FileNotFoundError or SyntaxError as Python does.
    """
    files = {Path(script).resolve(), *reached(script, package)}
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: (file.name, str(file))):
        digest.update(f"{file.name}\n{_parsed(file)[0]}\n".encode())
    return digest.hexdigest()[:16]


def reached(script: str | Path, package: Path = PACKAGE) -> set[Path]:
    """Return the files of `package` that `script` imports, directly or through others."""
    found: set[Path] = set()
    pending, package = [Path(script).resolve()], package.resolve()
    while pending:
        for file in _imports(pending.pop(), package):
            if file not in found:
                found.add(file)
                pending.append(file)
    return found


@functools.cache
def _parsed(file: Path) -> tuple[str, tuple[ast.Import | ast.ImportFrom, ...]]:
    """Return the module's code in canonical form, without comments and docstrings, and its imports.

    Of its C source, if it has one, comments and runs of white space are left out. Each file is
    parsed and walked once: Snakemake does this for every module, each time that it starts.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [own for own in node.body if not _is_text(own)] or [ast.Pass()]
    code, source = ast.unparse(tree), file.with_suffix(".c")
    if source.is_file():
        comment = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
        text = comment.sub(" ", source.read_text(encoding="utf-8"))
        code = f"{code}\n{' '.join(text.split())}"
    return code, tuple(imports)


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring: of a module, class or function, or below a constant."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@functools.cache
def _imports(file: Path, package: Path) -> frozenset[Path]:
    """Return the package's files that `file` imports directly."""
    modules: set[str] = set()
    for node in _parsed(file)[1]:
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        else:
            origin = node.module or ""
            if node.level and package in file.parents:
                above = file.parent.relative_to(package.parent).parts
                base = above[: len(above) - node.level + 1]
                origin = ".".join([*base, *([origin] if origin else [])])
            modules.update(f"{origin}.{alias.name}" for alias in node.names)
            modules.add(origin)
    return frozenset(
        path
        for module in modules
        if module.split(".")[0] == package.name
        for path in _files(module.split(".")[1:], package)
    )


def _files(parts: list[str], package: Path) -> list[Path]:
    """Return the module's file and the __init__ files on the way; nothing for a plain name."""
    files = [package / "__init__.py"]
    folder = package
    for part in parts:
        if (folder / f"{part}.py").is_file():
            files.append(folder / f"{part}.py")
            break
        folder = folder / part
        if not (folder / "__init__.py").is_file():
            break
        files.append(folder / "__init__.py")
    return [file for file in files if file.is_file()]

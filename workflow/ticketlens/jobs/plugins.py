"""Plugins: a user's own entries of the registries, in files beside the config.

A plugin is a Python file that adds entries by lines such as `CRITERIA["mine"] = mine` at its top
level, of a registry that it imports from the library. The config's `plugins` names the files; the
Snakefile and every job run them. The rerun trigger reads the same lines (see `reach`), so that a
job counts the entries of a plugin that it uses and no others.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ticketlens.jobs.plugin_entries import unlike

PACKAGE = __name__.partition(".")[0]
VARIABLE = "TICKETLENS_PLUGINS"
"""The environment's list of plugins, which jobs inherit; absolute paths."""


class PluginError(ValueError):
    """A plugin cannot be read or run; the message says file, line and reason."""


@dataclass(frozen=True)
class Addition:
    """A line of a plugin: the entry `key` of `registry`, which stands in the module `module`."""

    module: str
    registry: str
    key: str
    line: int
    name: str
    """What the plugin calls the registry: `import … as` may say."""


def use(paths: object) -> list[Path]:
    """Let this process and its jobs use the plugins of a config; return their files.

    Raises PluginError for what is not a list of Python files, and as `load`.
    """
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise PluginError(f"plugins is {paths!r}; allowed: a list of Python files, [mine.py]")
    try:
        files = [Path(path).expanduser().resolve() for path in paths]
    except (RuntimeError, ValueError) as error:  # no such home, a null character
        raise PluginError(f"plugins is {paths!r}: {error}") from None
    for path, file in zip(paths, files, strict=True):
        if file.suffix != ".py" or not file.stem.isidentifier():
            raise PluginError(
                f"plugins has {path!r}; allowed: a Python file such as my_criteria.py"
            )
        if not file.is_file():
            raise PluginError(f"plugins has {path!r}: no such file in {os.getcwd()}")
    if len({file.stem for file in files}) < len(files):
        raise PluginError(f"plugins has two files of one name: {', '.join(map(str, paths))}")
    for path, file in zip(paths, files, strict=True):
        if not additions(file):
            raise PluginError(
                f"plugin {path}: adds nothing; it should import a registry of ticketlens and add "
                'to it at its top level, as in CRITERIA["mine"] = mine'
            )
        _check_registries(file)
    os.environ[VARIABLE] = os.pathsep.join(map(str, files))
    added = [addition for file in files for addition in additions(file)]
    before = {place: dict(now) for place, now in _registries(added).items()}
    try:
        load()
    except SystemExit as error:
        raise PluginError(
            f"plugin {line_of(error, files)}: ends the program; a plugin should only define"
        ) from None
    for place, now in _registries(added).items():
        old = before.get(place, {})
        if changed := sorted(key for key in old if now.get(key) is not old[key]):
            raise PluginError(
                f"plugins {', '.join(map(str, paths))}: {changed} of {place[1]} changed, which the "
                "rerun trigger cannot see; choose other names"
            )
    for file in files:
        _check_kinds(file)
    return files


def load() -> None:
    """Run the plugins whose registries this process has imported, each once.

    So a job that needs no PyTorch does not import it for a plugin that does. Raises PluginError.
    """
    for text in os.environ.get(VARIABLE, "").split(os.pathsep):
        file = Path(text)
        is_new = bool(text) and name_of(file) not in sys.modules
        if is_new and any(own.module in sys.modules for own in additions(file)):
            _run(file)


def name_of(file: Path) -> str:
    """Return the name of a plugin's module.

    Not the file's own: pandas (3.1.1) looks for a library `bottleneck` when it is imported, and a
    plugin of that name would be taken for it.
    """
    return f"{PACKAGE}.plugins.{file.stem}"


@cache
def additions(file: Path) -> tuple[Addition, ...]:
    """Return the entries that a plugin adds to registries. Raises PluginError."""
    return tuple(_additions(file, parsed(file)))


def parsed(file: Path) -> ast.Module:
    """Return the syntax of a plugin. Raises PluginError with file, line and reason."""
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise PluginError(f"plugin {file.name}{line}: {reason}") from None
    except OSError as error:
        raise PluginError(f"plugin {file}: {error.strerror}") from None


def _additions(file: Path, module: ast.Module) -> Iterator[Addition]:
    imported = dict(_imported(module))
    for statement in module.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            continue
        name = target.value.id
        if name not in imported:
            continue
        if not isinstance(target.slice, ast.Constant) or not isinstance(target.slice.value, str):
            raise PluginError(
                f"plugin {file.name}, line {statement.lineno}: the key of {name} must stand there "
                "as text, so that the rerun trigger can read it"
            )
        yield Addition(*imported[name], target.slice.value, statement.lineno, name)


def _check_registries(file: Path) -> None:
    """Raise PluginError for an entry of a registry that is not there, and for one that is twice.

    A plugin runs in jobs that load its registries' modules: with a wrong name it never would.
    """
    lines: dict[tuple[str, str, str], int] = {}
    for addition in additions(file):
        where = f"plugin {file.name}, line {addition.line}"
        if addition.registry not in _assigned(addition.module):
            raise PluginError(
                f"{where}: {addition.module} has no registry {addition.registry}; "
                "import it from the module where it stands"
            )
        entry = (addition.module, addition.registry, addition.key)
        if lines.setdefault(entry, addition.line) != addition.line:
            raise PluginError(
                f"{where}: {addition.registry} has {addition.key!r} from line {lines[entry]} "
                "already; choose another name"
            )


def _assigned(module: str) -> frozenset[str]:
    """Return the names that a module of the library assigns at its top level; none if it is not."""
    base = Path(__file__).resolve().parents[1].joinpath(*module.split(".")[1:])
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            body = ast.parse(file.read_bytes()).body
            targets = [t for line in body if isinstance(line, ast.Assign) for t in line.targets]
            targets += [line.target for line in body if isinstance(line, ast.AnnAssign)]
            return frozenset(t.id for t in targets if isinstance(t, ast.Name))
    return frozenset()


def _imported(module: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (name in the plugin, (module, name there)) of what is imported from the library."""
    for statement in module.body:
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            if statement.module.partition(".")[0] != PACKAGE:
                continue
            for alias in statement.names:
                yield alias.asname or alias.name, (statement.module, alias.name)


def as_registries(file: Path) -> str:
    """Return a plugin's source with its additions written as registries of its own.

    `CRITERIA["mine"] = mine` becomes `CRITERIA = {"mine": mine}`, and its import goes: what the
    rerun trigger takes apart into definitions, an entry apart from the others.
    """
    module, added = parsed(file), additions(file)
    names = {addition.name for addition in added}
    lines = {addition.line for addition in added}
    entries: dict[str, list[tuple[ast.expr, ast.expr]]] = {name: [] for name in names}
    body: list[ast.stmt] = []
    for statement in module.body:
        if isinstance(statement, ast.Assign) and statement.lineno in lines:
            target = statement.targets[0]
            assert isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
            entries[target.value.id].append((target.slice, statement.value))
        elif isinstance(statement, ast.ImportFrom):
            kept = [a for a in statement.names if (a.asname or a.name) not in names]
            if kept:
                body.append(ast.ImportFrom(statement.module, kept, statement.level))
        else:
            body.append(statement)
    for name, pairs in sorted(entries.items()):
        keys, values = [key for key, _ in pairs], [value for _, value in pairs]
        body.append(ast.Assign([ast.Name(name, ast.Store())], ast.Dict([*keys], values)))
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def _run(file: Path) -> None:
    """Run a plugin as the module of its name, and see that it adds what its lines say."""
    own = additions(file)
    module = ModuleType(name_of(file))
    module.__file__ = str(file)
    vars(module)["__builtins__"] = builtins  # what `exec` would set
    before = {key: set(found) for key, found in _registries(own).items()}
    for addition in own:
        if addition.key in before.get((addition.module, addition.registry), ()):
            raise PluginError(
                f"plugin {file.name}, line {addition.line}: {addition.registry} has "
                f"{addition.key!r} already; choose another name"
            )
    sys.modules[module.__name__] = module
    try:
        code = compile(parsed(file), str(file), "exec")
        # Not `exec`, which the rerun trigger refuses: code that it does not see. This it sees.
        FunctionType(code, vars(module))()
    except Exception as error:
        del sys.modules[module.__name__]
        where = line_of(error, (file,)) or file.name
        raise PluginError(f"plugin {where}: {type(error).__name__}: {error}") from error
    for (place, registry), found in _registries(own).items():
        said = {a.key for a in own if (a.module, a.registry) == (place, registry)}
        if added := set(found) - before.get((place, registry), set(found)) - said:
            raise PluginError(
                f"plugin {file.name}: adds {sorted(added)} to {registry} in a way that the rerun "
                f'trigger cannot read; write {registry}["name"] = … at the top level'
            )


def _check_kinds(file: Path) -> None:
    """Raise PluginError for an entry unlike the others of its registry, with its line.

    Of a plugin that did not run, as its registries' modules, such as PyTorch's networks, are not
    imported here, an entry is only seen not to be a bare value.
    """
    of_file = additions(file)
    registries = _registries(of_file) if name_of(file) in sys.modules else {}
    bare = {
        line.lineno
        for line in parsed(file).body
        if isinstance(line, ast.Assign)
        and isinstance(line.value, ast.Constant | ast.List | ast.Dict | ast.Set)
    }
    for one in of_file:
        place = (one.module, one.registry)
        if place in registries:
            added = {a.key for a in of_file if (a.module, a.registry) == place}
            others = [value for key, value in registries[place].items() if key not in added]
            said = unlike(registries[place].get(one.key), others, vars(sys.modules[name_of(file)]))
        else:
            said = "is a bare value; the others are functions or classes" * (one.line in bare)
        if said:
            where = f"plugin {file.name}, line {one.line}"
            raise PluginError(f"{where}: {one.registry}[{one.key!r}] {said}")


def _registries(own: Iterable[Addition]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the registries that additions are to, of modules that are loaded."""
    return {
        (a.module, a.registry): getattr(sys.modules[a.module], a.registry, {})
        for a in own
        if a.module in sys.modules
    }


def line_of(error: BaseException, files: Iterable[Path] | None = None) -> str:
    """Return "mine.py, line 7": where in a plugin an error arose; "" if it is not in one."""
    if files is None:
        files = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    known = {str(file) for file in files}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in known:
            return f"{Path(frame.filename).name}, line {frame.lineno}"
    return ""

"""What a script reaches: the closure over definitions by name, and its digest.

A definition reaches what its names stand for, the statements of its module, and those of the
modules that its imports load. Of a registry it reaches all entries, in their order; where `entries`
says which ones count, these, and those that code in reach names by a text that it passes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from ticketlens.jobs import plugins
from ticketlens.jobs.definitions import STATEMENTS, Definition, Parsed, parse
from ticketlens.jobs.names import DefinitionError

Node = tuple[str, str]
"""A definition: dotted module (or the name of a C source) and name."""

Parse = Callable[[Path, str, str], Parsed]
"""(file, package, dotted package that holds the module) -> the module taken apart."""

GENERIC = ("measure.py", "tabulate.py", "plot.py")
"""Scripts that may import by text: what the rule's entry of a catalogue names."""

REFUSED = ("importlib.import_module", "importlib.util", "importlib.machinery", "runpy", "pkgutil")
"""Libraries that load code by text."""

DEPTH = 3
"""How far a definition's colour looks along references: who calls whom, not only who is there."""


class Library:
    """The modules of a package and one script, parsed as they are reached."""

    def __init__(self, package: Path, parse: Parse) -> None:
        self.package, self.parse = package, parse
        self.plugins: dict[str, Parsed] = {}
        self.files: dict[str, Path] = {}
        self.added: dict[Node, dict[str, frozenset[Node]]] = {}
        self.file = cache(self._file)
        self.targets = cache(self._targets)
        self.module = cache(self._module)
        self.resolve = cache(self._resolve)
        self.colour = cache(self._colour)

    # --- modules --------------------------------------------------------------------------------

    def add_script(self, script: Path) -> str:
        """Make a script known; return its name among the modules."""
        name = f"<{script}>"
        self.files[name] = script
        return name

    def add_plugin(self, file: Path) -> None:
        """Make a plugin known: its entries count as entries of the registries that it adds to.

        An entry that may name its functions by text (of a catalogue) takes the whole file with it.
        Raises PluginError, naming the line.
        """
        name = self.add_script(file)
        try:
            parsed = parse(plugins.as_registries(file), self.package.name, "", is_script=False)
        except DefinitionError as error:
            raise plugins.PluginError(f"plugin {file.name}: {error}") from None
        self.plugins[name] = parsed
        for addition in plugins.additions(file):
            registries = getattr(self.module(addition.module), "registries", {})
            if addition.registry not in registries:
                raise plugins.PluginError(
                    f"plugin {file.name}, line {addition.line}: {addition.module} has no registry "
                    f"{addition.registry}; import it from the module where it stands"
                )
            nodes = {(name, f"{addition.name}[{addition.key}]")}
            if addition.module.startswith(f"{self.package.name}.study.catalogue"):
                nodes |= {(name, every) for every in parsed.definitions}
            entries = self.added.setdefault((addition.module, addition.registry), {})
            entries[addition.key] = frozenset(nodes)

    def _file(self, name: str) -> Path | None:
        """Return the file of a module, None if there is no such module."""
        if name in self.files:
            return self.files[name]
        first, *parts = name.split(".")
        if first != self.package.name:
            return None
        folder = self.package.joinpath(*parts)
        for file in (folder / "__init__.py", folder.with_suffix(".py") if parts else folder):
            if file.is_file():
                return self.files.setdefault(name, file)
        return None

    def _module(self, name: str) -> Parsed | None:
        """Return a module taken apart, an empty one for a folder, None if there is neither."""
        if name in self.plugins:
            return self.plugins[name]
        file = self.file(name)
        if file is None:
            first, *parts = name.split(".")
            is_folder = first == self.package.name and self.package.joinpath(*parts).is_dir()
            return Parsed() if is_folder else None
        if name.startswith("<"):
            return self.parse(file, self.package.name, "")
        origin = name if file.name == "__init__.py" else name.rpartition(".")[0]
        return self.parse(file, self.package.name, origin)

    def definition(self, node: Node) -> Definition:
        """Return a definition that there is."""
        module, name = node
        if module.endswith((".c", ".h")):
            return self.parse(Path(module), self.package.name, "").definitions[STATEMENTS]
        parsed = self.module(module)
        assert parsed is not None
        return parsed.definitions.get(name, Definition(""))

    # --- names ----------------------------------------------------------------------------------

    def _resolve(self, module: str, reference: str) -> tuple[tuple[Node, ...], str]:
        """Return what a reference in a module stands for, and how it says so.

        No nodes: a library, by its dotted path. Many: a module as a whole.
        """
        if not reference.startswith("."):
            return self._absolute(reference)
        parsed = self.module(module)
        assert parsed is not None
        name, _, rest = reference[1:].partition(".")
        nodes: tuple[Node, ...] = ()
        if name in parsed.definitions or name in parsed.compound:
            nodes = ((module, name if name in parsed.definitions else STATEMENTS),)
        labels = [reference] if nodes else []
        for path in parsed.bindings.get(name, ()):
            more, label = self.resolve(module, f"{path}.{rest}" if rest else path)
            nodes, labels = (*nodes, *more), [*labels, label]
        return nodes, "|".join(labels)

    def _absolute(self, path: str) -> tuple[tuple[Node, ...], str]:
        module, *parts = path.split(".")
        if module != self.package.name:
            return (), path
        while True:
            parsed = self.module(module)
            if parsed is None:
                return (), path
            if not parts:
                return tuple((module, name) for name in parsed.definitions), "*"
            name = parts[0]
            if name in parsed.definitions or name in parsed.bindings or name in parsed.compound:
                return self.resolve(module, "." + ".".join(parts))
            if self.module(f"{module}.{name}") is None:
                if name.startswith("__"):
                    return (), name
                return tuple((module, name) for name in parsed.definitions), ".".join(["*", *parts])
            module, parts = f"{module}.{name}", parts[1:]

    def loaded(self, paths: Iterable[str]) -> Iterable[Node]:
        """Yield the statements of all modules that an import of these dotted paths runs."""
        for path in paths:
            parts = path.split(".")
            if parts[0] == self.package.name:
                for count in range(1, len(parts) + 1):
                    if self.file(name := ".".join(parts[:count])) is None:
                        break
                    yield name, STATEMENTS

    def beside(self, node: Node) -> Iterable[Node]:
        """Yield C sources: the module's own, of its name, and others that a definition names."""
        module, name = node
        file = self.file(module) or Path(module)
        sources = [file.with_suffix(".c")] if name != STATEMENTS else []
        for text in self.definition(node).beside:
            if text.startswith("?"):
                sources += sorted(file.parent.glob(f"*{text[1:]}"))
            elif text:
                sources.append(file.parent / text)
        yield from ((str(source), STATEMENTS) for source in sources if source.is_file())

    # --- closure --------------------------------------------------------------------------------

    def _targets(self, node: Node) -> frozenset[Node]:
        """Return what a definition reaches at once; of a registry its entries apart."""
        module, name = node
        definition = self.definition(node)
        targets = {*self.loaded(definition.imported), *self.beside(node)}
        if name == STATEMENTS:
            targets.update(self._when_imported(module))
        else:
            targets.add((module, STATEMENTS))
        for reference in definition.references:
            nodes, label = self.resolve(module, reference)
            if label.startswith(REFUSED) and self.files[module].name not in GENERIC:
                raise DefinitionError(
                    f"{self.files[module]}: {name or 'a statement'} uses {label}, which loads code "
                    "that no digest sees; name the code instead"
                )
            targets.update(nodes)
        for reference in definition.probed:
            if self.resolve(module, reference)[1].startswith("*"):
                raise DefinitionError(
                    f"{self.files[module]}: {name or 'a statement'} looks up an attribute of the "
                    f"module {reference.lstrip('.')} by text; name the code instead"
                )
        return frozenset(targets)

    def _when_imported(self, module: str) -> Iterable[Node]:
        """Yield what runs when a module is imported, besides its statements.

        These are the statements of the modules that it imports, and definitions with a decorator
        of the project, which may register them.
        """
        parsed = self.module(module) if self.file(module) else None
        if parsed is not None:
            yield from self.loaded(parsed.imported)
            for name, definition in parsed.definitions.items():
                if any(self.resolve(module, reference)[0] for reference in definition.decorators):
                    yield module, name

    def reached(self, script: str, entries: Mapping[str, Iterable[str]]) -> Reached:
        """Return all definitions in reach of a script (see `add_script`)."""
        return Reached(self, script, {name: frozenset(keys) for name, keys in entries.items()})

    def _colour(self, node: Node, depth: int = DEPTH) -> str:
        """Return a digest of a definition's form and of what its names stand for."""
        definition = self.definition(node)
        if not definition.own:
            return ""
        parts = [definition.own]
        for reference in definition.references:
            nodes, label = self.resolve(node[0], reference)
            parts.append(label)
            # What a text names is followed by generic scripts alone, which then hold it themselves.
            is_word = definition.by_text and not reference.startswith(".")
            if depth and not is_word and not label.startswith("*"):
                parts += [self.colour(target, depth - 1) for target in nodes]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class Reached:
    """The closure of one script: `nodes`, and the registries that it reaches by key or whole."""

    def __init__(
        self, library: Library, script: str, entries: Mapping[str, frozenset[str]]
    ) -> None:
        self.library, self.entries = library, entries
        self.is_generic = library.files[script].name in GENERIC
        self.nodes: set[Node] = set()
        self.named: set[str] = set()
        self.by_key: list[Node] = []
        self.whole: list[Node] = []
        parsed = library.module(script)
        assert parsed is not None
        pending = {(script, name) for name in (*parsed.definitions, STATEMENTS)}
        while pending:
            while pending:
                node = pending.pop()
                if node not in self.nodes:
                    self.nodes.add(node)
                    self.named |= library.definition(node).named
                    pending |= self._follow(node) - self.nodes
            pending = {entry for node in self.by_key for entry in self._chosen(node)} - self.nodes

    def _follow(self, node: Node) -> frozenset[Node]:
        targets = self.library.targets(node)
        module, name = node
        if self.library.definition(node).by_text and not self.is_generic:
            # Only the generic scripts load what a text names; to others it is a name.
            targets -= self._by_text(node)
        parsed = self.library.module(module) if module in self.library.files else None
        if parsed is None or name not in parsed.registries:
            return targets
        keys = parsed.registries[name]
        if self.entries.get(name, frozenset()) & {*keys, *self.library.added.get(node, ())}:
            self.by_key.append(node)
            return targets
        self.whole.append(node)
        return targets | {(module, f"{name}[{key}]") for key in keys}

    def _by_text(self, node: Node) -> set[Node]:
        """Return what a definition names by text alone."""
        definition = self.library.definition(node)
        resolved = [
            (reference.startswith("."), self.library.resolve(node[0], reference)[0])
            for reference in definition.references
        ]
        by_name = {target for is_name, nodes in resolved if is_name for target in nodes}
        return {target for is_name, nodes in resolved if not is_name for target in nodes} - by_name

    def _chosen(self, node: Node) -> set[Node]:
        """Return the entries of a registry that count."""
        module, name = node
        parsed = self.library.module(module)
        assert parsed is not None
        wanted = self.entries[name]
        if not self._is_catalogue(node):
            wanted |= self.named
        chosen = {(module, f"{name}[{key}]") for key in parsed.registries[name] if key in wanted}
        added = self.library.added.get(node, {})
        return chosen.union(*(nodes for key, nodes in added.items() if key in wanted))

    def _is_catalogue(self, node: Node) -> bool:
        """Whether a registry names its functions by text: only rules choose from it."""
        module, name = node
        parsed = self.library.module(module)
        assert parsed is not None
        return any(parsed.definitions[f"{name}[{key}]"].by_text for key in parsed.registries[name])

    def digest(self) -> str:
        """Return the digest: independent of where definitions stand, and of their order."""
        colours = {self.library.colour(node) for node in self.nodes} - {""}
        for module, name in self.whole:
            parsed = self.library.module(module)
            assert parsed is not None
            colours.add(f"{name}: {', '.join(parsed.registries[name])}")
        return hashlib.sha256("\n".join(sorted(colours)).encode()).hexdigest()[:16]

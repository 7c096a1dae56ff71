"""A digest of all definitions that a script reaches: never stale, never spurious.

Snakemake's own `code` trigger looks at the script's modification time: a checkout reruns
everything, and a change in an imported module reruns nothing. This digest covers the script and,
by name, the functions, classes, constants and C sources that it can reach, wherever they stand:
moves, comments, docstrings, annotations and the texts of log messages do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ticketlens.jobs.parsed import store
from ticketlens.jobs.reach import Library, Reached

PACKAGE = Path(__file__).resolve().parents[1]
Entries = Mapping[str, Iterable[str]]
"""Names of the entries that count, by name of the registry."""


def fingerprint(
    script: str | Path, package: str | Path = PACKAGE, entries: Entries | None = None
) -> str:
    """Return a hex digest of `script` and of the definitions of `package` that it reaches.

    `entries` names, for a registry (a top-level dict literal with texts as keys), the entries that
    the job uses; others count for nothing, unless code in reach passes their name on. A registry
    that it does not name, or that holds none of the names, counts as a whole.
    Raises FileNotFoundError or SyntaxError as Python does, and DefinitionError for code that a
    digest cannot follow: star imports, imports by text, attributes of modules by text.
    """
    return closure(script, package, entries).digest()


def reached(
    script: str | Path, package: str | Path = PACKAGE, entries: Entries | None = None
) -> set[Path]:
    """Return the files of `package` that `script` loads: those that what it reaches imports.

    Arguments and errors as in `fingerprint`.
    """
    covered = closure(script, package, entries)
    files = {covered.library.file(module) for module, _ in covered.nodes}
    return {file for file in files if file is not None} - {Path(script).resolve()}


def closure(
    script: str | Path, package: str | Path = PACKAGE, entries: Entries | None = None
) -> Reached:
    """Return all definitions that `script` reaches. Arguments and errors as in `fingerprint`."""
    package = Path(package).resolve()
    library = Library(package, store().parse)
    return library.reached(library.add_script(Path(script).resolve()), entries or {})


class Fingerprints:
    """Digests of the scripts of one folder, for a process that asks for thousands of them.

    Files are read once; the digest of a script is made once for all jobs whose entries of the
    registries that it reaches are the same. Entries of `plugins` count as the library's own do.
    """

    def __init__(
        self, scripts: Path, package: Path = PACKAGE, plugins: Iterable[Path] = ()
    ) -> None:
        self.scripts = scripts.resolve()
        self.library = Library(package.resolve(), store().parse)
        for file in plugins:
            self.library.add_plugin(file)
        self.registries = cache(self._registries)
        self.digest = cache(self._digest)

    def __call__(self, script: str, entries: Entries) -> str:
        """Return `fingerprint` of the script of that name with these entries."""
        reached = self.registries(script)
        chosen = {name: frozenset(keys) for name, keys in entries.items() if name in reached}
        return self.digest(script, frozenset(chosen.items()))

    def _registries(self, script: str) -> frozenset[str]:
        whole = self._reached(script, {}).whole
        return frozenset(name for _, name in whole)

    def _digest(self, script: str, entries: frozenset[tuple[str, frozenset[str]]]) -> str:
        return self._reached(script, dict(entries)).digest()

    def _reached(self, script: str, entries: Entries) -> Reached:
        name = self.library.add_script(self.scripts / f"{script}.py")
        return self.library.reached(name, entries)

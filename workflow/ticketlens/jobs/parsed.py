"""Modules taken apart, kept in one file between runs: every start of Snakemake needs them all.

An entry counts only for the bytes that it was made from, by this code and this Python, wherever
they stand: clones share it. The file keeps the entries that were used last, and carries a digest of
its content. A file that is damaged, or cannot be written, costs time alone, and so does what is
lost where two processes write at once.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from ticketlens.jobs import canonical, definitions, names, written
from ticketlens.jobs.definitions import Parsed
from ticketlens.jobs.names import DefinitionError

LIMIT = 800
"""Entries that the file keeps: four times this package, or about 2 MB."""


class Store:
    """What was taken apart, by digest of source, place and parser; the last used come last."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.kept = _load(file) if file else {}
        self.used: dict[str, Any] = {}
        self.parsed: dict[str, Parsed] = {}

    def parse(self, file: Path, package: str, origin: str) -> Parsed:
        """Return the file taken apart. Raises SyntaxError, and DefinitionError naming the file."""
        source = file.read_bytes()
        is_script = not origin and file.suffix == ".py"
        place = f"{_parser()} {package} {origin} {is_script} {file.suffix}"
        key = hashlib.sha256(place.encode() + b"\0" + source).hexdigest()
        if key not in self.parsed:
            self.parsed[key] = self._parse(key, file, source.decode(), package, origin, is_script)
        return self.parsed[key]

    def _parse(
        self, key: str, file: Path, source: str, package: str, origin: str, is_script: bool
    ) -> Parsed:
        if key in self.kept:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                parsed = Parsed.from_json(self.kept[key])
                self.used[key] = self.kept[key]
                return parsed
        if file.suffix != ".py":
            parsed = definitions.parse_c(source)
        else:
            try:
                parsed = definitions.parse(source, package, origin, is_script)
            except DefinitionError as error:
                raise DefinitionError(f"{file}: {error}") from None
        self.used[key] = parsed.to_json()
        return parsed

    def save(self) -> None:
        """Write what this process used, if some of it is new, after what others have used."""
        if self.file is None or self.used.keys() <= self.kept.keys():
            return
        others = _load(self.file).items()
        entries = [(key, value) for key, value in others if key not in self.used]
        last = dict([*entries, *self.used.items()][-LIMIT:])
        body = json.dumps(last, separators=(",", ":"))
        digest = hashlib.sha256(body.encode()).hexdigest()
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.file.parent, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                    opened.write(f"{digest}\n{body}")
                os.replace(name, self.file)
            except OSError:
                os.unlink(name)
                raise


@cache
def store() -> Store:
    """Return the user's store; what is new in it is written when the process ends."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    made = Store(Path(folder) / "ticketlens" / "definitions.json")
    atexit.register(made.save)
    return made


@cache
def _parser() -> str:
    """Return a digest of what takes modules apart: Python, and the code that does it."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for module in (canonical, definitions, names, written):
        digest.update(Path(cast(str, module.__file__)).read_bytes())
    return digest.hexdigest()


def _load(file: Path) -> dict[str, Any]:
    """Return the content of the file, nothing if there is none or it is damaged."""
    with suppress(OSError, ValueError):
        digest, _, body = file.read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(body.encode()).hexdigest() == digest:
            content = json.loads(body)
            return content if isinstance(content, dict) else {}
    return {}

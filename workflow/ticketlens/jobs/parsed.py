"""Modules taken apart, kept in a file between runs: every start of Snakemake needs them all.

An entry counts only for the bytes that it was made from, by this code and this Python; the file
carries a digest of its content. A file that is damaged, of another version, or cannot be written
costs time alone.
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

from ticketlens.jobs import canonical, definitions
from ticketlens.jobs.canonical import DefinitionError
from ticketlens.jobs.definitions import Parsed


class Store:
    """What was taken apart, of one package, by digest of source and place."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.kept = _load(file) if file else {}
        self.used: dict[str, Any] = {}
        self.parsed: dict[str, Parsed] = {}

    def parse(self, file: Path, package: str, origin: str) -> Parsed:
        """Return the file taken apart. Raises SyntaxError, and DefinitionError naming the file."""
        source = file.read_bytes()
        is_script = not origin and file.suffix == ".py"
        place = f"{package} {origin} {is_script} {file.suffix}"
        key = hashlib.sha256(place.encode() + b"\0" + source).hexdigest()
        if key not in self.parsed:
            self.parsed[key] = self._parse(key, file, source.decode(), package, origin, is_script)
        return self.parsed[key]

    def _parse(
        self, key: str, file: Path, source: str, package: str, origin: str, is_script: bool
    ) -> Parsed:
        if key in self.kept:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                found = Parsed.from_json(self.kept[key])
                self.used[key] = self.kept[key]
                return found
        if file.suffix != ".py":
            found = definitions.parse_c(source)
        else:
            try:
                found = definitions.parse(source, package, origin, is_script)
            except DefinitionError as error:
                raise DefinitionError(f"{file}: {error}") from None
        self.used[key] = found.to_json()
        return found

    def save(self) -> None:
        """Write what this process used, if some of it is new."""
        if self.file is None or self.used.keys() <= self.kept.keys():
            return
        # What another script of the same package used stays, so that callers do not take turns.
        body = json.dumps(self.used, separators=(",", ":"))
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
def store(package: Path) -> Store:
    """Return the store of a package; what is new in it is written when the process ends."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {package}".encode())
    for module in (canonical, definitions):
        digest.update(Path(cast(str, module.__file__)).read_bytes())
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    made = Store(Path(folder) / "ticketlens" / f"definitions-{digest.hexdigest()[:16]}.json")
    atexit.register(made.save)
    return made


def _load(file: Path) -> dict[str, Any]:
    """Return the content of the file, nothing if there is none or it is damaged."""
    with suppress(OSError, ValueError):
        digest, _, body = file.read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(body.encode()).hexdigest() == digest:
            found = json.loads(body)
            return found if isinstance(found, dict) else {}
    return {}

"""Config files as text: what YAML reads without a word and nobody meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml


def problems(paths: Iterable[str | Path]) -> list[str]:
    """Return a line for each key that a mapping of a config file names twice.

    YAML keeps the last of the two, so that the settings below the first are lost. Files of another
    format than YAML, and those that cannot be read, are Snakemake's to refuse.
    """
    return [line for path in paths for line in _problems(Path(path))]


def _problems(path: Path) -> Iterator[str]:
    if path.suffix.lower() not in (".yaml", ".yml"):
        return
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if root is not None:
        yield from _repeated(path, root, "")


def _repeated(path: Path, node: yaml.Node, where: str) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated(path, entry, where)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            yield (
                f"{path}: {where}{name} stands in lines {first[name]} and {line}; YAML would keep "
                "the second alone: write both into one"
            )
        first.setdefault(name, line)
        yield from _repeated(path, value, f"{where}{name}.")


def results_folder(paths: Iterable[str | Path]) -> str:
    """Return `results` of config files, each laid over those before it.

    Raises KeyError if none names it, and what YAML and the file system raise.
    """
    merged: dict[str, object] = {}
    for path in paths:
        merged |= yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    return os.path.expanduser(str(merged["results"]))


if __name__ == "__main__":
    print(results_folder(sys.argv[1:]))

"""Config files as text: what YAML reads without a word and nobody meant."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

TEXT_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def problems(paths: Iterable[str | Path]) -> list[str]:
    """Return a line for each key that a mapping of a config file names twice, or that is no text.

    YAML and JSON keep the last of two, so that the settings below the first are lost; YAML takes
    `no`, `null`, `.nan`, `2024` for something else than names, and 010 for 8, 1:30 for 90: these
    numbers have a line, too. Files that cannot be read are Snakemake's to refuse.
    """
    return [line for path in paths for line in _problems(Path(path))]


def _problems(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if _is_json(text):
            yield from _repeated_in_json(path, text)
            return
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if root is not None:
        yield from _odd(path, root, "", ())


def _is_json(text: str) -> bool:
    """Whether Snakemake takes a file for JSON, which it tries first, whatever its suffix."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _repeated_in_json(path: Path, text: str) -> list[str]:
    repeated: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        counts = Counter(name for name, _ in pairs)
        repeated.extend(
            f"{path}: {name} stands twice in one mapping; JSON would keep the last alone: write "
            "both into one"
            for name, count in counts.items()
            if count > 1
        )
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return repeated


def _odd(path: Path, node: yaml.Node, where: str, above: tuple[yaml.Node, ...]) -> Iterator[str]:
    """Yield what is odd in a node; `above` are those that hold it."""
    if node in above:
        yield (
            f"{path}: {where.removesuffix('.') or 'the file'}, line {node.start_mark.line + 1}: an "
            "anchor that holds itself; write it out"
        )
        return
    above = (*above, node)
    if isinstance(node, yaml.ScalarNode) and (value := _in_another_base(node)) is not None:
        yield (
            f"{path}: {where.removesuffix('.')}, line {node.start_mark.line + 1}: YAML reads "
            f"{node.value} as {value}; write the number that is meant, without a leading 0 or a "
            "colon"
        )
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _odd(path, entry, where, above)
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
        elif key.tag not in TEXT_TAGS:
            yield (
                f"{path}: {where}{name}, line {line}, is not text for YAML but "
                f"{key.tag.rpartition(':')[2]}; to use it as a name, put it in quotes"
            )
        first.setdefault(name, line)
        yield from _odd(path, value, f"{where}{name}.", above)


def _in_another_base(node: yaml.ScalarNode) -> object:
    """Return what YAML 1.1 makes of a number in base 8 or 60; None if it is as it looks."""
    text = node.value.replace("_", "").lower()
    if node.tag not in NUMBER_TAGS or text.lstrip("+-").startswith(("0x", "0b")):
        return None
    value = yaml.safe_load(node.value)
    is_as_it_looks = ":" not in text and (node.tag == NUMBER_TAGS[1] or int(text) == value)
    return None if is_as_it_looks else value


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

"""The rooms of the library: who may import whom (docs/architecture.md has the map)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY = REPOSITORY / "workflow" / "ticketlens"
# Every room may import these modules of the root.
SHARED = {"checkpoint", "spec", "architecture", "seeds", "networks"}
# But not what stands above it.
BELOW = {"theory": set(), "jobs": set(), "files": SHARED - {"checkpoint", "networks"}}
# Public theory: what may import theory may import it.
THEORY = {"theory", "meanfield", "random_matrix"}
TICKETS = {"files", "tickets"}
MAY_IMPORT = {
    "": {"files", *THEORY},
    "ladder": {"measure", *THEORY},
    "bank": {"tickets"},
    "exchange": TICKETS,
    "lens": {
        "exchange",
        "ladder",
        "measure",
        "tables",
        "training",
        "verdicts",
        "study",
        *TICKETS,
        *THEORY,
    },
    "__main__": {"lens", "files", "figures", "pages"},
    "theory": set(),
    "files": set(),
    "tickets": {"files", *THEORY},
    "training": TICKETS,
    "measure": {"tickets", *THEORY},
    "tables": {"ladder", "measure", *TICKETS, *THEORY},
    "verdicts": {"files", "study", "tickets"},
    "figures": {"files", "verdicts", *THEORY},
    "study": {"theory", *TICKETS},
    "pages": {"files", "ladder", "study", "verdicts"},
    "jobs": set(),
}


def module_of(file: Path) -> str:
    parts = file.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(file): file for file in LIBRARY.rglob("*.py")}


def imported(module: str) -> set[str]:
    """Modules of ours that a module imports, inside functions or not."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ticketlens":
            base = (node.module or "").removeprefix("ticketlens").removeprefix(".")
            names = {f"{base}.{alias.name}".removeprefix(".") for alias in node.names}
            found |= {name if name in MODULES else base for name in names}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            found |= {name.removeprefix("ticketlens.") for name in names if "ticketlens" in name}
    return found - {module, ""}


def room(module: str) -> str:
    """Folder of a module; a module of the root is a room of its own name."""
    return module.partition(".")[0]


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_a_module_imports_from_rooms_that_its_own_may_import(module: str) -> None:
    own = room(module)
    allowed = MAY_IMPORT.get(own, MAY_IMPORT[""]) | BELOW.get(own, SHARED) | {own}
    wrong = {name for name in imported(module) if room(name) not in allowed}
    assert not wrong, f"{own} may import {sorted(allowed)}"


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: imported(module) for module in MODULES}
    for module in graph:
        reached, pending = set(), [module]
        while pending:
            for name in graph.get(pending.pop(), set()) - reached:
                reached.add(name)
                pending.append(name)
        assert module not in reached, module


def test_the_root_is_public_and_small_and_rooms_open_with_words_alone() -> None:
    assert len([name for name in MODULES if name and "." not in name and is_file(name)]) <= 12
    for name, file in MODULES.items():
        if name and file.name == "__init__.py":
            assert len(ast.parse(file.read_text(encoding="utf-8")).body) == 1, name


def is_file(module: str) -> bool:
    return MODULES[module].name != "__init__.py"


def test_map_and_table_of_the_rooms_are_what_is_there() -> None:
    folders = {room(name) for name in MODULES if "." in name}
    assert folders <= set(MAY_IMPORT)
    for text in (
        MODULES[""].read_text(encoding="utf-8"),
        (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8"),
    ):
        opening = text[:3500]
        assert not {name for name in folders if not re.search(rf"\b{name}\b", opening)}


def test_the_documented_table_says_what_may_be_imported() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", page, flags=re.MULTILINE))
    said = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows.items()}
    assert said == {name: allowed for name, allowed in MAY_IMPORT.items() if name}

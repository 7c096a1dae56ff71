"""Edits of the library that the rerun trigger is tested with, made in a copy of `workflow`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]
"""Changes a copy of the folder `workflow`."""


def library(workflow: Path, module: str) -> Path:
    """File of a module of the library, "room/module"."""
    return workflow / "ticketlens" / f"{module}.py"


def replace(file: Path, old: str, new: str) -> None:
    """Replace a text that the file has once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has {old!r} {text.count(old)} times"
    file.write_text(text.replace(old, new), encoding="utf-8")


def moved_module(workflow: Path) -> None:
    """files/hdf5 in another room, imports adapted."""
    old, new = library(workflow, "files/hdf5"), library(workflow, "training/hdf5")
    old.rename(new)
    for file in workflow.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        text = text.replace("ticketlens.files.hdf5", "ticketlens.training.hdf5")
        text = re.sub(
            r"^from ticketlens\.files import (?:(\w+), )?hdf5(?:, (\w+))?$", _hdf5_apart, text,
            flags=re.MULTILINE,
        )  # fmt: skip
        assert not re.search(r"files\.hdf5|files import.*hdf5", text)
        file.write_text(text, encoding="utf-8")


def _hdf5_apart(line: re.Match[str]) -> str:
    others = [f"from ticketlens.files import {name}" for name in line.groups() if name]
    return "\n".join([*others, "from ticketlens.training import hdf5"])


ADDED = {
    "architecture": "def small(network, image_shape, classes):\n"
    "    return fully_connected(network, image_shape, classes)\n\n\n"
    'FAMILIES["small"] = small\n',
    "networks": 'FAMILIES["small"] = FullyConnected\n',
    "tickets/pruning": "def last(trained, initial, rng):\n    return trained\n\n\n"
    'CRITERIA["last"] = last\n',
    "tickets/initialization": "def flat(shape, init, rng):\n"
    "    return rng.uniform(-1, 1, shape.shape)\n\n\n"
    'SCHEMES["flat"] = (flat, gaussian_bias)\n',
    "tickets/mask_sources": "def mine(material, rng):\n    return imp(material, rng)\n\n\n"
    'MASKS["mine"] = mine\n',
    "tickets/weight_sources": "def mine(masks, material, rng):\n"
    '    return rewind(masks, material, rng)\n\n\nWEIGHTS["mine"] = mine\n',
    "files/sources": 'def npz(path):\n    return folder(path)\n\n\nSOURCES["npz"] = npz\n',
}
"""A family, a criterion, a scheme, sources of masks, weights and images, below their registries."""


def appended_entries(workflow: Path) -> None:
    """Entries of every registry that the config chooses from."""
    for module, text in ADDED.items():
        with open(library(workflow, module), "a", encoding="utf-8") as opened:
            opened.write(f"\n\n{text}")


def uncalled_code(workflow: Path) -> None:
    """A new function that nothing calls, and one line of one that no job calls."""
    file = library(workflow, "verdicts/inference")
    with open(file, "a", encoding="utf-8") as opened:
        opened.write("\n\ndef unused():\n    return 1\n")
    replace(file, "def bootstrap_interval(", "def bootstrap_(")


def log_message(workflow: Path) -> None:
    """The text of a log message of the training loop."""
    replace(library(workflow, "training/loop"), "%s: resumed at epoch", "%s: goes on at epoch")


def erk(workflow: Path) -> None:
    """One line of `erk_counts`."""
    replace(library(workflow, "tickets/mask_sources"), "np.floor(ideal)", "np.floor(ideal + 0)")


def convolutional(workflow: Path) -> None:
    """One line of `Convolutional`."""
    replace(library(workflow, "networks"), ".mean(dim=(2, 3))", ".mean(dim=(3, 2))")


def chi_figure(workflow: Path) -> None:
    """One line of the chi figure."""
    file = library(workflow, "figures/signal")
    text = file.read_text(encoding="utf-8")
    head = re.search(r"^def chi\(.*?\n    \"\"\".*?\"\"\"\n", text, flags=re.MULTILINE | re.DOTALL)
    assert head is not None
    replace(file, head[0], f"{head[0]}    table = table.copy()\n")


FREE: tuple[Edit, ...] = (moved_module, appended_entries, uncalled_code, log_message)
"""Edits that plan nothing."""

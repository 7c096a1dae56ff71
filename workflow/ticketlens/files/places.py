"""Where files stand: what a path of the workflow's layout says of the file's content.

Checkpoints and measurements of one checkpoint stand under `{study}/seed{n}/round{nn}/{arm}/`,
prepared data sets in `resources/{name}.h5`. A file that was copied or renamed to another place of
that layout would be taken for what it is not: the same seed twice in a table, one verdict from it
counted twice. So whoever reads a file there compares. Files elsewhere (a ticket that somebody sent)
have no place to compare with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LAYOUT = re.compile(
    r".*/(?P<study>[^/]+)/seed(?P<seed>\d+)/round(?P<round>\d\d)/(?P<arm>[^/]+)/(?P<name>[^/.]+)"
    r"\.(?:h5|csv)"
)
KINDS = {"ticket": "ticket", "trained": "trained", "theta_k": "trained", "mask": "mask"}
"""The kind of checkpoint by the name of its file."""
STATES = ("init", "trained")
"""The names of the measurements of a ticket and of a trained network."""


@dataclass(frozen=True)
class Place:
    """A path of the layout, read: `name` is the file's name without its suffix."""

    study: str
    seed: int
    round: int
    arm: str
    name: str

    @property
    def kind(self) -> str | None:
        """Return the kind of a checkpoint at this place; None for files of other names."""
        return KINDS.get(self.name)

    @property
    def state(self) -> str | None:
        """Return the state of what is measured in a file at this place."""
        return self.name if self.name in STATES else None


def place_of(path: str | os.PathLike[str]) -> Place | None:
    """Return what a path of the layout says, or None for a path of another form."""
    matched = _LAYOUT.fullmatch(Path(os.path.abspath(path)).as_posix())
    if matched is None:
        return None
    seed, number = int(matched["seed"]), int(matched["round"])
    return Place(matched["study"], seed, number, matched["arm"], matched["name"])


def differences(path: str | os.PathLike[str], content: Mapping[str, object]) -> str:
    """Return what a file holds and its path denies, as text; empty if they agree.

    `content` has any of study, seed, round, arm, kind, state. A path of another form agrees.
    """
    place = place_of(path)
    if place is None:
        return ""
    found = [
        f"{key} {value!r} (its path says {expected!r})"
        for key, value in content.items()
        if (expected := getattr(place, key)) is not None and value != expected
    ]
    if not found:
        return ""
    return (
        f"{path}: holds {', '.join(found)}: it was copied or moved here from its own place; put it "
        "back there, or elsewhere, and run Snakemake again"
    )


def other_dataset(path: str | os.PathLike[str], name: str) -> str:
    """Return what is wrong if `resources/{name}.h5` holds a data set of another name, else ''."""
    place = Path(os.path.abspath(path))
    if place.parent.name != "resources" or place.stem == name:
        return ""
    return (
        f"{path}: holds the data set {name!r}: it was copied or moved here from its own place; put "
        "it back there, or elsewhere, and run Snakemake again"
    )

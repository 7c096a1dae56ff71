"""Arms: rival tickets, each a recipe of a mask source and a weight source, and what these draw on.

An arm's ticket has the study, seed and round of an IMP ticket and as many weights. The sources are
functions with an entry in `arm_masks.MASKS` or `arm_weights.WEIGHTS`; `NEEDS` says which files,
beyond the IMP ticket and theta, a source reads, and `OPTIONS` which keys of an arm it heeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ticketlens.checkpoint import Checkpoint

ASIDE = ("rounds", "seeds", "studies", "title")
"""Keys of an arm in the config that say where it is made and what figures call it: no recipe."""

SALIENCIES = ("snip", "grasp", "synflow")
"""Mask sources of `saliency`, which needs torch and so is not imported to read a config."""

SHUFFLED = ("erk", "one-shot", "magnitude-at-init", *SALIENCIES)
"""Mask sources that heed an arm's `shuffle`: those whose counts per layer are their own."""

NEEDS: dict[str, tuple[str, ...]] = {
    "imp-other-seed": ("donor",),
    "one-shot": ("dense",),
    "snip": ("dataset",),
    "grasp": ("dataset",),
    "fresh-matched": ("survivors",),
    "inverse-cdf": ("survivors",),
}

OPTIONS: dict[str, tuple[str, ...]] = {
    "fresh-matched": ("source_round", "source_state"),
    "inverse-cdf": ("source_round", "source_state", "signs"),
    "scaled": ("sigma_w",),
}


@dataclass(frozen=True)
class Arm:
    """A recipe. `source_round` None is the arm's own round; `biases` and `signs`: kept or drawn.

    `shuffle` puts the places of the mask source's own mask in random order within each layer.
    """

    mask: str
    weights: str
    biases: str = "kept"
    sigma_w: float | None = None
    source_round: int | None = None
    source_state: str = "init"
    signs: str = "drawn"
    shuffle: bool = False

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> Arm:
        """Build from an entry of the config's `arms`."""
        return cls(**{key: value for key, value in entry.items() if key not in ASIDE})

    def attributes(self) -> dict[str, str | int | float]:
        """Return the recipe as attributes of a checkpoint, options that are not set left out."""
        fields = dataclasses.asdict(self)
        kept = {key: value for key, value in fields.items() if value is not None}
        return {f"arm_{key}": value for key, value in kept.items() if value is not False}


@dataclass(frozen=True)
class Material:
    """What the sources of one arm draw on.

    `ticket` is the IMP ticket of the arm's study, seed and round; `theta` what its chain rewinds to
    (theta_0, or theta_k), with full masks. The others are there if `needs` names them: `donor`, the
    IMP ticket of the donor seed; `dense`, the trained network of round 0; `survivors`, the IMP
    ticket or trained network whose kept weights are copied in law.
    """

    arm: Arm
    ticket: Checkpoint
    theta: Checkpoint
    donor: Checkpoint | None = None
    dense: Checkpoint | None = None
    survivors: Checkpoint | None = None


def needs(arm: Arm) -> tuple[str, ...]:
    """Return the names of the files that an arm is made from."""
    return ("ticket", "theta", *NEEDS.get(arm.mask, ()), *NEEDS.get(arm.weights, ()))

"""Arms: rival tickets, each a recipe of a mask source and a weight source, and what these draw on.

An arm's ticket has the study, seed and round of an IMP ticket and as many weights. The sources are
functions with an entry in `mask_sources.MASKS` or `weight_sources.WEIGHTS`: the function alone, or
a `Source` that says which files it reads and which options it uses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ticketlens.checkpoint import Checkpoint
from ticketlens.spec import Spec

ASIDE = ("rounds", "seeds", "studies", "title")
"""Keys of an arm in the config that say where it is made and what figures call it: no recipe."""

SALIENCIES: dict[str, tuple[str, ...]] = {
    "snip": ("dataset",),
    "grasp": ("dataset",),
    "synflow": (),
}
"""Mask sources of `saliency`, which needs torch and so is not imported to read a config; and the
files that each needs. All of them use an arm's `shuffle`."""


@dataclass(frozen=True)
class Source:
    """How an arm's masks or weights are drawn, and what is true of it, in one entry of a registry.

    `needs`: files that it reads beyond the IMP ticket and theta (fields of `Material`); `options`:
    keys of an arm that it uses; a mask source uses `shuffle` if its counts per layer are its own.
    `keeps`: where a mask has the IMP ticket's number of weights, in every `layer`, in every layer
    if pruning went by layer (`scope`), or in all hidden layers together (`total`).
    """

    draw: Callable[..., Any]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    keeps: str = "total"

    def __call__(self, *arguments: Any) -> Any:
        """Draw: a mask source takes (material, rng), a weight source (masks, material, rng)."""
        return self.draw(*arguments)


def properties(entry: Callable[..., Any]) -> Source:
    """Return a registry's entry with its properties: a plain function has none."""
    return entry if isinstance(entry, Source) else Source(entry)


@dataclass(frozen=True)
class Arm:
    """A recipe. `source_round` None is the arm's own round; `biases` and `signs`: kept or drawn.

    `shuffle` puts the places of the mask source's own mask in random order within each layer.
    `data_order` trains the ticket in another order of the data than the study's; the order is part
    of the ticket's spec. So is `sparse_below`: below this density the arm trains in compressed
    form, on a CPU, whatever its study does (one from the bank trains as its chains did).
    """

    mask: str
    weights: str
    biases: str = "kept"
    sigma_w: float | None = None
    source_round: int | None = None
    source_state: str = "init"
    signs: str = "drawn"
    shuffle: bool = False
    data_order: int | None = None
    sparse_below: float | None = None

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> Arm:
        """Build from an entry of the config's `arms`."""
        return cls(**{key: value for key, value in entry.items() if key not in ASIDE})

    def trains_as(self, spec: Spec) -> Spec:
        """Return the spec that the arm's ticket trains by, from that of its study."""
        training = spec.training
        if self.data_order is not None:
            training = replace(training, data_order=self.data_order)
        if self.sparse_below is not None:
            training = replace(training, sparse_below=self.sparse_below, device="cpu")
        return spec.replace(training=training)

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
    ticket or trained network whose kept weights are copied in law. None where it is not named.
    """

    arm: Arm
    ticket: Checkpoint
    theta: Checkpoint
    donor: Checkpoint = cast(Any, None)
    dense: Checkpoint = cast(Any, None)
    survivors: Checkpoint = cast(Any, None)

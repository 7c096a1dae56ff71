"""What a file of the workflow holds: layers with their masks, and all that says how they were made.

`ticketlens.checkpoint` writes, reads and checks such files, and is where users find these classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np

from ticketlens.spec import Spec

FORMAT = "ticketlens"
FORMAT_VERSION = 1
KINDS = ("ticket", "trained", "mask")
LAYER_KINDS = ("linear", "conv")
MAX_LINES = 16  # layers that a repr shows


class CheckpointError(ValueError):
    """A file is damaged, foreign, or breaks an invariant; the message names the file."""


@dataclass(frozen=True)
class Layer:
    """One layer: `weight` (out, in) or (out, in, k, k) float32, `bias` (out,), `mask` as weight.

    Weights are exactly 0.0 off the mask. In a file of kind `mask` weight and bias are None, and the
    bias may be None in a layer that another system wrote. The types leave that out.
    Raises CheckpointError for a kind that is neither "linear" nor "conv".
    """

    name: str
    kind: str
    weight: np.ndarray
    bias: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.kind not in LAYER_KINDS:
            raise CheckpointError(
                f"layer {self.name}: kind is {self.kind!r}; allowed: {', '.join(LAYER_KINDS)}"
            )

    @property
    def fan_in(self) -> int:
        """Return the number of inputs of one output unit in the dense layer."""
        return prod(self.mask.shape[1:])

    @property
    def density(self) -> float:
        """Return kept weights / all weights; biases are never counted."""
        return np.count_nonzero(self.mask) / prod(self.mask.shape)

    def __repr__(self) -> str:
        """Return one line: arrays of millions of entries are not printed."""
        missing = "" if self.weight is not None else ", mask only"
        return (
            f"Layer({self.name!r}, {self.kind}, {tuple(self.mask.shape)}, "
            f"density {self.density:.4g}{missing})"
        )


@dataclass(frozen=True)
class Checkpoint:
    """A ticket, a trained network, or a mask, with everything that says how it was made.

    `history` maps a quantity to a float64 array (per epoch) or a single value (per run; a 0-d array
    comes back from a file as shape (1,)); `best_validation` holds (weight, bias) per layer; `extra`
    further root attributes: text, integers, floats, booleans. Raises CheckpointError for a kind
    that is not one of KINDS.
    """

    kind: str
    study: str
    seed: int
    round: int
    arm: str
    spec: Spec
    layers: tuple[Layer, ...]
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    best_validation: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CheckpointError(
                f"kind of the checkpoint is {self.kind!r}; allowed: {', '.join(KINDS)}"
            )

    @property
    def attrs(self) -> dict[str, Any]:
        """Return the root attributes of the file, library versions apart."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "study": self.study,
            "seed": self.seed,
            "round": self.round,
            "arm": self.arm,
            "spec": self.spec.to_json(),
            "spec_sha256": self.spec.sha256,
            **self.extra,
        }

    @property
    def density(self) -> float:
        """Return kept weights / all weights over all layers, readout included."""
        kept = sum(np.count_nonzero(layer.mask) for layer in self.layers)
        return kept / sum(layer.mask.size for layer in self.layers)

    def __repr__(self) -> str:
        """Return identity, network and a line per layer: what fits on a screen."""
        lines = [repr(layer) for layer in self.layers]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES // 2 : -MAX_LINES // 2] = [f"… {len(lines) - MAX_LINES} more layers …"]
        network = self.spec.network
        return (
            "\n  ".join(
                [
                    f"Checkpoint({self.kind} of study {self.study!r}, seed {self.seed}, round "
                    f"{self.round}, arm {self.arm!r}, {network.family}, {network.activation}, "
                    f"density {self.density:.4g}:",
                    *lines,
                ]
            )
            + ")"
        )

    @property
    def content_sha256(self) -> str:
        """Return the SHA-256 over attributes and arrays: the identity of the content."""
        return _content_sha256(self, self.attrs)


@dataclass(frozen=True)
class RunSummary:
    """What tables need of a run: `kept` maps a layer's name to (kept, all) weights.

    `extra` holds further root attributes, such as the kind of CPU; of a chain in the bank, none.
    """

    study: str
    seed: int
    round: int
    arm: str
    spec: Spec
    kept: Mapping[str, tuple[int, int]]
    history: Mapping[str, np.ndarray]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Return kept weights / all weights over all layers, readout included."""
        return sum(kept for kept, _ in self.kept.values()) / sum(n for _, n in self.kept.values())


def _content_sha256(checkpoint: Checkpoint, attrs: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(attrs.items()):
        digest.update(f"{key}={value}\n".encode())
    for layer in checkpoint.layers:
        digest.update(f"{layer.name}:{layer.kind}:{layer.mask.shape}\n".encode())
        digest.update(cast(Any, np.packbits(layer.mask.ravel(), bitorder="big")))
        for array in (layer.weight, layer.bias):
            if array is not None:
                digest.update(cast(Any, np.ascontiguousarray(array, dtype="<f4")))
    for arrays in checkpoint.best_validation:
        for array in arrays:
            digest.update(cast(Any, np.ascontiguousarray(array, dtype="<f4")))
    for key, array in sorted(checkpoint.history.items()):
        digest.update(f"{key}\n".encode())
        digest.update(cast(Any, np.ascontiguousarray(array, dtype="<f8")))
    return digest.hexdigest()

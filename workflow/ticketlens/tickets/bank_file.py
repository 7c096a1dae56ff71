"""A bank file, written, and read and checked: see `bank` for the format."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ticketlens.architecture import layer_shapes
from ticketlens.checkpoint import MAX_HISTORY, MAX_WEIGHTS, Layer
from ticketlens.files import hdf5
from ticketlens.files.damaged import DamagedError, printable
from ticketlens.spec import Spec
from ticketlens.tickets.initialization import SCHEMES, border
from ticketlens.tickets.pruning import InvariantError, check_counts

FORMAT = "ticketlens-bank"
FORMAT_VERSION = 1
MAX_ROUNDS = 99
MAX_BORDER = 2**20  # weights of a layer
BORDER = ("border", "border_values")

Border = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]
"""Flat indices of weights, ascending, and their values in theta_0."""
History = dict[str, npt.NDArray[np.float64]]


class BankError(ValueError):
    """A bank file is damaged or foreign, or its chain cannot be rebuilt here."""


@dataclass(frozen=True)
class Bank:
    """A chain: `removed_in` maps a layer's name to the uint8 array of removal rounds.

    `histories` has one for each of rounds 0 to `rounds`, or for all but the last, whose ticket is
    then still to be trained. `border` holds, for the layers that have any, the weights that are
    drawn otherwise elsewhere.
    """

    study: str
    seed: int
    rounds: int
    spec: Spec
    theta_0_sha256: str
    removed_in: dict[str, npt.NDArray[np.uint8]]
    histories: tuple[History, ...]
    border: dict[str, Border] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether the last ticket is still to be trained."""
        return len(self.histories) == self.rounds

    def __repr__(self) -> str:
        """Return one line: the arrays have an entry for every weight."""
        weights = sum(removed.size for removed in self.removed_in.values())
        return (
            f"Bank(study {self.study!r}, seed {self.seed}, rounds 0 to {self.rounds}, "
            f"{len(self.removed_in)} layers, {weights:,} weights, "
            f"theta_0 {self.theta_0_sha256[:12]}…)"
        )


def reach(path: str | os.PathLike[str]) -> tuple[int, bool]:
    """Return the last round of a bank file, and whether it is still to be trained.

    Reads no more than that. Raises BankError as `read_bank`.
    """
    with hdf5.reading(path, BankError, "restore it, or export the chain again") as file:
        return hdf5.attribute(file, "rounds", int), bool(hdf5.scalars(file).get("is_open"))


def read_bank(path: str | os.PathLike[str]) -> Bank:
    """Read a bank file. Raises BankError, naming it, if it is missing, damaged or foreign."""
    path = Path(path)
    if not path.is_file():
        raise BankError(f"{path}: no such file; chains are exported by `snakemake bank`")
    with hdf5.reading(path, BankError, "restore it, or export the chain again") as file:
        attrs = hdf5.scalars(file)
        if (attrs.get("format"), attrs.get("format_version")) != (FORMAT, FORMAT_VERSION):
            raise BankError(f"{path}: not a ticket bank of version {FORMAT_VERSION}")
        rounds = hdf5.attribute(file, "rounds", int)
        if not 0 <= rounds <= MAX_ROUNDS:
            raise DamagedError(f"{rounds} rounds; expected at most {MAX_ROUNDS}")
        text = hdf5.attribute(file, "spec", str)
        if hashlib.sha256(text.encode()).hexdigest() != hdf5.attribute(file, "spec_sha256", str):
            raise DamagedError("spec does not match its SHA-256")
        try:
            spec = Spec.from_json(text)
            layer_shapes(spec)
        except ValueError as error:
            raise DamagedError(f"spec is not valid: {error}") from error
        if spec.init.scheme not in SCHEMES:
            raise BankError(
                f"{path}: init scheme is {printable(repr(spec.init.scheme))}, which this "
                f"ticketlens cannot draw; known: {sorted(SCHEMES)}"
            )
        seed = hdf5.attribute(file, "seed", int)
        if seed < 0:
            raise DamagedError(f"seed is {seed}; expected at least 0")
        found = Bank(
            study=hdf5.attribute(file, "study", str),
            seed=seed,
            rounds=rounds,
            spec=spec,
            theta_0_sha256=hdf5.attribute(file, "theta_0_sha256", str),
            removed_in=removed_in_of(file, spec, rounds),
            histories=histories_of(file, rounds if attrs.get("is_open") else rounds + 1),
            border=border_of_file(file, spec),
        )
        try:
            _check_rule(found)
        except InvariantError as error:
            raise DamagedError(str(error)) from error
        hdf5.check_seal(path, must_be_there=True)  # no digest of the content backs it up
        return found


def write_bank(output: str | os.PathLike[str], bank: Bank) -> None:
    """Write a bank file."""
    packed = {"compression": "gzip", "compression_opts": 9, "fletcher32": True}
    with hdf5.writing(output) as file:
        file.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            study=bank.study,
            seed=bank.seed,
            rounds=bank.rounds,
            spec=bank.spec.to_json(),
            spec_sha256=bank.spec.sha256,
            theta_0_sha256=bank.theta_0_sha256,
            **({"is_open": 1} if bank.is_open else {}),
        )
        for number, (name, removed) in enumerate(bank.removed_in.items()):
            group = hdf5.new_group(file, f"layers/{number:02d}-{name}")
            group.create_dataset("removed_in", data=removed, **packed)
            for key, values in zip(BORDER, bank.border.get(name, ()), strict=False):
                group.create_dataset(key, data=values)  # as it is: the seal covers it
        for number, history in enumerate(bank.histories):
            group = hdf5.new_group(file, f"history/round{number:02d}")
            for quantity, series in history.items():
                group.create_dataset(quantity, data=np.atleast_1d(series), **packed)


def removed_mask(removed_in: npt.NDArray[np.uint8], round_: int) -> npt.NDArray[np.bool_]:
    """Return the mask of a round: weights never removed, or removed later."""
    return np.asarray((removed_in == 0) | (removed_in > round_))


def _check_rule(bank: Bank) -> None:
    """Assert that every round removed what the pruning rule says. Raises InvariantError."""
    kept = [
        {
            name: int(np.count_nonzero(removed_mask(removed, number)))
            for name, removed in bank.removed_in.items()
        }
        for number in range(bank.rounds + 1)
    ]
    for number, (before, after) in enumerate(pairwise(kept), start=1):
        try:
            check_counts(before, after, bank.spec.pruning)
        except InvariantError as error:
            raise InvariantError(f"round {number}: {error}") from None


def removed_in_of(file: h5py.File, spec: Spec, rounds: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Return per layer the rounds that removed its weights.

    Raises DamagedError unless names, shapes and rounds are those of the spec.
    """
    parent = hdf5.child(file, "layers", h5py.Group)
    shapes = layer_shapes(spec)
    names = [f"{number:02d}-{layer.name}" for number, layer in enumerate(shapes)]
    if hdf5.names(parent) != names:
        raise DamagedError(f"layers {hdf5.names(parent)}, the spec says {names}")
    size = sum(prod(layer.shape) for layer in shapes)
    if size > MAX_WEIGHTS or min(min(layer.shape) for layer in shapes) < 1:
        raise DamagedError(f"the spec says {size} weights; expected at most {MAX_WEIGHTS}")
    removed_in = {}
    for name, layer in zip(names, shapes, strict=True):
        group = hdf5.child(parent, name, h5py.Group)
        removed = hdf5.array(group, "removed_in", "uint8", prod(layer.shape))
        if removed.shape != layer.shape or removed.max() > rounds:
            raise DamagedError(
                f"layer {layer.name} has shape {removed.shape} and rounds up to "
                f"{removed.max(initial=0)}; expected {layer.shape} and at most {rounds}"
            )
        removed_in[layer.name] = removed
    return removed_in


def border_of_file(file: h5py.File, spec: Spec) -> dict[str, Border]:
    """Return what is stored of theta_0. Banks of 0.1.0 and normal weights have nothing there.

    Raises DamagedError if a layer has other border weights than its own.
    """
    parent, found = hdf5.child(file, "layers", h5py.Group), {}
    for number, layer in enumerate(layer_shapes(spec)):
        group = hdf5.child(parent, f"{number:02d}-{layer.name}", h5py.Group)
        if not set(BORDER) & set(hdf5.names(group)):
            continue
        index = hdf5.array(group, BORDER[0], "uint32", MAX_BORDER)
        values = hdf5.array(group, BORDER[1], "float32", MAX_BORDER)
        if (
            index.ndim != 1
            or index.shape != values.shape
            or (np.diff(index.astype(np.int64)) <= 0).any()
            or index.max(initial=0) >= prod(layer.shape)
        ):
            raise DamagedError(f"layer {layer.name}: border weights that are not its own")
        found[layer.name] = (index, values)
    return found


def border_of(layers: Sequence[Layer], spec: Spec, seed: int) -> dict[str, Border]:
    """Return the values that theta_0 has where other machines may draw another last bit."""
    by_name = {layer.name: layer.weight for layer in layers}
    return {
        name: (index.astype(np.uint32), by_name[name].flat[index])
        for name, index in border(spec, seed).items()
    }


def histories_of(file: h5py.File, rounds: int) -> tuple[History, ...]:
    """Return the histories of so many rounds. Raises DamagedError if one of them is missing."""
    parent = hdf5.child(file, "history", h5py.Group) if rounds else None
    return tuple(
        hdf5.arrays(hdf5.child(parent, f"round{number:02d}", h5py.Group), "float64", MAX_HISTORY)
        for number in range(rounds)
    )

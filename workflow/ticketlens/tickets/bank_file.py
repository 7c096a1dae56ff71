"""What a bank file holds of each layer and round, read and checked: see `bank` for the format."""

from __future__ import annotations

from math import prod

import h5py
import numpy as np
import numpy.typing as npt

from ticketlens.architecture import layer_shapes
from ticketlens.checkpoint import MAX_HISTORY, MAX_WEIGHTS
from ticketlens.files import hdf5
from ticketlens.spec import Spec

MAX_BORDER = 2**20  # weights of a layer
BORDER = ("border", "border_values")

Border = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]
"""Flat indices of weights, ascending, and their values in theta_0."""
History = dict[str, npt.NDArray[np.float64]]


def removed_in_of(file: h5py.File, spec: Spec, rounds: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Return per layer the rounds that removed its weights; DamagedError unless spec's shapes."""
    parent = hdf5.child(file, "layers", h5py.Group)
    shapes = layer_shapes(spec)
    names = [f"{number:02d}-{layer.name}" for number, layer in enumerate(shapes)]
    if hdf5.names(parent) != names:
        raise hdf5.DamagedError(f"layers {hdf5.names(parent)}, the spec says {names}")
    size = sum(prod(layer.shape) for layer in shapes)
    if size > MAX_WEIGHTS or min(min(layer.shape) for layer in shapes) < 1:
        raise hdf5.DamagedError(f"the spec says {size} weights; expected at most {MAX_WEIGHTS}")
    removed_in = {}
    for name, layer in zip(names, shapes, strict=True):
        group = hdf5.child(parent, name, h5py.Group)
        removed = hdf5.array(group, "removed_in", "uint8", prod(layer.shape))
        if removed.shape != layer.shape or removed.max() > rounds:
            raise hdf5.DamagedError(
                f"layer {layer.name} has shape {removed.shape} and rounds up to "
                f"{removed.max(initial=0)}; expected {layer.shape} and at most {rounds}"
            )
        removed_in[layer.name] = removed
    return removed_in


def border_of_file(file: h5py.File, spec: Spec) -> dict[str, Border]:
    """Return what is stored of theta_0. Banks of 0.1.0 and normal weights have nothing there."""
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
            raise hdf5.DamagedError(f"layer {layer.name}: border weights that are not its own")
        found[layer.name] = (index, values)
    return found


def histories_of(file: h5py.File, rounds: int) -> tuple[History, ...]:
    """Return the histories of so many rounds. Raises DamagedError if one of them is missing."""
    parent = hdf5.child(file, "history", h5py.Group) if rounds else None
    return tuple(
        hdf5.arrays(hdf5.child(parent, f"round{number:02d}", h5py.Group), "float64", MAX_HISTORY)
        for number in range(rounds)
    )

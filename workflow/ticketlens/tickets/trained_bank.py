"""Trained networks in the bank, rounded: weights on the mask as float16, so that files are small.

    python -m ticketlens.tickets.trained_bank OUTPUT TRAINED...

packs trainings of the tickets of one study and seed, such as two by two orders of the data, into
`resources/tickets/{study}/trained/seed{n}.h5`, and says the largest rounding error of each. The
masks of a round are one, which the file holds once. Weights of the best validation epoch are left
out, histories stay.

Format: root attributes format, format_version, study, seed; `/roundNN/mask/NN-name` uint8, packed
bits of the layer's shape; `/roundNN/networks/ARM` with the attributes spec, spec_sha256,
rounded_from (the `content_sha256` of the network that was rounded), largest_rounding_error and what
else its file said; in it `layers/NN-name/weight` float16, the kept weights in the order of the
mask's flat indices, `bias` float32 (not rounded), and `history` as in a trained network's file.
A network is named as h5ls names a group: `seed0.h5/round07/order-1`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import numpy.typing as npt

from ticketlens import checkpoint
from ticketlens.architecture import LayerShape, layer_shapes
from ticketlens.checkpoint import MAX_HISTORY, MAX_WEIGHTS, Checkpoint, CheckpointError, Layer
from ticketlens.files import hdf5
from ticketlens.files.damaged import DamagedError, printable
from ticketlens.spec import Spec
from ticketlens.tickets.bank_file import BankError

FORMAT = "ticketlens-trained-bank"
FORMAT_VERSION = 1
ROUNDED_TO = "float16"
ROUNDED = "weights_rounded_to"
"""The attribute, in `extra`, of a network that is not the exact one."""
ERROR, ORIGINAL = "largest_rounding_error", "rounded_from"
LARGEST = float(np.finfo(np.float16).max)  # a float: beside a float16, 65,510.0 would be rounded
ADVICE = "restore it, or export the networks again"
_OWN = {"spec", "spec_sha256", ERROR, ORIGINAL}
_PACKED = {"chunks": True, "compression": "gzip", "compression_opts": 9, "fletcher32": True}

Float16s = npt.NDArray[np.float16]


def is_rounded(network: Checkpoint) -> bool:
    """Whether the weights of a network are not those that were trained, but rounded ones."""
    return ROUNDED in network.extra


def export(
    output: str | os.PathLike[str], trained: Sequence[str | os.PathLike[str]]
) -> list[Checkpoint]:
    """Write the networks of the files `trained`, rounded; return them as `load` gives them.

    Raises BankError for networks of several studies, seeds, or masks in one round, for the same
    round and arm twice, for weights beyond float16 and for those that are rounded already.
    """
    found: dict[tuple[int, str], Checkpoint] = {}
    first: dict[int, Checkpoint] = {}
    for path in trained:
        network = checkpoint.read(path, kind="trained")
        others = next(iter(found.values()), network)
        if (network.study, network.seed) != (others.study, others.seed):
            raise BankError(
                f"{path}: holds {network.study} seed {network.seed} beside {others.study} seed "
                f"{others.seed}; a file is of one study and seed"
            )
        if (network.round, network.arm) in found:
            raise BankError(f"{path}: a second network of round {network.round}, {network.arm}")
        if is_rounded(network):
            raise BankError(f"{path}: its weights are rounded already; export the trained network")
        beside = first.setdefault(network.round, network)
        if any(
            not np.array_equal(one.mask, other.mask)
            for one, other in zip(network.layers, beside.layers, strict=True)
        ):
            raise BankError(
                f"{path}: has another mask than {beside.arm} of round {network.round}; a file "
                "keeps trainings of one ticket a round"
            )
        _check_range(path, network)
        found[network.round, network.arm] = network
    if not found:
        raise BankError(f"{output}: no trained networks to export")
    _write(output, [found[key] for key in sorted(found)])
    return [load(output, number, arm) for number, arm in sorted(found)]


def networks(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    """Return (round, arm) of the networks of a file. Raises BankError as `load`."""
    with hdf5.reading(_there(path), BankError, ADVICE) as file:
        _check_format(path, file)
        return _listed(file)


def load(path: str | os.PathLike[str], round_: int, arm: str) -> Checkpoint:
    """Return a network: kind trained, float32 weights that are float16 numbers, as `extra` says.

    `extra` has `weights_rounded_to`, `largest_rounding_error` (of a weight, absolute) and
    `rounded_from`, the content_sha256 of the exact network. Raises BankError, naming the file, if
    it is missing, damaged or foreign, or has no such network.
    """
    with hdf5.reading(_there(path), BankError, ADVICE) as file:
        _check_format(path, file)
        known = _listed(file)
        if (round_, arm) not in known:
            have = ", ".join(f"round{number:02d}/{name}" for number, name in known)
            raise BankError(
                f"{path}: has no network of round {round_}, arm {printable(repr(arm))}; it has "
                f"{printable(have)}"
            )
        found = _read(file, round_, arm)
        try:
            checkpoint.check(found, f"round{round_:02d}/{printable(arm)}")
        except CheckpointError as error:
            raise DamagedError(str(error)) from error
        hdf5.check_seal(path, must_be_there=True)  # no digest of the content backs it up
        return found


def at(path: str | os.PathLike[str]) -> Checkpoint | None:
    """Return the network of `FILE.h5/roundNN/ARM`; None if no part of the path is a file.

    Raises BankError as `load`, and for what stands after the file otherwise.
    """
    whole = Path(path)
    file = next((parent for parent in whole.parents if parent.is_file()), None)
    if file is None:
        return None
    place = re.fullmatch(r"round(\d\d)/([^/]+)", whole.relative_to(file).as_posix())
    if place is None:
        raise BankError(f"{path}: expected FILE.h5/roundNN/ARM, such as {file}/round07/order-1")
    return load(file, int(place[1]), place[2])


def _there(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    if not Path(path).is_file():
        raise BankError(f"{path}: no such file; the bank keeps trained networks of few studies")
    return path


def _check_range(path: str | os.PathLike[str], network: Checkpoint) -> None:
    largest = max(float(abs(layer.weight).max(initial=0)) for layer in network.layers)
    if largest > LARGEST:
        raise BankError(f"{path}: a weight of size {largest:.6g}; float16 ends at {LARGEST:g}")


def _rounded(layer: Layer) -> Float16s:
    """Return the kept weights in the order of their flat indices, to the nearest float16."""
    return cast(Float16s, layer.weight[layer.mask].astype(np.float16))


def _error(network: Checkpoint) -> float:
    """Return the largest |weight − its float16|."""
    kept = [(layer.weight[layer.mask], _rounded(layer)) for layer in network.layers]
    return max(float(abs(exact - near.astype(np.float32)).max(initial=0)) for exact, near in kept)


def _write(output: str | os.PathLike[str], found: Sequence[Checkpoint]) -> None:
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with hdf5.writing(output) as file:
        file.attrs.update(
            format=FORMAT, format_version=FORMAT_VERSION, study=found[0].study, seed=found[0].seed
        )
        for network in found:
            place = f"round{network.round:02d}"
            names = [f"{number:02d}-{layer.name}" for number, layer in enumerate(network.layers)]
            if place not in file:
                masks = hdf5.new_group(file, f"{place}/mask")
                for name, layer in zip(names, network.layers, strict=True):
                    bits = np.packbits(layer.mask.ravel(), bitorder="big")
                    masks.create_dataset(name, data=bits, **_PACKED)
            group = hdf5.new_group(file, f"{place}/networks/{network.arm}")
            group.attrs.update(network.extra)
            group.attrs.update(
                {"spec": network.spec.to_json(), "spec_sha256": network.spec.sha256,
                 ORIGINAL: network.content_sha256, ERROR: _error(network)}
            )  # fmt: skip
            for name, layer in zip(names, network.layers, strict=True):
                own = hdf5.new_group(group, f"layers/{name}")
                own.create_dataset("weight", data=_rounded(layer), shuffle=True, **_PACKED)
                own.create_dataset("bias", data=layer.bias)  # as it is: the seal covers it
            history = hdf5.new_group(group, "history")
            for key, array in sorted(network.history.items()):
                history.create_dataset(key, data=np.atleast_1d(np.asarray(array, np.float64)))


def _check_format(path: str | os.PathLike[str], file: h5py.File) -> None:
    attrs = hdf5.scalars(file)
    if (attrs.get("format"), attrs.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise BankError(f"{path}: holds no trained networks of version {FORMAT_VERSION}")


def _listed(file: h5py.File) -> list[tuple[int, str]]:
    found = []
    for name in hdf5.names(file):
        if not re.fullmatch(r"round\d\d", name):
            raise DamagedError(f"group {name!r}; expected roundNN")
        parent = hdf5.child(hdf5.child(file, name, h5py.Group), "networks", h5py.Group)
        found += [(int(name[5:]), arm) for arm in hdf5.names(parent)]
    return found


def _read(file: h5py.File, round_: int, arm: str) -> Checkpoint:
    """Return the network of a file that has it. Raises DamagedError."""
    parent = hdf5.child(file, f"round{round_:02d}", h5py.Group)
    group = hdf5.child(hdf5.child(parent, "networks", h5py.Group), arm, h5py.Group)
    spec, shapes = _spec(group)
    masks = hdf5.child(parent, "mask", h5py.Group)
    stored = hdf5.child(group, "layers", h5py.Group)
    names = [f"{number:02d}-{layer.name}" for number, layer in enumerate(shapes)]
    for where in (masks, stored):
        if hdf5.names(where) != names:
            raise DamagedError(f"layers {hdf5.names(where)}, the spec says {names}")
    layers = tuple(
        _layer(masks, hdf5.child(stored, name, h5py.Group), name, shape)
        for name, shape in zip(names, shapes, strict=True)
    )
    error = hdf5.attribute(group, ERROR, float)
    largest = np.float16(max(float(abs(layer.weight).max(initial=0)) for layer in layers))
    step = float(np.spacing(largest))
    if not 0 <= error <= step:
        raise DamagedError(
            f"{ERROR} is {error}; weights up to {largest} are rounded by less than {step}"
        )
    said: dict[str, Any] = {k: v for k, v in hdf5.scalars(group).items() if k not in _OWN}
    rounded = {ROUNDED: ROUNDED_TO, ERROR: error, ORIGINAL: hdf5.attribute(group, ORIGINAL, str)}
    return Checkpoint(
        kind="trained",
        study=hdf5.attribute(file, "study", str),
        seed=hdf5.attribute(file, "seed", int),
        round=round_,
        arm=arm,
        spec=spec,
        layers=layers,
        history=hdf5.arrays(hdf5.child(group, "history", h5py.Group), "float64", MAX_HISTORY),
        extra={**said, **rounded},
    )


def _spec(group: h5py.Group) -> tuple[Spec, tuple[LayerShape, ...]]:
    """Return spec and layers of a network. Raises DamagedError, also for too many weights."""
    text = hdf5.attribute(group, "spec", str)
    if hashlib.sha256(text.encode()).hexdigest() != hdf5.attribute(group, "spec_sha256", str):
        raise DamagedError("spec does not match its SHA-256")
    try:
        spec = Spec.from_json(text)
        shapes = layer_shapes(spec)
    except ValueError as error:
        raise DamagedError(f"spec is not valid: {error}") from error
    size = sum(prod(layer.shape) for layer in shapes)
    if size > MAX_WEIGHTS or min(min(layer.shape) for layer in shapes) < 1:
        raise DamagedError(f"the spec says {size} weights; expected at most {MAX_WEIGHTS}")
    return spec, shapes


def _layer(masks: h5py.Group, group: h5py.Group, name: str, own: LayerShape) -> Layer:
    """Return a layer, its float16 weights where its mask keeps any. Raises DamagedError."""
    size = prod(own.shape)
    packed = hdf5.array(masks, name, "uint8", -(-size // 8))
    if packed.shape != (-(-size // 8),):
        raise DamagedError(f"mask of {name} has shape {packed.shape} for the shape {own.shape}")
    mask = np.unpackbits(packed, bitorder="big", count=size).view(bool).reshape(own.shape)
    kept = hdf5.array(group, "weight", "float16", size)
    if kept.shape != (np.count_nonzero(mask),):
        raise DamagedError(
            f"layer {name} has weights of shape {kept.shape}; its mask keeps "
            f"{np.count_nonzero(mask)}"
        )
    if not np.isfinite(kept).all():
        raise DamagedError(f"layer {name} has weights that are not finite")
    weight = np.zeros(own.shape, np.float32)
    weight[mask] = kept
    bias = hdf5.array(group, "bias", "float32", own.shape[0])
    return Layer(own.name, own.kind, weight, bias, mask)


def main(arguments: Sequence[str]) -> None:
    """Export the files that the command line names; print what rounding did to each.

    Raises SystemExit with a sentence if they cannot be exported.
    """
    try:
        output, *trained = arguments
    except ValueError:
        raise SystemExit("usage: ... trained_bank OUTPUT TRAINED...") from None
    try:
        found = export(output, trained)
    except (BankError, CheckpointError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    for network in found:
        print(
            f"{output}/round{network.round:02d}/{network.arm}: {network.density:.3g} of the "
            f"weights, rounded by at most {network.extra[ERROR]:.3g}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

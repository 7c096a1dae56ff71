"""Tickets from and to other systems: `read` a pruned network, `write` a ticket.

docs/your-own-model.md lists the forms. What `read` returns has weights exactly 0.0 off the mask.

    >>> from ticketlens import bank, exchange
    >>> ticket = bank.load("fcnet-normal", seed=0, round=7)
    >>> exchange.write(ticket, "example.safetensors")
    >>> bool(exchange.read("example.safetensors").density == ticket.density)
    True
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ticketlens.checkpoint import Checkpoint, CheckpointError, Layer, check
from ticketlens.files import tensors
from ticketlens.files.tensors import ForeignFileError
from ticketlens.spec import NetworkSpec, Spec
from ticketlens.tickets import foreign
from ticketlens.tickets.foreign import STATES, Layers
from ticketlens.tickets.foreign_chain import to_checkpoint
from ticketlens.tickets.foreign_writers import FORMS, KEY

__all__ = [
    "FORMS", "ForeignFileError", "Layers", "open_layers", "read", "ticket", "to_checkpoint", "write"
]  # fmt: skip

_MODEL = re.compile(r"model_ep(\d{1,9})_it(\d{1,9})\.pth")


@dataclass(frozen=True)
class OpenLayers:
    """Layers that are read one by one: `load(index)` reads one; `names` and `shapes` are known."""

    source: str
    state: str
    found: foreign.Contents
    metadata: Mapping[str, Any]
    remarks: list[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the layers' names, in order."""
        return tuple(layer.name for layer in self.found.layers)

    def load(self, index: int) -> Layer:
        """Read layer `index`. Raises ForeignFileError, naming file and layer, if it is bad."""
        return foreign.load_layer(self.source, self.found.layers[index], self.remarks.append)


def open_layers(
    path: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
) -> OpenLayers:
    """Open a file, or the folder of an open_lth level, without reading its weights.

    `masks` is a file of masks for the weights in `path`. `state` is "init" or "trained": with None
    the file's name says it (open_lth's `ep0_it0`, a name with `init`), else it is "trained".
    Raises ForeignFileError, naming the file, for what is damaged or not of a known form, and
    ValueError for an unknown state.

    >>> exchange.write(ticket, "example.safetensors")
    >>> exchange.open_layers("example.safetensors").names[-1]
    'layers.8'
    """
    if state is not None and state not in STATES:
        raise ValueError(f"state is {state!r}; allowed: {sorted(STATES)}")
    path = Path(path)
    remarks: list[str] = []
    metadata: Mapping[str, Any] = {}
    if path.is_dir():
        path, masks, state, metadata = _open_lth(path, masks, state)
        what = "initial" if state == "init" else "trained"
        remarks.append(f"{path.name} of the level's folder is taken as its {what} weights")
    file = tensors.open_tensors(path)
    found = foreign.contents(file, None if masks is None else tensors.open_tensors(masks))
    metadata = metadata or _own_metadata(file)
    if state is None and metadata:
        kinds = {kind: name for name, kind in STATES.items()}
        state = kinds.get(str(metadata.get("kind"))) or str(metadata.get("state"))
        if state not in STATES:
            raise ForeignFileError(f"{path}: damaged: its ticketlens entry has no state")
    if state is None:
        state = (
            "init" if re.search(r"init|theta_?0|ep0_it0|rewind", path.stem.lower()) else "trained"
        )
        if not metadata:
            remarks.append(
                f"taken as {'initial' if state == 'init' else 'trained'} weights by the file's "
                "name; state='init' or 'trained' says it"
            )
    if any(layer.is_transposed for layer in found.layers):
        remarks.append("kernels are (in, out) or (k, k, in, out), as JAX has them: transposed")
    return OpenLayers(str(path), state, found, metadata, remarks)


def read(
    path: str | os.PathLike[str],
    network: NetworkSpec | Mapping[str, Any] | None = None,
    *,
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
) -> Checkpoint | Layers:
    """Read a pruned network of another system; the forms are in docs/your-own-model.md.

    With `network` (as in a config, e.g. ``{"activation": "relu"}``; what it leaves out follows
    from the layers) the result is a Checkpoint, which everything in ticketlens takes; so it is for
    files that `write` made. Else it is `Layers`. `masks` and `state` as in `open_layers`.
    Raises ForeignFileError for a file that is damaged or not of a known form, ValueError, naming
    the layer, if the layers are not a chain of the network's family.

    >>> exchange.write(ticket, "example.safetensors")
    >>> type(exchange.read("example.safetensors")).__name__
    'Checkpoint'
    """
    opened = open_layers(path, masks, state)
    layers = tuple(opened.load(index) for index in range(len(opened.found.layers)))
    layers = _only_masks(layers)
    if network is None and opened.metadata:
        return _restored(opened, layers)
    plain = Layers(layers, opened.state, opened.source, tuple(opened.remarks), opened.found.skipped)
    return plain if network is None else to_checkpoint(plain, network)


def _only_masks(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Floating-point masks without weights: all values 0 or 1, no biases."""
    are_masks = all(
        layer.weight is not None and layer.bias is None and np.array_equal(layer.weight, layer.mask)
        for layer in layers
    )
    return (
        tuple(dataclasses.replace(layer, weight=cast(Any, None)) for layer in layers)
        if are_masks
        else layers
    )


# --- as a ticket of the workflow ------------------------------------------------------------------


def ticket(
    path: str | os.PathLike[str],
    spec: Spec,
    study: str,
    seed: int,
    round: int,
    *,
    masks: str | os.PathLike[str] | None = None,
    state: str = "init",
) -> Checkpoint:
    """Return what stands in a file as the IMP ticket of a study of the workflow.

    `spec` is the study's: the layers must be those of its network, on its data set's images. With
    state "trained" the ticket starts from trained weights. Raises as `read`, naming the file.

    >>> exchange.write(ticket, "example.safetensors")
    >>> exchange.ticket("example.safetensors", ticket.spec, "mine", seed=3, round=4).study
    'mine'
    """
    opened = open_layers(path, masks, state)
    layers = tuple(opened.load(index) for index in range(len(opened.found.layers)))
    plain = Layers(layers, opened.state, str(path), (), opened.found.skipped)
    try:
        found = to_checkpoint(plain, spec.network, spec.dataset.shape)
    except ValueError as error:
        raise ForeignFileError(f"{path}: {error}") from error
    classes = len(found.layers[-1].mask)
    if classes != spec.dataset.classes:
        raise ForeignFileError(
            f"{path}: layer {layers[-1].name} has {classes} outputs; the data set "
            f"{spec.dataset.name!r} has {spec.dataset.classes} classes"
        )
    extra = {"source": Path(path).name, "names": found.extra["names"], "weights": opened.state}
    return dataclasses.replace(
        found, kind="ticket", study=study, seed=seed, round=round, spec=spec, extra=extra
    )


# --- writing -------------------------------------------------------------------------------------


def write(
    ticket: Checkpoint | Layers,
    path: str | os.PathLike[str],
    form: str | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write a ticket for other systems, whole or not at all; `read` gives back the same bits.

    `form` is "safetensors" or "torch", state dicts with `weight_orig`, `weight_mask` and `bias`
    that modules under torch.nn.utils.prune load with strict=True, or "open_lth", a level's folder.
    None takes it from the suffix. `names` are the modules' names in your model. The default is
    `layers.0`, `layers.1`, … for a checkpoint, as in `networks.build`, and for `Layers` the names
    that they have. In a level they are those of open_lth's fully connected models.
    Raises ValueError for an unknown form, names of another number, and what is not a ticket.

    >>> exchange.write(ticket, "example.safetensors")
    """
    path = Path(path)
    if form is None:
        suffixes = {".safetensors": "safetensors", "": "open_lth"}
        form = suffixes.get(path.suffix, "torch" if path.suffix in tensors.TORCH_SUFFIXES else None)
    if form not in FORMS:
        raise ValueError(f"form is {form!r} for {path}; allowed: {sorted(FORMS)}")
    if isinstance(ticket, Checkpoint):
        check(ticket, path)
        if ticket.kind == "mask":
            raise ValueError(f"{path}: a file of masks has no weights to write")
    chosen = list(_default_names(ticket) if names is None else names)
    if len(set(chosen)) != len(ticket.layers):
        raise ValueError(f"{len(set(chosen))} different names for {len(ticket.layers)} layers")
    FORMS[form](ticket, path, chosen if names is not None or form != "open_lth" else None)


def _default_names(ticket: Checkpoint | Layers) -> list[str]:
    if isinstance(ticket, Layers):
        return [layer.name for layer in ticket.layers]
    return [f"layers.{number}" for number in range(len(ticket.layers))]


# --- what this library wrote ---------------------------------------------------------------------


def _own_metadata(file: tensors.TensorFile) -> dict[str, Any]:
    text = file.metadata.get(KEY)
    return {} if not isinstance(text, str) else _parsed(file.path, text)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForeignFileError(f"{path}: damaged: its ticketlens entry is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("order"), list):
        raise ForeignFileError(f"{path}: damaged: its ticketlens entry is incomplete")
    return found


def _open_lth(
    folder: Path, masks: str | os.PathLike[str] | None, state: str | None
) -> tuple[Path, str | os.PathLike[str], str, Mapping[str, Any]]:
    """Return the model, the mask, the state, and our own entry of a level's folder."""
    models = sorted(
        (int(match[1]), int(match[2]), file)
        for file in folder.glob("model_ep*_it*.pth")
        if (match := _MODEL.fullmatch(file.name))
    )
    mask = masks if masks is not None else folder / "mask.pth"
    if not models or not Path(mask).is_file():
        raise ForeignFileError(
            f"{folder}: not the folder of an open_lth level: mask.pth and model_ep*_it*.pth are "
            "needed (it is …/level_N/main)"
        )
    # A level is saved where its training starts, ep0_it0 or what it rewinds to, and where it ends.
    has_init = models[0][:2] == (0, 0) or len(models) > 1
    state = state or ("init" if has_init else "trained")
    chosen = models[0][2] if state == "init" else models[-1][2]
    if state == "trained" and has_init and len(models) == 1:
        raise ForeignFileError(f"{folder}: holds model_ep0_it0.pth alone, no trained weights")
    entry = folder / "ticketlens.json"
    if entry.is_file():
        if entry.stat().st_size > 2**20:
            raise ForeignFileError(f"{entry}: too long for an entry of ticketlens")
        return (
            chosen,
            mask,
            state,
            _parsed(entry, entry.read_text(encoding="utf-8", errors="replace")),
        )
    return chosen, mask, state, {}


def _restored(opened: OpenLayers, layers: tuple[Layer, ...]) -> Checkpoint | Layers:
    """Return what `write` was given, checked as a checkpoint is."""
    entry = opened.metadata
    by_name = {layer.name: layer for layer in layers}
    try:
        ordered = [by_name[str(name)] for name in entry["order"]]
        if len(ordered) != len(layers):
            raise ForeignFileError(f"{opened.source}: damaged: layers are missing in its entry")
        if "spec" not in entry:
            names = entry.get("names", entry["order"])
            named = (
                dataclasses.replace(layer, name=str(name))
                for layer, name in zip(ordered, names, strict=True)
            )
            return Layers(tuple(named), str(entry["state"]), opened.source, tuple(opened.remarks))
        checkpoint = Checkpoint(
            str(entry["kind"]), str(entry["study"]), int(entry["seed"]), int(entry["round"]),
            str(entry["arm"]), Spec.from_json(str(entry["spec"])),
            tuple(
                dataclasses.replace(layer, name=str(name))
                for layer, name in zip(ordered, entry["names"], strict=True)
            ),
            extra=dict(entry["extra"]),
        )  # fmt: skip
        check(checkpoint, opened.source)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, (ForeignFileError, CheckpointError)):
            raise
        raise ForeignFileError(
            f"{opened.source}: damaged: its ticketlens entry does not fit ({error})"
        ) from error
    return checkpoint

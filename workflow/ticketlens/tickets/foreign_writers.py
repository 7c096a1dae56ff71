"""Writers of tickets for other systems: state dicts of torch.nn.utils.prune, open_lth's folders."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint
from ticketlens.files.atomic import replacing, write_text
from ticketlens.tickets.foreign import STATES, Layers

KEY = "ticketlens"
"""Under this key of a file's metadata stands what makes it a checkpoint again."""


def _arrays(ticket: Checkpoint | Layers, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the state dict of torch.nn.utils.prune, all in C order."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, layer in zip(names, ticket.layers, strict=True):
        if layer.weight is None:
            raise ValueError(f"layer {layer.name} has no weights to write")
        if layer.bias is not None:
            arrays[f"{name}.bias"] = np.ascontiguousarray(layer.bias)
        arrays[f"{name}.weight_orig"] = np.ascontiguousarray(layer.weight)
        arrays[f"{name}.weight_mask"] = np.ascontiguousarray(layer.mask, dtype=np.float32)
    return arrays


def _identity(ticket: Checkpoint | Layers, names: Sequence[str]) -> str:
    """Return, as JSON, what makes the file a checkpoint again."""
    layer_names = [layer.name for layer in ticket.layers]
    if not isinstance(ticket, Checkpoint):
        return json.dumps({"state": ticket.state, "names": layer_names, "order": list(names)})
    return json.dumps(
        {
            "kind": ticket.kind, "study": ticket.study, "seed": ticket.seed, "round": ticket.round,
            "arm": ticket.arm, "spec": ticket.spec.to_json(), "extra": dict(ticket.extra),
            "names": layer_names, "order": list(names),
        }
    )  # fmt: skip


def _write_safetensors(
    ticket: Checkpoint | Layers, path: Path, names: Sequence[str] | None
) -> None:
    from safetensors.numpy import save

    assert names is not None
    metadata = {"format": "pt", KEY: _identity(ticket, names)}
    data = save(_arrays(ticket, names), metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _write_torch(ticket: Checkpoint | Layers, path: Path, names: Sequence[str] | None) -> None:
    import torch

    assert names is not None
    arrays = _arrays(ticket, names)
    state = OrderedDict((key, torch.from_numpy(value.copy())) for key, value in arrays.items())
    state._metadata = OrderedDict({"": {"version": 1}, KEY: _identity(ticket, names)})  # type: ignore[attr-defined]
    with replacing(path) as temporary:
        torch.save(state, temporary)


def _write_open_lth(ticket: Checkpoint | Layers, path: Path, names: Sequence[str] | None) -> None:
    import torch

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path}: exists and is not an empty folder")
    if names is None:  # as open_lth's fully connected models name theirs
        last = len(ticket.layers) - 1
        names = [*(f"fc_layers.{number}" for number in range(last)), "fc"]
    state, mask = {}, {}
    for name, layer in zip(names, ticket.layers, strict=True):
        if layer.weight is None:
            raise ValueError(f"layer {layer.name} has no weights to write")
        state[f"{name}.weight"] = torch.from_numpy(np.array(layer.weight, order="C"))
        if layer.bias is not None:
            state[f"{name}.bias"] = torch.from_numpy(np.array(layer.bias))
        mask[f"{name}.weight"] = torch.from_numpy(np.array(layer.mask, np.int32, order="C"))
    kind = ticket.kind if isinstance(ticket, Checkpoint) else STATES[ticket.state]
    epochs = ticket.spec.training.epochs if isinstance(ticket, Checkpoint) else 1
    file = "model_ep0_it0.pth" if kind == "ticket" else f"model_ep{max(1, epochs)}_it0.pth"
    path.mkdir(parents=True, exist_ok=True)
    for name, content in ((file, state), ("mask.pth", mask)):
        with replacing(path / name) as temporary:
            torch.save(content, temporary)
    write_text(path / "ticketlens.json", _identity(ticket, names))


Writer = Callable[[Checkpoint | Layers, Path, Sequence[str] | None], None]
FORMS: dict[str, Writer] = {
    "safetensors": _write_safetensors,
    "torch": _write_torch,
    "open_lth": _write_open_lth,
}

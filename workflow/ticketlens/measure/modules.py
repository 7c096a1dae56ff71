"""What a torch module says of its own network, and whether it computes what a chain computes.

A list of layers says nothing of what lies between them. A module can be asked: its outputs on a few
images are compared with those of the chain of its layers. So norms, pooling, skips and unknown
activations are found whatever they are called, and an activation need not be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import NotAChainError
from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.module_geometry import NAMES, geometry

PROBES = 8
TOLERANCE = 1e-3
TOLERANCE_OF_HALVES = 5e-2


def activations_of(module: Any) -> tuple[str, ...]:
    """Return the activations that a module may have: its own if it is a network of ours, else all.

    Those that its submodules are named after come first.
    """
    from ticketlens.networks import ACTIVATIONS

    if hasattr(module, "preactivations") and hasattr(module, "activation"):
        names = [name for name, phi in ACTIVATIONS.items() if phi is module.activation]
        if names:
            return tuple(names)
    kinds = [type(child).__name__ for child in module.modules()]
    said = [NAMES[kind] for kind in kinds if kind in NAMES]
    return tuple(dict.fromkeys([*said, *ACTIVATIONS]))


def chain_of(
    module: Any,
    images: npt.NDArray[np.floating[Any]],
    make: Callable[[Mapping[str, Any]], Checkpoint],
    said: Mapping[str, Any],
    notes: list[str],
) -> Checkpoint:
    """Return the chain of a module's layers that computes what the module computes on `images`.

    `make` turns a network into that chain; `said` is what the user says of it. Of the activations
    that are possible the one is taken whose logits are nearest to the module's. Raises
    NotAChainError if none is near: something else lies between the layers.
    """
    network = {**geometry(module), **said}
    names = (said["activation"],) if "activation" in said else activations_of(module)
    chains = [make({**network, "activation": name}) for name in names]
    expected, problem = _outputs(module, images[:PROBES])
    if expected is None:
        notes.append(
            f"the module could not be run on the images ({problem}), so that its layers are taken "
            f"as a chain with activation {names[0]}, unchecked"
        )
        return chains[0]
    errors = [_error(chain, images[:PROBES], expected) for chain in chains]
    best = int(np.argmin(errors))
    is_half = any(str(one.dtype) in ("torch.float16", "torch.bfloat16") for one in _floats(module))
    if not errors[best] <= (TOLERANCE_OF_HALVES if is_half else TOLERANCE):
        raise NotAChainError(
            f"{type(module).__name__} is not a chain of its layers: with activation "
            f"{names[best]} its outputs would be others, by {errors[best]:.2g} of their size. A "
            "norm, pooling, skip or another activation lies between; without images weights and "
            "spectra are measured"
        )
    if "activation" not in said:
        notes.append(f"activation: {names[best]}, with which the layers give the module's outputs")
    return chains[best]


def _floats(module: Any) -> Iterable[Any]:
    return (one for one in module.parameters() if one.is_floating_point())


def _outputs(
    module: Any, images: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.float64] | None, str]:
    """Return a module's outputs (samples, classes) as it evaluates, or None and why not."""
    import torch

    problem = ""
    parameter = next(iter(_floats(module)), torch.zeros(0))
    states = [(one, one.training) for one in module.modules()]
    x = torch.from_numpy(np.ascontiguousarray(images)).to(parameter.device, parameter.dtype)
    try:
        module.eval()
        for given in (x, x.flatten(1)):
            try:
                with torch.no_grad():
                    outputs = module(given)
                return outputs.detach().cpu().double().numpy().reshape(len(images), -1), ""
            except Exception as error:  # whatever a stranger's forward pass raises
                problem = problem or f"{type(error).__name__}: {error}".splitlines()[0][:120]
    finally:
        for one, training in states:
            one.training = training
    return None, problem


def _error(
    chain: Checkpoint,
    images: npt.NDArray[np.floating[Any]],
    expected: npt.NDArray[np.float64],
) -> float:
    """Return |logits − expected| / |expected| of a chain (∞ for another shape)."""
    import torch

    from ticketlens.networks import build

    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(images)).double()
        logits = build(chain, masked=False).double()(x).numpy()
    if logits.shape != expected.shape:
        return float("inf")
    size = float(np.linalg.norm(expected))
    distance = float(np.linalg.norm(logits - expected))
    return distance / size if size else distance

"""What a config asks for and cannot be, by arithmetic: on shapes, counts and rounds.

Without images this is asked when the config is checked; with their number and size before the first
job, so that no training ends in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from ticketlens.architecture import READOUT, LayerShape, layer_shapes
from ticketlens.spec import Spec
from ticketlens.study.studies import rounds, study_spec
from ticketlens.tickets.pruning import removed_count

MAX_VARIANCE = 1e5  # sigma_w² + sigma_b² with tanh, whose integrals end at ten times that
MAX_WEIGHTS = 2**31 - 1  # of one layer: places of weights are stored as 32-bit integers


def problems(
    config: Mapping[str, Any],
    image_shape: tuple[int, int, int] | None = None,
    images: int | None = None,
) -> Iterator[str]:
    """Yield what no study can do, one line each, in the order of the config.

    `image_shape` is (height, width, channels), `images` the number of training images; what is not
    known is not asked. Studies whose tickets come from the bank or from files are left out.
    """
    for study, entry in config["studies"].items():
        if entry.get("tickets") in ("bank", "files"):
            continue
        spec = study_spec(config, study)
        if image_shape is not None:
            spec = spec.replace(dataset=dataclasses.replace(spec.dataset, shape=image_shape))
        is_known = image_shape is not None
        yield from _of_study(f"studies.{study}", spec, rounds(config, study), images, is_known)


def _of_study(
    where: str, spec: Spec, rounds: int, images: int | None, is_known: bool
) -> Iterator[str]:
    try:
        shapes = layer_shapes(spec)
    except ValueError as error:
        if is_known:  # else the config's own check has said so
            yield f"{where}: of images of this size, the network's {error}"
        return
    for layer in shapes:
        if prod(layer.shape) > MAX_WEIGHTS:
            yield (
                f"{where}: layer {layer.name} has {prod(layer.shape):,} weights; allowed: at most "
                f"{MAX_WEIGHTS:,}"
            )
    variance = spec.init.sigma_w**2 + spec.init.sigma_b**2
    if spec.network.activation == "tanh" and variance > MAX_VARIANCE:
        yield (
            f"{where}: sigma_w² + sigma_b² of its init are {variance:.3g}; allowed: at most "
            f"{MAX_VARIANCE:,.0f} with tanh, beyond which its mean-field integrals are not computed"
        )
    yield from _emptied(where, shapes, spec, rounds)
    if images is not None and spec.training.batch_size > images:
        yield (
            f"{where}: training.batch_size is {spec.training.batch_size}, more than the {images} "
            f"training images; allowed: at most {images}"
        )


def _emptied(where: str, shapes: Sequence[LayerShape], spec: Spec, rounds: int) -> Iterator[str]:
    """Name the layer that pruning by layer empties first, if it empties one."""
    if spec.pruning.scope != "layer":
        return
    ends = [
        (emptied_round(prod(one.shape), rate_of(one.name, spec), rounds), one) for one in shapes
    ]
    number, layer = min(
        ((number, layer) for number, layer in ends if number is not None),
        key=lambda end: end[0],
        default=(0, None),
    )
    if layer is not None:
        key = "readout_rate" if layer.name == READOUT else "rate"
        yield (
            f"{where}: pruning.{key} is {rate_of(layer.name, spec):g} and pruning.rounds {rounds}, "
            f"which leaves none of the {prod(layer.shape):,} weights of layer {layer.name} in "
            f"round {number}; allowed: at most {number - 1} rounds, or a lower rate"
        )


def rate_of(layer: str, spec: Spec) -> float:
    """Return the share of a layer's kept weights that one round removes."""
    return spec.pruning.readout_rate if layer == READOUT else spec.pruning.rate


def emptied_round(weights: int, rate: float, rounds: int) -> int | None:
    """Return the first round that leaves none of a layer's weights, None if no round does."""
    kept = weights
    for number in range(1, rounds + 1):
        kept -= removed_count(kept, rate)
        if kept == 0:
            return number
    return None

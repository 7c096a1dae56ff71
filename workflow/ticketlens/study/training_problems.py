"""What settings of a training exclude each other: device, kernel, precision, sparse layers.

The messages of training itself come when a job runs; these come when the config is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SPARSE_CONVOLUTIONS = ("hard_tanh", "relu", "tanh")
"""Activations of convolutions in compressed form."""
BFLOAT16_FAMILIES = ("fully-connected", "resnet-fc", "convolutional", "resnet-conv")
"""Families whose layers docs/precision.md defines."""
STACKED_FAMILIES = ("fully-connected", "resnet-fc")
"""Families whose networks can train together."""


def training_problems(
    where: str,
    training: Mapping[str, Any],
    network: Mapping[str, Any] | None,
    off: str = "0",
) -> Iterator[str]:
    """Yield what a training cannot be, one line each, that begins with `where`.

    `training` and `network` are sections of the config, `network` None where it is not defined.
    `off` is how the place says of `sparse_below` that nothing trains sparse.
    """
    if training.get("precision") == "autocast" and (
        training.get("device", "auto") != "cuda" or training.get("sparse_below", 0) > 0
    ):
        yield (
            f"{where}: training.precision is 'autocast'; allowed: with device cuda and "
            f"sparse_below {off} (on a CPU: bfloat16)"
        )
    if training.get("precision") == "bfloat16":
        yield from _bfloat16_problems(where, training, network, off)
    if training.get("kernel") == "stacked":
        yield from _stacked_problems(where, training, network, off)
    if training.get("sparse_below", 0) > 0:
        yield from _sparse_problems(where, training, network, off)


def _sparse_problems(
    where: str, training: Mapping[str, Any], network: Mapping[str, Any] | None, off: str
) -> Iterator[str]:
    """What the sparse step cannot do: linear layers with skips, some activations, GPUs."""
    value = f"{where}: training.sparse_below is {training['sparse_below']:g}"
    family, phi = (network or {}).get("family"), (network or {}).get("activation", "tanh")
    if family == "resnet-fc":
        yield f"{value} for a {family} network; allowed: {off} (it trains dense)"
    elif family in ("convolutional", "resnet-conv") and phi not in SPARSE_CONVOLUTIONS:
        yield (
            f"{value} for a {family} network of activation {phi!r}; allowed: "
            f"{', '.join(SPARSE_CONVOLUTIONS)} (or sparse_below {off})"
        )
    elif training.get("device", "auto") != "cpu":
        yield (
            f"{value} with training.device {training.get('device', 'auto')!r}; allowed: cpu (or "
            f"sparse_below {off})"
        )


def _stacked_problems(
    where: str, training: Mapping[str, Any], network: Mapping[str, Any] | None, off: str
) -> Iterator[str]:
    """What networks that train together cannot have: convolutions, sparse layers, bfloat16."""
    value = f"{where}: training.kernel is 'stacked'"
    if network and network["family"] not in STACKED_FAMILIES:
        yield (
            f"{value} for a {network['family']} network; allowed: another kernel (stacked is for "
            f"{', '.join(STACKED_FAMILIES)})"
        )
    if training.get("sparse_below", 0) > 0:
        yield f"{value} with sparse_below {training['sparse_below']:g}; allowed: {off}"
    if training.get("precision", "float32") != "float32":
        yield f"{value} with precision {training['precision']!r}; allowed: float32"


def _bfloat16_problems(
    where: str, training: Mapping[str, Any], network: Mapping[str, Any] | None, off: str
) -> Iterator[str]:
    """What bfloat16 does not define: families of plug-ins, GPUs, sparse layers."""
    value = f"{where}: training.precision is 'bfloat16'"
    if network and network["family"] not in BFLOAT16_FAMILIES:
        yield (
            f"{value} for a {network['family']} network; allowed: float32 (bfloat16 is for "
            f"{', '.join(BFLOAT16_FAMILIES)})"
        )
    elif training.get("device", "auto") != "cpu":
        yield (
            f"{value} with training.device {training.get('device', 'auto')!r}; allowed: cpu (or "
            "precision float32)"
        )
    elif training.get("sparse_below", 0) > 0:
        yield (
            f"{value} with training.sparse_below {training['sparse_below']:g}; allowed: {off} "
            "(what is sparse computes in float32)"
        )

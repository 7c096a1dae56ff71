"""Networks in bfloat16 arithmetic: which there are, and what a spec may ask of them.

docs/precision.md defines every sum; bfloat16.c computes them, by one of the `ways` of this machine,
all with the same bits. Parameters, their gradients, momenta and what is measured stay float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from torch import Tensor, nn

from ticketlens import networks
from ticketlens.spec import BFLOAT16_KERNEL, TrainingSpec
from ticketlens.training.bfloat16_convnet import ConvNet
from ticketlens.training.bfloat16_fcnet import FCNet

VERSION = BFLOAT16_KERNEL
"""Of the definition that is computed here; the spec carries it as `bfloat16_kernel`."""
PRECISIONS = ("float32", "bfloat16")


class Network(Protocol):
    """A network in bfloat16 arithmetic on a model's parameters; `way` computes it (see `ways`)."""

    way: str

    def share_among(self, threads: int) -> None:
        """Share what follows among so many threads, where that pays; no bit depends on it."""
        ...

    def gather(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Return the images `chosen` (samples,) int64 as `gradients` reads them."""
        ...

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the mean loss (float64), the logits, and a gradient per parameter, overwritten by
        the next call.

        Images are (samples, channels, height, width) float32, or gathered; labels (samples,) int64.
        """
        ...

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (samples, classes) of images in float32."""
        ...

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy."""
        ...


NETWORKS: dict[type[nn.Module], Callable[[nn.Module, str | None], Network]] = {
    networks.FullyConnected: FCNet,
    networks.ResidualFullyConnected: FCNet,
    networks.Convolutional: ConvNet,
    networks.ResidualConvolutional: ConvNet,
}
"""By the class of the model; a plug-in's family is none of them."""


def network(model: nn.Module, way: str | None = None) -> Network:
    """Return `model` in bfloat16 arithmetic, by `way` or the one that this machine chooses.

    Raises ValueError for what the definition leaves out, naming what is allowed.
    """
    if type(model) not in NETWORKS:
        allowed = ", ".join(name for name, one in networks.FAMILIES.items() if one in NETWORKS)
        raise ValueError(
            f"training.precision is 'bfloat16' for a {type(model).__name__}; allowed: the families "
            f"{allowed}, or precision float32"
        )
    if any(p.device.type != "cpu" for p in model.parameters()):
        raise ValueError("training.precision is 'bfloat16', on the CPU only; allowed: "
                         "training.device cpu, or precision float32")  # fmt: skip
    if any(layer.bias is None for layer in cast(Iterable[Any], model.layers)):
        raise ValueError("training.precision is 'bfloat16' and a layer has no bias; allowed: "
                         "layers with biases, or precision float32")  # fmt: skip
    return NETWORKS[type(model)](model, way)


def check(spec: TrainingSpec) -> None:
    """Raise ValueError for a precision, or a version of its definition, that is unknown here."""
    if spec.precision not in PRECISIONS:
        raise ValueError(
            f"training.precision is {spec.precision!r}; allowed: {', '.join(PRECISIONS)}"
        )
    if spec.precision == "bfloat16" and spec.sparse_below > 0:
        raise ValueError(
            f"training.precision is 'bfloat16' and sparse_below {spec.sparse_below:g}; allowed: "
            "sparse_below 0 (layers in bfloat16 train dense), or precision float32"
        )
    version = VERSION if spec.precision == "bfloat16" else 0
    if spec.bfloat16_kernel != version:
        raise ValueError(
            f"training.bfloat16_kernel is {spec.bfloat16_kernel} with precision "
            f"{spec.precision!r}; allowed: {version}"
        )

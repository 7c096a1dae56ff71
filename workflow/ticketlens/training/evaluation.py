"""Images of one part of the data on the device, and how well a network does on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ticketlens.files.dataset import PreparedDataset, normalise, read_pixels
from ticketlens.training import sparse, sparse_conv

EVALUATION_BATCH = 1000
"""Images whose losses are summed in float32."""
PIECE = 125
"""Images of one pass through convolutions on a CPU: 1,000 of them took 2 GB more."""
FINAL_SPARSE_BELOW = 0.55
"""Density of convolutions below which those of a bfloat16 run are sparse in the final tests."""


@dataclass(frozen=True)
class Batches:
    """Images and labels of one part of the data, on the device."""

    images: Tensor
    labels: Tensor


def evaluate(model: nn.Module, data: Batches) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy over all of `data`."""
    loss = torch.zeros((), dtype=torch.float64, device=data.labels.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    with torch.inference_mode():
        for images, labels in zip(
            data.images.split(EVALUATION_BATCH), data.labels.split(EVALUATION_BATCH), strict=True
        ):
            logits = _logits(model, images)
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
    return loss.item() / len(data.labels), correct.item() / len(data.labels)


def sparse_if_faster(model: nn.Module, masks: Sequence[np.ndarray], activation: str) -> nn.Module:
    """Return a dense network that is held by `masks`, one per layer, as final tests evaluate it.

    Convolutions of a density below FINAL_SPARSE_BELOW are sparse, with their weights of now. Any
    other network, and one without masks, is returned as it is.
    """
    if not masks:
        return model
    return FINAL_NETWORK[sparse.COMPRESSIBLE[masks[0].ndim == 4]](model, masks, activation)


def _as_it_is(model: nn.Module, masks: Sequence[np.ndarray], activation: str) -> nn.Module:
    return model


def _sparse_convolutions(
    model: nn.Module, masks: Sequence[np.ndarray], activation: str
) -> nn.Module:
    if cast(Any, model).activation not in sparse_conv.KINDS:
        return model
    return sparse_conv.compressed(model, masks, FINAL_SPARSE_BELOW, activation)


# `study.entries` has the same names, so that no fully connected training reaches a convolution.
FINAL_NETWORK: dict[str, Callable[..., nn.Module]] = {
    "sparse-linear-layers": _as_it_is,
    "sparse-convolutions": _sparse_convolutions,
}


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits (samples, classes), convolutions a few images at a time on a CPU.

    oneDNN's convolutions sum each image by itself, so their bits are those of one pass (a test
    compares them). Layers of one image, or of very few, have others than those of many (PyTorch
    2.13 has other kernels for them), so the pieces are about equal, and networks of linear layers
    take one pass. With kernel `aten` the readout is BLAS's, and its last bit may depend on the
    number of images.
    """
    if images.device.type != "cpu" or len(cast(Any, model).layers[0].weight.shape) != 4:
        return cast(Tensor, model(images))
    pieces = images.tensor_split(-(-len(images) // PIECE))
    return torch.cat([model(piece) for piece in pieces])


def load(data: PreparedDataset, part: str, device: torch.device) -> Batches:
    """Return a part on the device, normalised in pieces: what is freed stays with the process."""
    pixels, labels = read_pixels(data, part)
    count, height, width, channels = pixels.shape
    images = torch.empty(count, channels, height, width)
    for first in range(0, count, EVALUATION_BATCH):
        some = slice(first, first + EVALUATION_BATCH)
        images[some] = torch.from_numpy(normalise(pixels[some], data.mean, data.std))
    return Batches(images.to(device), _aligned(labels).to(device))


def _aligned(array: np.ndarray) -> Tensor:
    """Copy to torch's own memory: aligned to 64 bytes, on which the bits of kernels may depend."""
    return torch.empty(array.shape, dtype=torch.from_numpy(array[:0]).dtype).copy_(
        torch.from_numpy(array)
    )

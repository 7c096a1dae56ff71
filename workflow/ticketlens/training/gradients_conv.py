"""Gradients of a plain chain of circular convolutions, written out: see `gradients`.

Autograd copies every layer's input into a larger tensor to pad it, fills that one's gradient with
zeros and copies again on the way back. Here the activation is written where the next convolution
reads it, padding is a copy of the borders, and its gradient an addition to them.

With the kernel `onednn-channels-last`, maps and weights lie with their channels last for the time
of a step, which is how oneDNN's convolutions are fastest; sums then have another order than with
`onednn`. Evaluation is the same with both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketlens.networks import (
    Convolutional,
    onednn_channels_last,
    onednn_linear,
    onednn_product,
)
from ticketlens.training.gradients import WRITTEN_OUT, Gradients, is_on_cpu, loss_and_gradient

_aten = torch.ops.aten
# y = phi(h), written into a given tensor, for the activations that are written out.
INTO: dict[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]] = {
    torch.tanh: lambda h, out: torch.tanh(h, out=out),
    torch.relu: lambda h, out: torch.clamp_min(h, 0, out=out),
}


def gradients(model: nn.Module) -> Gradients | None:
    """Return the gradients of a convolutional network, padded circularly, on a CPU in float32.

    None for any other network, for one that holds its mask by itself (`build(ticket)`), for an
    activation that is not written out, and for a readout that is not a layer of oneDNN.
    """
    if type(model) is not Convolutional or model.activation not in INTO:
        return None
    *convolutions, readout = cast(Iterable[Any], model.layers)
    if any(parametrize.is_parametrized(layer) for layer in model.layers):
        return None
    is_circular = all(layer.padding_mode == "circular" for layer in convolutions)
    layouts = {onednn_linear: None, onednn_channels_last: torch.channels_last}
    if not (is_circular and is_on_cpu(model) and readout.kernel in layouts):
        return None
    layout = layouts[readout.kernel] or torch.contiguous_format
    into, through_phi = INTO[model.activation], WRITTEN_OUT[model.activation][1]
    weights = [layer.weight.detach() for layer in convolutions]
    biases = [layer.bias.detach() for layer in convolutions]
    margins = [layer.padding[0] for layer in convolutions]
    strides = [list(layer.stride) for layer in convolutions]
    padded: list[Tensor] = []
    """Padded inputs of the layers; kept between steps, as memory that is new costs page faults."""

    def forward(images: Tensor, laid: list[Tensor]) -> Tensor:
        x = images
        for index, weight in enumerate(laid):
            if len(padded) == index:
                sides = [side + 2 * margins[index] for side in x.shape[2:]]
                padded.append(torch.empty(*x.shape[:2], *sides, memory_format=layout))
            inner = interior(padded[index], margins[index])
            inner.copy_(x) if index == 0 else into(x, inner)
            wrap(padded[index], margins[index])
            x = torch.conv2d(padded[index], weight, biases[index], strides[index])
        return into(x, x)

    def found(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        with torch.no_grad():
            if padded and len(padded[0]) != len(images):
                padded.clear()
            laid = [weight.contiguous(memory_format=layout) for weight in weights]
            y = forward(images, laid)
            pooled = y.mean((2, 3))
            read, offset = readout.weight.detach(), readout.bias.detach()
            logits = onednn_product(pooled, read, offset)
            loss, grad = loss_and_gradient(logits, labels)
            by_layer = [(onednn_product(grad.t(), pooled.t(), None), grad.sum(0))]
            grad = onednn_product(grad, read.t(), None)[:, :, None, None]
            # Into maps that lie as y does: a quotient of one number a channel has no layout.
            grad = torch.div(grad.expand_as(y), y[0, 0].numel(), out=torch.empty_like(y))
            for index in range(len(weights) - 1, -1, -1):
                by_input, by_weight, by_bias = _aten.convolution_backward(
                    through_phi(grad, y), padded[index], laid[index], [len(laid[index])],
                    strides[index], [0, 0], [1, 1], False, [0, 0], 1, [index > 0, True, True],
                )  # fmt: skip
                by_layer.append((by_weight.contiguous(), by_bias))
                if index:
                    fold(by_input, margins[index])
                    grad = interior(by_input, margins[index])
                    y = interior(padded[index], margins[index])
        return loss, logits, [one for layer in reversed(by_layer) for one in layer]

    return found


def interior(padded: Tensor, margin: int) -> Tensor:
    """Return the images within (samples, channels, height + 2 margin, width + 2 margin)."""
    height, width = padded.shape[2:]
    return padded[:, :, margin : height - margin, margin : width - margin]


def wrap(padded: Tensor, margin: int) -> None:
    """Fill the margins with the borders opposite."""
    for dim in (3, 2):
        for margin_, border in _opposite(padded, margin, dim):
            margin_.copy_(border)


def fold(grad: Tensor, margin: int) -> None:
    """Add the gradients of the margins to those of the borders opposite: the adjoint of `wrap`."""
    for dim in (2, 3):
        for margin_, border in _opposite(grad, margin, dim):
            border.add_(margin_)


def _opposite(padded: Tensor, margin: int, dim: int) -> list[tuple[Tensor, Tensor]]:
    if margin == 0:
        return []
    size = padded.shape[dim]
    low, high = padded.narrow(dim, 0, margin), padded.narrow(dim, size - margin, margin)
    return [
        (low, padded.narrow(dim, size - 2 * margin, margin)),
        (high, padded.narrow(dim, margin, margin)),
    ]

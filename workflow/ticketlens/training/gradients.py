"""Gradients of a plain chain of layers, written out: what autograd computes, without its price.

The same operations on the same numbers as autograd's, so the same bits (a test compares them); the
activation takes the place of h, no graph is built, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketlens.networks import FullyConnected, onednn_linear, onednn_product

Gradients = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, list[Tensor]]]
"""From images and labels to the mean loss, the logits, and a gradient per parameter."""
_aten = torch.ops.aten
_MEAN = 1  # as PyTorch numbers the reductions of a loss
# Per activation: y = phi(h) in the place of h; the gradient by h from that by y, and y.
WRITTEN_OUT: dict[
    Callable[[Tensor], Tensor], tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]
] = {
    torch.tanh: (torch.tanh_, _aten.tanh_backward.default),
    torch.relu: (torch.relu_, lambda grad, y: _aten.threshold_backward.default(grad, y, 0)),
}


def gradients(model: nn.Module) -> Gradients | None:
    """Return the gradients of a fully connected network of oneDNN layers on a CPU in float32.

    None for any other network, for one that holds its mask by itself (`build(ticket)`), whose
    weights are computed anew in each step, and for an activation that is not in WRITTEN_OUT.
    """
    if type(model) is not FullyConnected or model.activation not in WRITTEN_OUT:
        return None
    if any(parametrize.is_parametrized(layer) for layer in model.layers):
        return None
    if not (is_on_cpu(model) and all(layer.kernel is onednn_linear for layer in model.layers)):
        return None
    phi, through_phi = WRITTEN_OUT[model.activation]
    weights = [cast(Tensor, layer.weight).detach() for layer in model.layers]
    biases = [cast(Tensor, layer.bias).detach() for layer in model.layers]
    last = len(weights) - 1

    def found(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        with torch.no_grad():
            inputs = [images.flatten(1)]
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                inputs.append(phi(onednn_product(inputs[-1], weight, bias)))
            logits = onednn_product(inputs[-1], weights[-1], biases[-1])
            loss, grad = loss_and_gradient(logits, labels)
            by_layer = []
            for index in range(last, -1, -1):
                x = inputs.pop()
                by_layer.append((onednn_product(grad.t(), x.t(), None), grad.sum(0)))
                if index:
                    grad = through_phi(onednn_product(grad, weights[index].t(), None), x)
        return loss, logits, [one for layer in reversed(by_layer) for one in layer]

    return found


def is_on_cpu(model: nn.Module) -> bool:
    """Whether all parameters are float32 on the CPU, where oneDNN computes."""
    return all((p.device.type, p.dtype) == ("cpu", torch.float32) for p in model.parameters())


def loss_and_gradient(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy and its gradient (samples, classes), as autograd has them."""
    logarithms = torch.log_softmax(logits, 1)
    # No weights of classes, the mean over samples, and −100 as the label to leave out: none.
    how = (None, _MEAN, -100)
    loss, count = _aten.nll_loss_forward(logarithms, labels, *how)
    grad = _aten.nll_loss_backward(torch.ones(()), logarithms, labels, *how, count)
    return loss, _aten._log_softmax_backward_data(grad, logarithms, 1, logits.dtype)

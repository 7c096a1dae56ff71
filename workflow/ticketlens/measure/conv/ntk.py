"""The empirical neural tangent kernel of any family, over its kept weights, with torch's autograd.

K is that of `measure.ntk`. There is no short cut through Gram matrices of inputs here: one weight
of a convolution acts at all pixels. So the gradients of every image are formed, a logit at a time,
exactly: no random vectors. They come from dlogit/dh of every layer and its inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.gradients import Floats, one_readout
from ticketlens.networks import build
from ticketlens.spec import Spec

DTYPE = torch.float32
"""Kernels are sums of many products: in float32 they differ from those in float64 by 1e-5."""


def kernel(
    layers: Sequence[Layer],
    spec: Spec,
    images: npt.NDArray[np.floating],
    dtype: torch.dtype = DTYPE,
) -> Floats:
    """Return K on `images` (n, channels, height, width): (n, n), float64, over the kept weights.

    Raises ValueError for a network without readout.
    """
    one_readout(layers)
    ticket = Checkpoint("ticket", "", 0, 0, "", spec, tuple(layers))
    model = build(ticket, masked=False).to(dtype).requires_grad_(False)
    modules = list(model.layers)
    masks = [torch.from_numpy(layer.mask.reshape(len(layer.mask), -1)) for layer in layers]
    seen: dict[nn.Module, Tensor] = {}
    found: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module], found[module] = inputs[0].detach(), output

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(keep).remove)
        logits = model(torch.from_numpy(np.asarray(images)).to(dtype).requires_grad_(True))
    patches = [_patches(module, seen[module]) for module in modules]
    total = np.zeros((len(images), len(images)))
    for c in range(logits.shape[1]):
        pulled = torch.autograd.grad(
            logits[:, c].sum(), [found[module] for module in modules], retain_graph=True
        )
        for mask, inputs, delta in zip(masks, patches, pulled, strict=True):
            gradient = torch.bmm(delta.reshape(*delta.shape[:2], -1), inputs) * mask
            flat = gradient.flatten(1)
            total += (flat @ flat.T).double().numpy()
    return (total + total.T) / 2


def _patches(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return what each weight of a row is multiplied with, per place: (samples, places, weights).

    A linear layer has one place.
    """
    if not isinstance(module, nn.Conv2d):
        return inputs.flatten(1)[:, None, :]
    side = cast(int, module.padding[0])
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = nn.functional.pad(inputs, (side,) * 4, mode=mode)
    unfolded = nn.functional.unfold(padded, module.kernel_size, stride=module.stride)
    return unfolded.transpose(1, 2).contiguous()

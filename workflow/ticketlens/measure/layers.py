"""Layers as measurements take them: arrays, a bias, and weights that are zero off their mask.

Users bring torch tensors, modules, layers without biases, and the pairs of weight and mask that
pruning libraries keep apart. A weight off the mask that is not zero would be measured as if it were
there, without a word; so it is refused, or dropped on request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer


def plain(layers: Any, apply_mask: bool = False) -> tuple[Layer, ...]:
    """Return `layers`, a sequence of `Layer` or a torch module, ready to be measured.

    A layer that is ready comes back as it is. Torch tensors become arrays, `bias=None` zeros. Of a
    module the last linear layer is the readout. With `apply_mask` weights off the mask are set to
    zero. Raises ValueError, naming the layer, if one is not, for layers without weights, and for
    masks of another shape.
    """
    if hasattr(layers, "named_modules"):
        found = of_module(layers)
        last = len(found) - 1
        layers = [
            dataclasses.replace(layer, name=READOUT)
            if number == last and number and layer.kind == "linear"
            else layer
            for number, layer in enumerate(found)
        ]
    return tuple(_plain(layer, apply_mask) for layer in layers)


def _plain(layer: Layer, apply_mask: bool) -> Layer:
    if layer.weight is None:
        raise ValueError(
            f"layer {layer.name} has no weights; allowed: layers of a ticket or a trained network"
        )
    weight, bias, mask = array(layer.weight), array(layer.bias), array(layer.mask)
    assert weight is not None and mask is not None
    if mask.shape != weight.shape:
        raise ValueError(
            f"layer {layer.name}: mask has shape {mask.shape}, weight {weight.shape}; "
            "allowed: the same"
        )
    if mask.dtype != bool:
        if not ((mask == 0) | (mask == 1)).all():
            raise ValueError(f"layer {layer.name}: mask has values other than 0 and 1")
        mask = mask == 1
    if bias is None:
        bias = np.zeros(len(weight), np.float32)
    outside = np.count_nonzero((weight != 0) & ~mask)
    if outside:
        if not apply_mask:
            raise ValueError(
                f"layer {layer.name}: {outside} weights off its mask are not zero, so the network "
                "that it describes is not the pruned one; give where(mask, weight, 0), or "
                "apply_mask=True"
            )
        weight = np.where(mask, weight, np.zeros((), weight.dtype))
    if weight is layer.weight and bias is layer.bias and mask is layer.mask:
        return layer
    return dataclasses.replace(layer, weight=weight, bias=bias, mask=mask)


def array(values: Any) -> npt.NDArray[Any] | None:
    """Return a torch tensor, on whatever device, as an array; arrays and None as they are."""
    if values is None or isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach"):
        values = values.detach()
        if "bfloat16" in str(values.dtype):  # which numpy lacks
            values = values.float()
        values = values.cpu().numpy()
    return np.asarray(values)


def of_module(model: Any) -> tuple[Layer, ...]:
    """Return the linear and convolutional layers of a torch module, as it computes with them.

    In the order in which it registers them. Masks are those of torch.nn.utils.prune, of a
    parametrization, or a buffer `mask`; without one, the exact zeros. Weights become float32.
    Raises ValueError if there are none, and, naming it, for a layer that is not finite.
    """
    found = tuple(_layers_of(model))
    if not found:
        raise ValueError(f"{type(model).__name__} has no linear or convolutional layer")
    return found


def _layers_of(model: Any) -> Iterator[Layer]:
    for name, module in model.named_modules():
        is_linear = hasattr(module, "in_features") and hasattr(module, "out_features")
        if not (is_linear or hasattr(module, "kernel_size")) or not hasattr(module, "weight"):
            continue
        weight, mask = _weight_and_mask(module)
        if weight is None or weight.ndim not in (2, 4):
            continue
        if getattr(module, "transposed", False):
            if module.groups > 1:
                continue
            weight = weight.swapaxes(0, 1)  # (in, out, k, k)
            mask = None if mask is None else mask.swapaxes(0, 1)
        weight = np.array(weight, dtype=np.float32, order="C")
        if not np.isfinite(weight).all():
            raise ValueError(f"layer {name}: weights are not finite in float32")
        mask = weight != 0 if mask is None else np.array(mask != 0, order="C")
        weight[~mask] = 0.0
        bias = array(getattr(module, "bias", None))
        yield Layer(
            name or "layer",
            "linear" if weight.ndim == 2 else "conv",
            weight,
            cast(np.ndarray, None if bias is None else np.array(bias, dtype=np.float32)),
            mask,
        )


def _weight_and_mask(module: Any) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    buffers = dict(module.named_buffers(recurse=False))
    if "weight_mask" in buffers and hasattr(module, "weight_orig"):
        # Not `module.weight`: prune computes that in the forward pass, and it may be old.
        return array(module.weight_orig), array(buffers["weight_mask"])
    weight = array(module.weight)
    if hasattr(module, "parametrizations") and "weight" in module.parametrizations:
        for step in module.parametrizations["weight"]:
            mask = dict(step.named_buffers()).get("mask")
            if mask is not None and tuple(mask.shape) == tuple(module.weight.shape):
                return weight, array(mask)
    mask = buffers.get("mask", buffers.get("weight_mask"))
    return weight, array(mask)

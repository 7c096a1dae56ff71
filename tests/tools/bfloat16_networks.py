"""Networks of convolutions whose bits in bfloat16 are compared, and images for them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from ticketlens.networks import Convolutional
from ticketlens.spec import NetworkSpec


def network(shapes, strides, padding="circular", activation="tanh", seed=0, scale=1.4,
            family=Convolutional):  # fmt: skip
    """Return a model of convolutions (out, in, k) at these strides, and a readout of 10 classes."""
    generator, layers = torch.Generator().manual_seed(seed), []
    for (outputs, inputs, kernel), stride in zip(shapes, strides, strict=True):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode=padding)
        with torch.no_grad():
            layer.weight.normal_(0, scale / (inputs * kernel**2) ** 0.5, generator=generator)
            layer.bias.normal_(0, 0.3 * scale, generator=generator)
        layers.append(layer)
    readout = nn.Linear(shapes[-1][0], 10)
    with torch.no_grad():
        readout.weight.normal_(0, 1.4 / shapes[-1][0] ** 0.5, generator=generator)
    return family([*layers, readout], NetworkSpec(activation=activation))


def batch(count, channels, height, width, seed=1):
    """Return images and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, channels, height, width, generator=generator)
    return images, torch.randint(0, 10, (count,), generator=generator)


@st.composite
def cases(draw):
    """Draw networks of two or three layers with any padding, strides, sizes."""
    padding = draw(st.sampled_from(["circular", "zeros"]))
    strides = draw(st.lists(st.sampled_from([1, 2]), min_size=2, max_size=3))
    kernels = draw(st.lists(st.sampled_from([1, 3, 3, 5]), min_size=3, max_size=3))
    channels = [draw(st.integers(1, 4)), *(draw(st.integers(1, 40)) for _ in strides)]
    step = int(np.prod(strides)) if padding == "circular" else 1
    height, width = (step * draw(st.integers(-(-4 // step), 12 // step)) for _ in range(2))
    shapes = [(out, into, k) for out, into, k in zip(channels[1:], channels, kernels, strict=False)]
    activation = draw(st.sampled_from(["tanh", "relu", "linear"]))
    scale = draw(st.sampled_from([1.4, 1.4, 6.0, 1e-19]))
    return shapes, strides, padding, activation, scale, (height, width), draw(st.integers(0, 99))


def arrays_of(trained):
    """Return what must not depend on the way: parameters, the best ones, the curves of epochs."""
    layers = [array for layer in trained.layers for array in (layer.weight, layer.bias)]
    best = [array for pair in trained.best_validation for array in pair]
    curves = [value for key, value in trained.history.items() if not key.startswith("final")]
    return [*layers, *best, *curves]

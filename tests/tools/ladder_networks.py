"""Small networks for the tests of the ladder and the sign null."""

import math
from itertools import pairwise

import numpy as np

from ticketlens.checkpoint import Layer


def layer(weight, bias, name="hidden1", mask=None):
    weight = np.asarray(weight, dtype=np.float32)
    mask = weight != 0 if mask is None else mask
    bias = np.broadcast_to(np.asarray(bias, dtype=np.float32), weight.shape[:1])
    return Layer(name, "linear" if weight.ndim == 2 else "conv", weight, bias, mask)


def gaussian_network(seed, sizes, density=1.0, sigma_w=1.4, sigma_b=0.3, kernel=None):
    """A masked Gaussian network with a readout on top."""
    rng, layers = np.random.default_rng(seed), []
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        weight = sigma_w / math.sqrt(np.prod(shape[1:])) * rng.standard_normal(shape)
        weight *= rng.random(shape) < density
        layers.append(layer(weight, sigma_b * rng.standard_normal(outputs), f"hidden{number}"))
    return (*layers, layer(rng.standard_normal((3, sizes[-1])), 0.1, "readout"))


def images(seed, *shape):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * rng.uniform(0.5, 1.5, shape[0]).reshape(
        -1, *[1] * (len(shape) - 1)
    )


def tree(degree, weight, bias, widths, seed):
    """Each neuron has `degree` inputs of its own, of weight ± `weight`."""
    rng, layers = np.random.default_rng(seed), []
    for number, width in enumerate(widths, start=1):
        block = np.kron(np.eye(width), np.ones((1, degree)))
        signs = rng.choice([-1.0, 1.0], size=block.shape)
        layers.append(layer(weight * signs * block, bias, f"hidden{number}"))
    return layers

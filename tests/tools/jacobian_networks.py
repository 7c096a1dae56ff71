"""Small networks, tickets and images for the tests of signals, Jacobians, gradients and nulls."""

import dataclasses

import numpy as np

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec
from ticketlens.tickets import initialization
from ticketlens.tickets import random_weights as weights

DENSE = Spec(
    network=NetworkSpec(hidden_layers=4, width=9), dataset=DatasetSpec(shape=(3, 3, 2), classes=4)
)
CONVS = [
    Spec(
        network=NetworkSpec(
            family="convolutional", hidden_layers=3, width=3, padding=padding, stride=stride
        ),
        dataset=DatasetSpec(shape=(12, 12, 2), classes=4),
    )
    for padding in ("circular", "zeros")
    for stride in (1, 2, (1, 2, 1))
]
RESIDUAL = [
    Spec(
        network=NetworkSpec(family=family, hidden_layers=5, width=5),
        dataset=DatasetSpec(shape=(6, 6, 2), classes=4),
    )
    for family in ("resnet-fc", "resnet-conv")
]


def make_ticket(spec, seed=0, density=0.6):
    theta = initialization.initial_layers(spec, seed)
    rng = np.random.default_rng(seed)
    return weights.rewind([rng.random(layer.mask.shape) < density for layer in theta], theta)


def make_images(spec, count=4, seed=1):
    height, width, channels = spec.dataset.shape
    return np.random.default_rng(seed).standard_normal((count, channels, height, width))


def with_activation(spec, activation):
    return spec.replace(network=dataclasses.replace(spec.network, activation=activation))


def module(layers, spec):
    return build(Checkpoint("ticket", "", 0, 0, "", spec, tuple(layers))).double()

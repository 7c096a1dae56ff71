"""What the ladder predicts, as measured: q of the hidden layers, and moments of their activations.

`ticketlens.ladder` is where users find these functions, and has the conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ticketlens import meanfield
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.propagation import Network, hidden_stack, scalar_q


@dataclass(frozen=True)
class ActivationMoments:
    """E phi(h)² per hidden layer, arrays (layers,): measured, and as it were for Gaussian h.

    `gaussian` has mean zero and the measured q of each image (and pixel), `gaussian_per_neuron` the
    measured mean and variance over the images of each neuron.
    """

    measured: np.ndarray
    gaussian: np.ndarray
    gaussian_per_neuron: np.ndarray


def measured_q(
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    *,
    activation: str | None = None,
    network: Network | None = None,
    apply_mask: bool = False,
) -> np.ndarray:
    """Return q of each image and hidden layer, the mean of h² over neurons: (samples, layers).

    Shapes: inputs as in `predict` -> (samples, layers).

    >>> ladder.measured_q(layers, images).shape == (len(images), len(layers) - 1)
    True
    """
    stack = hidden_stack(layers, inputs, activation, network, apply_mask=apply_mask)
    return np.stack([np.mean(h**2, axis=(1, 2, 3)) for _, _, h in stack.walk()], axis=1)


def activation_moments(
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    *,
    activation: str | None = None,
    network: Network | None = None,
) -> ActivationMoments:
    """Return the measured E phi(h)² of each hidden layer beside its values for Gaussian h.

    Shapes: inputs as in `predict`.

    >>> ladder.activation_moments(layers, images, activation="linear").measured.shape
    (8,)
    """
    stack = hidden_stack(layers, inputs, activation, network)
    name = stack.activation
    rows = [
        (
            np.mean(stack.phi(h) ** 2),
            np.mean(meanfield.second_moment(scalar_q(h), name)),
            np.mean(meanfield.gaussian_second_moment(*_neuron_moments(h), name)),
        )
        for _, _, h in stack.walk()
    ]
    return ActivationMoments(*np.transpose(rows))


def _neuron_moments(h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the images of each neuron: (1, height, width, out) each."""
    return h.mean(axis=0, keepdims=True), h.var(axis=0, keepdims=True)

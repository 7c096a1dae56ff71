"""Where the q of a layer comes from, and whether its signs could be random.

For given inputs x of a layer, with m = E x, M = E x xᵀ and C = M − m mᵀ over images (and pixels),

    q = mean_i E (Σ_j w_ij x_j + b_i)²
      = mean_i [ Σ_j w_ij² M_jj                diagonal
               + Σ_{j≠k} w_ij w_ik m_j m_k     mean
               + Σ_{j≠k} w_ij w_ik C_jk        covariance
               + 2 b_i Σ_j w_ij m_j            bias_cross
               + b_i² ]                        bias

is an identity, not a prediction. Under independent random signs of the weights, with the inputs as
they are, the terms mean, covariance and bias_cross have expectation zero, so that q has

    null_mean = diagonal + bias,
    null_sd²  = N⁻² Σ_i [ 2 Σ_{j≠k} w_ij² w_ik² M_jk² + 4 b_i² Σ_j w_ij² m_j² ],   N neurons.

In layer 1 the covariance is that of pixels; above, it is made by the weights below. For a
convolution the inputs are the windows that the kernel sees, one per image and pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.propagation import HiddenStack, Network, hidden_stack, kernel

_BLOCK = 1 << 24  # numbers per block of windows: 128 MB


@dataclass(frozen=True)
class Decomposition:
    """The parts of q of hidden layer number `layer` (from 1), and its null of random signs.

    q = diagonal + mean + covariance + bias_cross + bias, to rounding. `z` is the distance of q from
    the null in its standard deviations, on the log scale (see `log_z`).
    """

    layer: int
    name: str
    q: float
    diagonal: float
    mean: float
    covariance: float
    bias_cross: float
    bias: float
    null_mean: float
    null_sd: float
    z: float


def decompose(
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    *,
    activation: str | None = None,
    network: Network | None = None,
) -> tuple[Decomposition, ...]:
    """Return the decomposition of q of each hidden layer of a ticket or a trained network.

    Arguments and errors as for `ladder.predict`. The inputs of a layer are those that the network
    itself gives it. Of one network, z describes and does not replicate: compare seeds on log q.
    """
    stack = hidden_stack(layers, inputs, activation, network)
    return tuple(
        _decompose(stack, number, layer, x, h)
        for number, (layer, x, h) in enumerate(stack.walk(), start=1)
    )


def log_z(q: float, null_mean: float, null_sd: float) -> float:
    """Return log(q/null_mean) / (null_sd/null_mean), the delta method's z of log q.

    It takes sd(log q) = sd(q)/mean(q), to first order in that ratio, and centres on log null_mean,
    not on the mean of log q, which lies lower by half the ratio's square. NaN where the null has no
    variance (no neuron with two inputs, no biases) or a q is zero.
    """
    if not (null_sd > 0 and null_mean > 0 and q > 0):
        return float("nan")
    return float(np.log(q / null_mean) * null_mean / null_sd)


def _decompose(
    stack: HiddenStack, number: int, layer: Layer, x: np.ndarray, h: np.ndarray
) -> Decomposition:
    neurons = len(layer.bias)
    bias = layer.bias.astype(float)
    weight = kernel(layer)
    mean, product = _input_moments(stack, x, len(weight), layer)
    weight = weight.reshape(-1, neurons)  # (taps · in, out), in the order of the windows
    square = weight**2

    h = h.reshape(-1, neurons)
    weighted = weight.T @ mean
    diagonal = np.diagonal(product) @ square
    mean_part = weighted**2 - mean**2 @ square
    # The variance of h over the images holds Σ_jk w_j w_k C_jk; its diagonal is not ours.
    covariance = h.var(axis=0) - (np.diagonal(product) - mean**2) @ square

    # M_jk² without its diagonal: rows with one input then add an exact zero, not a rounding error.
    pairs = product**2
    np.fill_diagonal(pairs, 0.0)
    variance = 2 * np.sum(square * (pairs @ square)) + 4 * np.sum(mean**2 @ square * bias**2)

    q = float(np.mean(h**2))
    null_mean = float(np.mean(diagonal) + np.mean(bias**2))
    null_sd = float(np.sqrt(variance)) / neurons
    return Decomposition(
        layer=number,
        name=layer.name,
        q=q,
        diagonal=float(np.mean(diagonal)),
        mean=float(np.mean(mean_part)),
        covariance=float(np.mean(covariance)),
        bias_cross=float(2 * np.mean(bias * weighted)),
        bias=float(np.mean(bias**2)),
        null_mean=null_mean,
        null_sd=null_sd,
        z=log_z(q, null_mean, null_sd),
    )


def _input_moments(
    stack: HiddenStack, x: np.ndarray, taps: int, layer: Layer
) -> tuple[np.ndarray, np.ndarray]:
    """Return E x and E x xᵀ of what the layer's neurons see: (taps · in,) and its square."""
    size = taps * x.shape[-1]
    total, product, count = np.zeros(size), np.zeros((size, size)), 0
    samples = max(1, _BLOCK // (size * x.shape[1] * x.shape[2]))
    for start in range(0, len(x), samples):
        windows = stack.windows(x[start : start + samples], taps, layer)
        seen = np.concatenate(windows, axis=-1).reshape(-1, size)
        total += seen.sum(axis=0)
        product += seen.T @ seen
        count += len(seen)
    return total / count, product / count

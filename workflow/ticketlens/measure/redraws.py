"""Networks with the weights of a ticket drawn anew from a random law: their mean q, by simulation.

A law is one function from (stack, layer) to a `WeightLaw`. Besides the draw it gives the mean of q
over one layer's draw in closed form, which takes most of the noise out of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ticketlens.checkpoint import Layer
from ticketlens.measure.propagation import HiddenStack, by_taps, kernel, mean_square, scalar_q


@dataclass(frozen=True)
class WeightLaw:
    """A random law for the weights of one layer.

    `draw(rng)` gives float32 weights (taps, in, out). `expected_q(x)` gives the mean of q over the
    law, for given inputs x of the layer: maps (samples, height, width, in).
    """

    draw: Callable[[np.random.Generator], np.ndarray]
    expected_q: Callable[[np.ndarray], float]


Law = Callable[[HiddenStack, Layer], WeightLaw]


def random_signs(stack: HiddenStack, layer: Layer) -> WeightLaw:
    """Magnitudes and zeros where they are, independent fair signs; biases stay.

    E h_i² = Σ_j w_ij² x_j² + b_i².
    """
    # Magnitudes, not weights: tickets that differ in signs alone then get the same draws.
    magnitude = np.abs(kernel(layer, np.float32))
    bits = magnitude.view(np.uint32).ravel()
    column = np.mean(kernel(layer) ** 2, axis=2, keepdims=True)
    bias = mean_square(layer.bias)

    def draw(rng: np.random.Generator) -> np.ndarray:
        octets = rng.integers(0, 256, size=-(-bits.size // 8), dtype=np.uint8)
        flipped = np.unpackbits(octets, count=bits.size).astype(np.uint32)
        flipped <<= 31  # the sign bit of a float32
        flipped |= bits
        return flipped.view(np.float32).reshape(magnitude.shape)

    def expected_q(x: np.ndarray) -> float:
        squares = np.mean(np.square(x), axis=0, keepdims=True, dtype=float)
        return float(np.mean(stack.apply(squares, column, layer))) + bias

    return WeightLaw(draw, expected_q)


def own_values(stack: HiddenStack, layer: Layer) -> WeightLaw:
    """Independent weights, each one of the layer's own values, zeros included; biases stay.

    With m the mean of these values and s their mean square,
    E h_i² = s Σ x² + m² ((Σ x)² − Σ x²) + 2 b_i m Σ x + b_i².
    """
    shape = by_taps(layer.weight).shape
    # Sorted, so that one random number means the same quantile in every ticket.
    values = np.sort(layer.weight, axis=None)
    mean, square = np.mean(values, dtype=float), mean_square(values)
    bias = layer.bias.astype(float)
    window = np.ones((shape[0], 1, 1))

    def draw(rng: np.random.Generator) -> np.ndarray:
        return values[rng.integers(0, values.size, size=shape, dtype=np.uint32)]

    def expected_q(x: np.ndarray) -> float:
        squares = np.mean(np.square(x), axis=0, keepdims=True, dtype=float)
        squares = stack.apply(squares.sum(axis=-1, keepdims=True), window, layer)
        total = stack.apply(np.sum(x, axis=-1, keepdims=True, dtype=float), window, layer)
        spread = (square - mean**2) * np.mean(squares) + mean_square(mean * total)
        return float(spread + 2 * np.mean(bias) * mean * np.mean(total) + mean_square(bias))

    return WeightLaw(draw, expected_q)


def redraw_freely(
    stack: HiddenStack,
    law: Law,
    streams: Sequence[np.random.Generator],
    redraws: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Redraw all layers and send the images through, in single precision.

    Returns mean q, its standard deviation between networks and the standard error of the mean, per
    layer: arrays (layers,). `streams` has one generator per layer.
    """
    laws = [law(stack, layer) for layer in stack.layers]
    images = stack.images.astype(np.float32)
    q, expected = np.empty((2, redraws, len(laws)))
    for draw in range(redraws):
        x = images
        for number, (layer, own) in enumerate(zip(stack.layers, laws, strict=True)):
            expected[draw, number] = own.expected_q(x)
            h = stack.apply(x, own.draw(streams[number]), layer) + layer.bias
            q[draw, number] = mean_square(h)
            x = stack.phi(h)
    mean, error = _ensemble_mean(q, expected)
    return mean, q.std(axis=0, ddof=1), error


def redraw_layerwise(
    stack: HiddenStack,
    law: Law,
    streams: Sequence[np.random.Generator],
    redraws: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Redraw the layer below on its measured inputs, rescale to its measured q, and go one up.

    The rescaling is per image (and pixel), biases included. Returns what `redraw_freely` does, with
    NaN for the standard deviation: the layer's own draw is averaged in closed form.
    """
    laws = [law(stack, layer) for layer in stack.layers]
    q, error = [laws[0].expected_q(stack.images)], [0.0]
    for (layer, x, h), (below, above), rng in zip(
        stack.walk(), pairwise(laws), streams, strict=False
    ):
        x, measured = x.astype(np.float32), scalar_q(h)
        sample = np.empty(redraws)
        for draw in range(redraws):
            own = stack.apply(x, below.draw(rng), layer) + layer.bias
            found = scalar_q(own)
            scale = np.sqrt(np.divide(measured, found, out=np.zeros_like(found), where=found > 0))
            sample[draw] = above.expected_q(stack.phi(own * scale.astype(np.float32)))
        q.append(sample.mean())
        error.append(sample.std(ddof=1) / np.sqrt(redraws))
    return np.array(q), np.full(len(q), np.nan), np.array(error)


def _ensemble_mean(q: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ensemble mean of q per layer and its standard error; arguments (redraws, layers).

    `expected` is the mean of q given the layers below: it has the mean of q and less noise. The
    noise that is left comes from the surprises q − expected of the layers below. They have mean
    zero, so a regression on them (control variates) takes their part out; estimating the slopes
    from the same redraws leaves a bias of the order of one over their number.
    """
    redraws, layers = q.shape
    surprise = q - expected
    centred = surprise - surprise.mean(axis=0)
    mean, error = expected.mean(axis=0), np.zeros(layers)
    for number in range(layers):
        used = slice(max(0, number - redraws // 5), number)  # few slopes for few redraws
        rest = expected[:, number] - mean[number]
        slopes = np.linalg.lstsq(centred[:, used], rest, rcond=None)[0]
        rest -= centred[:, used] @ slopes
        mean[number] -= surprise.mean(axis=0)[used] @ slopes
        error[number] = np.sqrt(np.sum(rest**2) / (redraws - 1 - slopes.size) / redraws)
    return mean, error

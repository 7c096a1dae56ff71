"""Networks with the weights of a ticket drawn anew from a random law: their mean q, by simulation.

A law is one function from (stack, layer) to a `WeightLaw`. Besides the draw it gives the mean of q
over one layer's draw in closed form, which takes most of the noise out of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

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
Result = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Mean q, its standard deviation between networks, standard error of the mean: (layers,) each."""


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


def redraw(
    stack: HiddenStack,
    law: Law,
    streams: Sequence[np.random.Generator],
    redraws: int,
    modes: Collection[str],
) -> dict[str, Result]:
    """Redraw the layers in each of `modes`, on the same draws: `streams` has a generator per layer.

    "free": redraw all layers and send the images through, in single precision.
    "layerwise": redraw the layer below on its measured inputs, rescale to its measured q, and go
    one up. The rescaling is per image (and pixel), biases included. The standard deviation is NaN:
    the layer's own draw is averaged in closed form.
    Both are what they are alone, bit for bit; together they take one draw of each matrix for two.
    """
    laws = [law(stack, layer) for layer in stack.layers]
    free = _Free(stack, laws, redraws) if "free" in modes else None
    layerwise = _Layerwise(stack, laws, redraws) if "layerwise" in modes else None
    images = stack.images.astype(np.float32)
    for draw in range(redraws):
        x = images
        for number, (layer, own) in enumerate(zip(stack.layers, laws, strict=True)):
            above = layerwise is not None and number + 1 < len(laws)
            if free is None and not above:
                continue
            kernel = own.draw(streams[number])
            first = stack.apply(images, kernel, layer) + layer.bias if number == 0 else None
            if layerwise is not None and above:
                layerwise.take(draw, number, kernel, first)
            if free is not None:
                x = free.take(draw, number, x, kernel, first)
    found = {"free": free, "layerwise": layerwise}
    return {mode: one.result() for mode, one in found.items() if one is not None}


class _Free:
    def __init__(self, stack: HiddenStack, laws: Sequence[WeightLaw], redraws: int) -> None:
        self.stack, self.laws = stack, laws
        self.q, self.expected = np.empty((2, redraws, len(laws)))
        # The images are the same in every draw.
        self.expected[:, 0] = laws[0].expected_q(stack.images.astype(np.float32))

    def take(
        self, draw: int, number: int, x: np.ndarray, kernel: np.ndarray, h: np.ndarray | None
    ) -> np.ndarray:
        """Send `x` through a drawn layer; `h` is its outcome where it is known."""
        layer = self.stack.layers[number]
        if number:
            self.expected[draw, number] = self.laws[number].expected_q(x)
        h = self.stack.apply(x, kernel, layer) + layer.bias if h is None else h
        self.q[draw, number] = mean_square(h)
        return self.stack.phi(h)

    def result(self) -> Result:
        mean, error = _ensemble_mean(self.q, self.expected)
        return mean, self.q.std(axis=0, ddof=1), error


class _Layerwise:
    def __init__(self, stack: HiddenStack, laws: Sequence[WeightLaw], redraws: int) -> None:
        self.stack, self.laws = stack, laws
        walked = [(x.astype(np.float32), scalar_q(h)) for _, x, h in stack.walk()]
        self.inputs, self.measured = zip(*walked, strict=True)
        self.sample = np.empty((len(laws) - 1, redraws))

    def take(self, draw: int, number: int, kernel: np.ndarray, h: np.ndarray | None) -> None:
        layer, measured = self.stack.layers[number], self.measured[number]
        if h is None:
            h = self.stack.apply(self.inputs[number], kernel, layer) + layer.bias
        found = scalar_q(h)
        scale = np.sqrt(np.divide(measured, found, out=np.zeros_like(found), where=found > 0))
        x = self.stack.phi(h * scale.astype(np.float32))
        self.sample[number, draw] = self.laws[number + 1].expected_q(x)

    def result(self) -> Result:
        redraws = self.sample.shape[1]
        q = [self.laws[0].expected_q(self.stack.images), *(own.mean() for own in self.sample)]
        error = [0.0, *(own.std(ddof=1) / np.sqrt(redraws) for own in self.sample)]
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

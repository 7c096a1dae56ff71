"""Residual networks: q and chi of their blocks, measured and in theory.

The pre-activation form: a stem h = W0 x + b0, then blocks h' = h + W2 phi(W1 phi(h) + b1) + b2. h
is the trunk, h1 = W1 phi(h) + b1 the inside of a block. As in `networks`, hidden layer 1 is the
stem, layers 2k and 2k + 1 are block k; "layer 2k" stands for h1 of block k and "layer 2k + 1" for
the trunk behind it. The form is that of He et al. 2016 (arXiv:1603.05027), the theory in the manner
of Yang and Schoenholz 2017 (arXiv:1712.08969): with independent weights

    q1 = sigma_w² E phi(√q z)² + sigma_b²,   q' = q + sigma_w² E phi(√q1 z)² + sigma_b²,
    chi_block = 1 + chi(q) chi(q1) = ‖dh'/dh‖_F²/N,

and c = 1 has the slope chi_block · q/q'. chi_block > 1 always: such a network is never critical,
and for bounded phi q grows about linearly with depth. `meanfield.residual_q_map` and
`meanfield.residual_chi` are these maps of a dense network; here they run on a given ticket.

Fully connected networks are measured here, without torch; `residual_conv` has the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np

from ticketlens import meanfield
from ticketlens.checkpoint import Layer
from ticketlens.measure import signal
from ticketlens.measure.gains import GAINS, second_moment_gain
from ticketlens.measure.propagation import hidden_stack, mean_square, scalar_q
from ticketlens.spec import NetworkSpec
from ticketlens.theory.activations import get

T = TypeVar("T")
JACOBIAN_IMAGES = 100


@dataclass(frozen=True, eq=False)
class ResidualSignal:
    """Signal propagation through a stem and B blocks, L = 1 + 2B hidden layers, on n images.

    q: (n, L) mean of h² over neurons: of the trunk, and inside the blocks.
    branch: (n, B) mean square of what each block adds to the trunk.
    chi: (m, B) ‖dh'/dh‖_F²/N of each block, identity included, on the first m images.
    pair_distance: (pairs, B + 1) 1 − c of the trunk between two images, over disjoint pairs.
    perturbation_distance: (n, B + 1) the same between an image and the image moved by `eps`.
    eps: norm of the perturbation / norm of the image.
    """

    q: np.ndarray
    branch: np.ndarray
    chi: np.ndarray
    pair_distance: np.ndarray
    perturbation_distance: np.ndarray
    eps: float

    @property
    def perturbation_slope(self) -> np.ndarray:
        """Return the slope of each block's C-map at c = 1 along each perturbation: (n, B)."""
        return signal.chord_slopes(self.perturbation_distance)


@dataclass(frozen=True, eq=False)
class Recursion:
    """What theory has for a ticket: q (L,) per hidden layer, chi (B,) per block."""

    q: np.ndarray
    chi: np.ndarray


def blocks(layers: Sequence[T]) -> list[tuple[T, T]]:
    """Return what the two layers of each block have, of a sequence over the hidden layers.

    Raises ValueError unless there are a stem and complete blocks.
    """
    if len(layers) < 3 or len(layers) % 2 == 0:
        raise ValueError(
            f"{len(layers)} hidden layers; allowed in a residual network: 3, 5, 7, … (a stem and "
            "two per block)"
        )
    return list(zip(layers[1::2], layers[2::2], strict=True))


# --- Measured ------------------------------------------------------------------------------------


def measure(
    layers: Sequence[Layer],
    activation: str,
    images: np.ndarray,
    rng: np.random.Generator,
    jacobian_images: int = JACOBIAN_IMAGES,
    eps: float = signal.EPS,
) -> ResidualSignal:
    """Measure q, c and chi of a ticket or trained network on `images` (n, …), n >= 2, in float64.

    Raises ValueError as `signal.measure`, and for layers that make no blocks.
    """
    signal.disjoint_pairs(len(images))
    h = preactivations(layers, activation, images)
    moved = preactivations(layers, activation, signal.perturbed(images, eps, rng))
    return assembled(h, moved, block_chi(layers, activation, [x[:jacobian_images] for x in h]), eps)


def assembled(
    h: Sequence[np.ndarray], moved: Sequence[np.ndarray], chi: np.ndarray, eps: float
) -> ResidualSignal:
    """Return the signal of pre-activations (samples, neurons), and of those of moved images."""
    trunk, even = h[::2], len(h[0]) // 2 * 2
    return ResidualSignal(
        q=signal.lengths(h),
        branch=signal.lengths([after - before for before, after in pairwise(trunk)]),
        chi=chi,
        pair_distance=signal.distances([x[0:even:2] for x in trunk], [x[1:even:2] for x in trunk]),
        perturbation_distance=signal.distances(trunk, moved[::2]),
        eps=eps,
    )


def preactivations(
    layers: Sequence[Layer], activation: str, images: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return h of every hidden layer, float64, (samples, neurons) each: see the module.

    Raises ValueError as `measure`.
    """
    chain = signal.dense(layers)
    phi = get(activation).phi
    found = list(signal.preactivations(chain[:1], activation, images))
    for inner, outer in blocks(chain):
        found.append(_affine(inner, phi(found[-1])))
        found.append(found[-2] + _affine(outer, phi(found[-1])))
    return tuple(found)


def block_chi(layers: Sequence[Layer], activation: str, h: Sequence[np.ndarray]) -> np.ndarray:
    """Return ‖dh'/dh‖_F²/N of each block per sample: (samples, blocks). `h`: `preactivations`.

    dh'/dh = 1 + W2 D1 W1 D0 with the slopes D0 = phi'(h), D1 = phi'(h1), so its squared norm is
    N + 2 tr(W2 D1 W1 D0) + ‖W2 D1 W1 D0‖_F². Theory has only the first and the last of these: the
    middle one vanishes for independent weights. All three are exact here.
    """
    slope = get(activation).derivative
    columns = []
    for (inner, outer), (before, inside) in zip(
        blocks(signal.dense(layers)), zip(h[:-1:2], h[1::2], strict=True), strict=True
    ):
        w1, w2 = (layer.weight.astype(np.float64) for layer in (inner, outer))
        d0, d1 = slope(before), slope(inside)
        cross = np.sum((d1 @ (w1 * w2.T)) * d0, axis=1)
        gram = w2.T @ w2
        norms = [
            one @ ((w1 * zero**2) @ w1.T * gram) @ one for zero, one in zip(d0, d1, strict=True)
        ]
        columns.append(1 + (2 * cross + np.array(norms)) / len(w2))
    return np.stack(columns, axis=1)


def _affine(layer: Layer, x: np.ndarray) -> np.ndarray:
    return cast(np.ndarray, x @ layer.weight.astype(np.float64).T + layer.bias)


# --- Theory --------------------------------------------------------------------------------------


def predict(
    reading: str, layers: Sequence[Layer], images: np.ndarray, network: NetworkSpec
) -> Recursion:
    """Return q and chi_block of a given ticket as theory has them, from the images upwards.

    `reading` says how sigma_w² of a layer is read off its weights: "naive" (the variance of the
    kept ones times fan_in, R0) or "second_moment" (‖W‖_F²/N_out, R1); sigma_b² is the mean of b².
    Image by image, in convolutions pixel by pixel, averaged at the end. Raises ValueError for an
    unknown reading, and as `propagation.hidden_stack` does.
    """
    if reading not in GAINS:
        raise ValueError(f"reading is {reading!r}; allowed: {', '.join(GAINS)}")
    gain, name = GAINS[reading], network.activation
    stack = hidden_stack(layers, images, network=network, residual=True)

    def spread(layer: Layer, maps: np.ndarray) -> np.ndarray:
        return stack.apply(maps, gain(layer)[:, None, None], layer)

    def next_q(layer: Layer, p: np.ndarray) -> np.ndarray:
        return spread(layer, p) + mean_square(layer.bias)

    trunk = next_q(stack.layers[0], scalar_q(stack.images))
    q, chi = [trunk.mean()], []
    for inner, outer in blocks(stack.layers):
        inside = next_q(inner, cast(np.ndarray, meanfield.second_moment(trunk, name)))
        through = spread(inner, cast(np.ndarray, meanfield.derivative_moment(trunk, 1, name)))
        through = spread(outer, meanfield.derivative_moment(inside, 1, name) * through)
        trunk = trunk + next_q(outer, cast(np.ndarray, meanfield.second_moment(inside, name)))
        q += [inside.mean(), trunk.mean()]
        chi.append(1 + through.mean())
    return Recursion(np.array(q), np.array(chi))


def chi_at(q: np.ndarray, layers: Sequence[Layer], activation: str) -> np.ndarray:
    """Return chi_block of a ticket at given q (…, L) per hidden layer, R1's sigma_w²: (…, B).

    With the measured q, chi_block · q/q' is what a measured slope of the C-map compares with.
    """
    gains = [second_moment_gain(layer).sum() for layer in signal.hidden(layers)]
    mu = cast(np.ndarray, meanfield.derivative_moment(q, 1, activation))
    columns = [
        1 + mu[..., 2 * block] * inner * mu[..., 2 * block + 1] * outer
        for block, (inner, outer) in enumerate(blocks(gains))
    ]
    return np.stack(columns, axis=-1)

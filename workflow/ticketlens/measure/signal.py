"""Measured signal propagation through the hidden layers: q, c and chi of a real ticket.

What `meanfield` predicts for random networks is measured here on given weights and real images, in
float64: the length q = mean over neurons of h² of the pre-activations h, the correlation c of the
pre-activations of two images, and chi, the growth of perturbations from layer to layer. The readout
is left out. Fully connected layers only; `signal_conv` has the convolutions.

The notation is that of Poole et al. 2016 (arXiv:1606.05340) and Schoenholz et al. 2017
(arXiv:1611.01232). Layers count from 1; arrays have one column per hidden layer, or per pair of
successive hidden layers, which then stands for the later one (2, 3, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer
from ticketlens.measure.layers import plain
from ticketlens.theory.activations import get

EPS = 1e-6
"""Size of a perturbation, as a share of the image's norm. Its distances 1 − c, of order 1e-12, come
out with a relative error of about 1e-10 (see `distances`), and its slopes are those of eps → 0 to
about 1e-6."""


@dataclass(frozen=True, eq=False)
class Signal:
    """Signal propagation through L hidden layers on n images.

    q: (n, L) mean of h² over neurons.
    chi: (n, L − 1) Frobenius reading of layers 2 to L (see `chi_frobenius`).
    pair_distance: (pairs, L) distance 1 − c between two images, over disjoint pairs.
    perturbation_distance: (n, L) distance between an image and the same image perturbed by `eps`.
    eps: norm of the perturbation / norm of the image.
    """

    q: np.ndarray
    chi: np.ndarray
    pair_distance: np.ndarray
    perturbation_distance: np.ndarray
    eps: float

    @property
    def pair_correlation(self) -> np.ndarray:
        """Return c = 1 − distance of each pair of images: (pairs, L)."""
        return 1 - self.pair_distance

    @property
    def pair_slope(self) -> np.ndarray:
        """Return the slope of the chord from each pair's point of the C-map to (1, 1)."""
        return chord_slopes(self.pair_distance)

    @property
    def pair_regression_slope(self) -> np.ndarray:
        """Return the slope of c of a layer against c of the layer before, over pairs: (L − 1,)."""
        return regression_slopes(self.pair_distance)

    @property
    def perturbation_slope(self) -> np.ndarray:
        """Return the slope of the C-map at c = 1 along each perturbation: (n, L − 1).

        In a wide random network it is chi(q) q/V(q), which is chi at the fixed point q* only.
        """
        return chord_slopes(self.perturbation_distance)


def measure(
    layers: Sequence[Layer],
    activation: str,
    images: np.ndarray,
    rng: np.random.Generator,
    eps: float = EPS,
    apply_mask: bool = False,
) -> Signal:
    """Measure q, c and chi of a ticket or trained network on `images` (n, …), n >= 2.

    `layers` may be a torch module; weights off the mask that are not zero are refused, or dropped
    with `apply_mask` (see `measure.layers`). Raises ValueError for convolutions, for images of
    another size than the first layer's, for an unknown activation and for fewer than two images.
    """
    layers = plain(layers, apply_mask)
    h = preactivations(layers, activation, images)
    first, second = disjoint_pairs(len(images)).T
    moved = preactivations(layers, activation, perturbed(images, eps, rng))
    return Signal(
        q=lengths(h),
        chi=chi_frobenius(layers, activation, h),
        pair_distance=distances([x[first] for x in h], [x[second] for x in h]),
        perturbation_distance=distances(h, moved),
        eps=eps,
    )


# --- forward pass --------------------------------------------------------------------------------


def hidden(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the hidden layers, all but the readout, as `measure.layers.plain` takes them.

    Raises ValueError if there are none, or if weights off the mask are not zero.
    """
    found = tuple(layer for layer in plain(layers) if layer.name != READOUT)
    if not found:
        raise ValueError("the network has no hidden layers, and signals are measured on these")
    return found


def dense(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the hidden layers. Raises ValueError, naming it, if one is not fully connected."""
    found = hidden(layers)
    for layer in found:
        if layer.kind != "linear":
            raise ValueError(
                f"layer {layer.name} is of kind {layer.kind!r}; allowed here: 'linear' "
                "(ticketlens.measure.conv.signal measures convolutions)"
            )
    return found


def preactivations(
    layers: Sequence[Layer], activation: str, images: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return h of every hidden layer, float64, (samples, neurons) each.

    `images` (samples, channels, height, width) or (samples, features) are flattened channel-first.
    Raises ValueError as `measure`.
    """
    phi = get(activation).phi
    chain = dense(layers)
    x = np.asarray(images, dtype=np.float64).reshape(len(images), -1)
    if x.shape[1] != chain[0].mask.shape[1]:
        raise ValueError(
            f"images have {x.shape[1]} values each, layer {chain[0].name} takes "
            f"{chain[0].mask.shape[1]}"
        )
    found = []
    for layer in chain:
        found.append(x @ layer.weight.astype(np.float64).T + layer.bias)
        x = phi(found[-1])
    return tuple(found)


def perturbed(images: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
    """Return images moved by eps·‖image‖ each, in a direction uniform on the sphere, in float64.

    Raises ValueError unless eps > 0.
    """
    if not eps > 0:
        raise ValueError(f"eps is {eps}; allowed: numbers > 0")
    x = np.asarray(images, dtype=np.float64)
    axes = tuple(range(1, x.ndim))
    direction = rng.standard_normal(x.shape)
    scale = np.sqrt((x**2).sum(axes, keepdims=True) / (direction**2).sum(axes, keepdims=True))
    return cast(np.ndarray, x + eps * scale * direction)


# --- q and c -------------------------------------------------------------------------------------


def lengths(h: Sequence[np.ndarray]) -> np.ndarray:
    """Return q, the mean of h² over neurons, per sample and layer: (samples, layers)."""
    return np.stack([np.mean(x**2, axis=1) for x in h], axis=1)


def disjoint_pairs(samples: int) -> np.ndarray:
    """Return the pairs (0, 1), (2, 3), …: (samples // 2, 2). The images are in random order.

    Disjoint, so that the pairs are independent. Raises ValueError for fewer than two samples.
    """
    if samples < 2:
        raise ValueError(f"{samples} images make no pair; at least 2 are needed")
    return np.arange(samples // 2 * 2).reshape(-1, 2)


def distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Return 1 − c, where c = h·h'/(‖h‖ ‖h'‖), per pair and layer: (pairs, layers).

    It is half the squared distance of the normalised vectors, computed as that, because 1 − c would
    lose all digits to cancellation for close inputs. NaN where a vector is zero.
    """
    columns = []
    for one, two in zip(first, second, strict=True):
        norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in (one, two)]
        norms = [np.where(norm == 0, np.nan, norm) for norm in norms]
        columns.append(np.sum((one / norms[0] - two / norms[1]) ** 2, axis=1) / 2)
    return np.stack(columns, axis=1)


def chord_slopes(distance: np.ndarray) -> np.ndarray:
    """Return (1 − c of a layer)/(1 − c of the layer before): (pairs, layers − 1).

    It is the slope of the straight line from a measured point of the C-map to its fixed point
    (1, 1). NaN where two inputs coincide.
    """
    before = distance[:, :-1]
    return distance[:, 1:] / np.where(before == 0, np.nan, before)


def regression_slopes(distance: np.ndarray) -> np.ndarray:
    """Return the least-squares slope of c of a layer against c of the layer before: (layers − 1,).

    It is the slope of the C-map where the pairs of real images are. NaN where c does not vary.
    """
    centred = distance - distance.mean(axis=0)
    spread = np.sum(centred[:, :-1] ** 2, axis=0)
    constant = (distance[:, :-1] == distance[0, :-1]).all(axis=0)
    spread = np.where(constant, np.nan, spread)
    return cast(np.ndarray, np.sum(centred[:, :-1] * centred[:, 1:], axis=0) / spread)


# --- chi -----------------------------------------------------------------------------------------


def chi_frobenius(layers: Sequence[Layer], activation: str, h: Sequence[np.ndarray]) -> np.ndarray:
    """Return chi_l = (1/N_l) Σ_ij w_ij² phi'(h_j^{l−1})² per sample, l = 2 … L: (samples, L − 1).

    It is the mean squared singular value ‖dh^l/dh^{l−1}‖_F²/N_l of one layer's Jacobian, that is
    chi(q) in a wide random network. `h` is what `preactivations` returns.
    """
    slope = get(activation).derivative
    columns = [
        slope(before) ** 2 @ (layer.weight.astype(np.float64) ** 2).sum(axis=0) / len(layer.weight)
        for layer, before in zip(dense(layers)[1:], h[:-1], strict=True)
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(h[0]), 0))

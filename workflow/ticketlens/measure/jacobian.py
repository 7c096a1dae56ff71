"""Jacobians of real tickets: spectra, dynamical isometry, and structural zeros.

J = dh^L/dh^1 = W_L D_{L−1} … W_2 D_1 with D_l = diag phi'(h^l), hidden to hidden, per image; s are
its singular values (Pennington, Schoenholz, Ganguli 2017, arXiv:1711.04735). Everything runs in
float64 on fully connected layers; `measure.conv.signal` has the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csgraph, csr_array

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer
from ticketlens.measure import signal
from ticketlens.measure.layers import plain
from ticketlens.measure.product_svd import singular_values as product_singular_values
from ticketlens.theory.activations import get

PROBES = 8
CHUNK = 32  # images whose Jacobians are in memory at once


# --- Jacobians and their spectra -----------------------------------------------------------------


def hidden_jacobians(
    layers: Sequence[Layer], activation: str, h: Sequence[np.ndarray]
) -> np.ndarray:
    """Return dh^L/dh^1 per image: (samples, N_L, N_1). `h` comes from `signal.preactivations`."""
    chain = signal.dense(layers)
    samples, width = h[0].shape
    identity = np.broadcast_to(np.eye(width), (samples, width, width))
    return _pushed(chain, activation, h, identity).transpose(0, 2, 1)


def logit_jacobians(
    layers: Sequence[Layer], activation: str, h: Sequence[np.ndarray]
) -> np.ndarray:
    """Return dlogits/dx per image: (samples, classes, pixels).

    Pulled back from the logits, because there are fewer of them. Raises ValueError without readout.
    """
    chain = signal.dense(layers)
    readout = [layer for layer in layers if layer.name == READOUT]
    if len(readout) != 1:
        raise ValueError(f"the network has {len(readout)} layers named {READOUT!r}; allowed: 1")
    slope = get(activation).derivative
    pulled = np.broadcast_to(
        readout[0].weight.astype(np.float64), (len(h[0]), *readout[0].weight.shape)
    )
    for layer, x in zip(chain[::-1], h[::-1], strict=True):
        pulled = (pulled * slope(x)[:, None, :]) @ layer.weight.astype(np.float64)
    return pulled


def _pushed(
    chain: Sequence[Layer], activation: str, h: Sequence[np.ndarray], vectors: np.ndarray
) -> np.ndarray:
    """Return J v for the rows v of `vectors` (samples, vectors, N_1): (samples, vectors, N_L).

    One plain matrix product per layer for all samples is twice as fast as stacked small ones.
    """
    slope = get(activation).derivative
    samples, count, _ = vectors.shape
    for layer, before in zip(chain[1:], h[:-1], strict=True):
        scaled = (vectors * slope(before)[:, None, :]).reshape(samples * count, -1)
        vectors = (scaled @ layer.weight.astype(np.float64).T).reshape(samples, count, -1)
    return vectors


@dataclass(frozen=True, eq=False)
class SpectrumStatistics:
    """Statistics of N singular values s per image: arrays (samples,).

    mean_square: E s² = ‖J‖_F²/N.
    relative_variance: Var s²/(E s²)².
    largest: max s.
    log_mean, log_std: of ln s over the values that nothing forces to be zero; NaN if none are left.
    nullity: structural zeros among the N, which the masks force, the same for all images.
    inactive: further zeros, forced by neurons with phi' = 0 (ReLU, hard tanh).
    """

    mean_square: np.ndarray
    relative_variance: np.ndarray
    largest: np.ndarray
    log_mean: np.ndarray
    log_std: np.ndarray
    nullity: int
    inactive: np.ndarray

    @property
    def log_mean_square(self) -> np.ndarray:
        """Return ln(‖J‖_F²/N) per image; −inf for a disconnected network."""
        with np.errstate(divide="ignore"):
            return cast(np.ndarray, np.log(self.mean_square))


def hidden_spectrum(
    layers: Sequence[Layer], activation: str, images: np.ndarray
) -> tuple[np.ndarray, SpectrumStatistics]:
    """Return the singular values of dh^L/dh^1 on each image (samples, N), and their statistics.

    They are computed from the factors, so that the small ones are accurate too (`product_svd`).
    Raises ValueError for a network with a single hidden layer.
    """
    chain = signal.dense(layers)[1:]
    if not chain:
        raise ValueError("dh^L/dh^1 needs at least two hidden layers; the network has one")
    h = signal.preactivations(layers, activation, images)
    slopes = [get(activation).derivative(x) for x in h[:-1]]
    matrices = [layer.weight.astype(np.float64) for layer in chain]
    s = np.stack(
        [
            product_singular_values(
                [matrix * slope for matrix, slope in zip(matrices, at_image, strict=True)]
            )
            for at_image in zip(*slopes, strict=True)
        ]
    )
    return s, spectrum_statistics(s, *_forced_zeros([layer.mask for layer in chain], slopes))


def logit_spectrum(
    layers: Sequence[Layer], activation: str, images: np.ndarray
) -> tuple[np.ndarray, SpectrumStatistics]:
    """Return the singular values of dlogits/dx on each image (samples, N), and their statistics."""
    layers = plain(layers)
    h = signal.preactivations(layers, activation, images)
    s = np.linalg.svd(logit_jacobians(layers, activation, h), compute_uv=False)
    slopes = [np.ones((len(s), layers[0].mask.shape[1]))]
    slopes += [get(activation).derivative(x) for x in h]
    return s, spectrum_statistics(s, *_forced_zeros([layer.mask for layer in layers], slopes))


def spectrum_statistics(
    s: np.ndarray, nullity: int = 0, inactive: np.ndarray | int = 0
) -> SpectrumStatistics:
    """Return the statistics of singular values `s` (samples, N), in descending order.

    `nullity` of them are structural zeros, and `inactive` (samples,) further ones zeros.
    Raises ValueError unless they are counts of N at most in sum.
    """
    samples, n = s.shape
    inactive = np.broadcast_to(inactive, samples)
    if nullity < 0 or (inactive < 0).any() or (nullity + inactive > n).any():
        raise ValueError(f"nullity {nullity} and inactive {inactive}; allowed: 0 to {n} in sum")
    free = [s[i, : n - nullity - inactive[i]] for i in range(samples)]
    logs = [np.log(values) if values.size else np.array([np.nan]) for values in free]
    mean_square = np.mean(s**2, axis=1)
    return SpectrumStatistics(
        mean_square=mean_square,
        relative_variance=np.var(s**2, axis=1)
        / np.where(mean_square == 0, np.nan, mean_square) ** 2,
        largest=s.max(axis=1),
        log_mean=np.array([values.mean() for values in logs]),
        log_std=np.array([values.std() for values in logs]),
        nullity=nullity,
        inactive=inactive,
    )


# --- structural zeros ----------------------------------------------------------------------------


def structural_nullity(masks: Sequence[np.ndarray]) -> int:
    """Return the singular values of a product of matrices that the masks force to be zero.

    `masks` (out, in) in forward order; for dh^L/dh^1 those of the hidden layers 2 to L. The rank of
    the product is at most the maximum number of vertex-disjoint paths through the masks, and equals
    it for all weights but a set of measure zero. The nullity is min(N_1, N_L) less that number,
    found as a maximum flow with unit capacity per neuron. Slopes phi' are taken as nonzero.

    Where every mask can match all its rows, or all its columns, each with one of its own, these
    matchings are the paths, and no flow has to be found.
    """
    if not masks:
        return 0
    widths = [masks[0].shape[1], *[len(mask) for mask in masks]]
    if widths == sorted(widths)[::-1] or widths == sorted(widths):
        matched = (mask if len(mask) <= mask.shape[1] else mask.T for mask in masks)
        if all(_matches_all_rows(mask) for mask in matched):
            return 0
    # Each neuron is an edge from its entrance to its exit, so that one path at most can use it.
    # Node 0 is the source; layer by layer, the entrances and then the exits follow.
    starts = 1 + 2 * np.concatenate([[0], np.cumsum(widths)])
    sink = int(starts[-1])
    entrances = [start + np.arange(n) for start, n in zip(starts, widths, strict=False)]
    exits = [nodes + n for nodes, n in zip(entrances, widths, strict=True)]
    tails = [np.zeros_like(entrances[0]), *entrances, exits[-1]]
    heads = [entrances[0], *exits, np.full_like(exits[-1], sink)]
    for mask, before, after in zip(masks, exits, entrances[1:], strict=False):
        rows, columns = np.nonzero(mask)
        tails.append(before[columns])
        heads.append(after[rows])
    tail, head = (np.concatenate(nodes).astype(np.int32) for nodes in (tails, heads))
    graph = csr_array((np.ones(len(tail), dtype=np.int32), (tail, head)), shape=[sink + 1] * 2)
    return cast(
        int, min(widths[0], widths[-1]) - int(csgraph.maximum_flow(graph, 0, sink).flow_value)
    )


def _matches_all_rows(mask: npt.NDArray[np.bool_]) -> bool:
    """Whether a matching gives each row of `mask` (rows <= columns) a column of its own."""
    if mask.all():
        return True
    if not mask.any(axis=1).all():
        return False
    # A third of the time that csr_array(mask) takes: rows in order need no sorting.
    columns = (np.flatnonzero(mask) % mask.shape[1]).astype(np.int32)
    ends = np.cumsum(np.count_nonzero(mask, axis=1), dtype=np.int32)
    graph = csr_array(
        (np.ones(len(columns), np.int8), columns, np.concatenate([ends[:1] * 0, ends])), mask.shape
    )
    found = csgraph.maximum_bipartite_matching(graph, perm_type="column")
    return bool((found >= 0).all())


def _forced_zeros(
    masks: Sequence[np.ndarray], slopes: Sequence[np.ndarray]
) -> tuple[int, np.ndarray]:
    """Return the structural nullity, and per image the further zeros where slopes vanish.

    `slopes` (samples, in) of the neurons that feed each mask.
    """
    nullity = structural_nullity(masks)
    inactive = np.zeros(len(slopes[0]), dtype=int)
    for i in np.flatnonzero([any((x[i] == 0).any() for x in slopes) for i in range(len(inactive))]):
        alive = [mask & (x[i] != 0) for mask, x in zip(masks, slopes, strict=True)]
        inactive[i] = structural_nullity(alive) - nullity
    return nullity, inactive


# --- isometry on many images ---------------------------------------------------------------------


def squared_frobenius(
    layers: Sequence[Layer],
    activation: str,
    h: Sequence[np.ndarray],
    rng: np.random.Generator,
    probes: int | None = PROBES,
) -> np.ndarray:
    """Return ‖dh^L/dh^1‖_F² per image: (samples,), estimated from `probes` random vectors each.

    Hutchinson's estimator: the mean of ‖J v‖² over vectors v of random signs is unbiased; its
    error per image is about √(2 (1 + Var s²/(E s²)²)/(N probes)). With probes=None the exact value
    from the full product, at N/probes times the cost. Raises ValueError for probes < 1.
    """
    chain = signal.dense(layers)
    if probes is None:
        chunks = [slice(i, i + CHUNK) for i in range(0, len(h[0]), CHUNK)]
        return np.concatenate(
            [
                np.sum(hidden_jacobians(layers, activation, [x[chunk] for x in h]) ** 2, (1, 2))
                for chunk in chunks
            ]
        )
    if probes < 1:
        raise ValueError(f"probes is {probes}; allowed: integers >= 1, or None")
    signs = rng.integers(0, 2, size=(len(h[0]), probes, len(chain[0].mask)), dtype=np.int8)
    pushed = _pushed(chain, activation, h, 2.0 * signs - 1.0)
    return cast(np.ndarray, np.sum(pushed**2, axis=(1, 2)) / probes)


@dataclass(frozen=True, eq=False)
class Isometry:
    """End-to-end against layer-wise growth of perturbations, on n images.

    frobenius: (n,) ‖dh^L/dh^1‖_F²/N_L per image (exact or estimated).
    chi: (n, L − 1) `signal.chi_frobenius`.
    q: (n, L) mean of h² over neurons.
    """

    frobenius: np.ndarray
    chi: np.ndarray
    q: np.ndarray

    @property
    def log_frobenius(self) -> float:
        """Return ln of the mean over images of ‖J‖_F²/N; −inf for a disconnected network."""
        return _log(self.frobenius.mean())

    @property
    def log_chi_sum(self) -> float:
        """Return Σ_l ln chi_l, chi_l being means over images."""
        return float(sum(_log(chi) for chi in self.chi.mean(axis=0)))

    @property
    def excess(self) -> float:
        """Return ln(‖J‖_F²/N) − Σ_l ln chi_l.

        Zero where layers act independently. Unlike ln(‖J‖_F²/N) alone it does not move with q. NaN
        for a disconnected network.
        """
        if not np.isfinite(self.log_frobenius):
            return float("nan")
        return self.log_frobenius - self.log_chi_sum

    @property
    def log_frobenius_error(self) -> float:
        """Return the standard error of `log_frobenius`, from the spread over images.

        It covers the choice of images and the random vectors. NaN with fewer than two images.
        """
        n, mean = len(self.frobenius), self.frobenius.mean()
        if n < 2 or mean == 0:
            return float("nan")
        return float(self.frobenius.std(ddof=1) / np.sqrt(n) / mean)


def isometry(
    layers: Sequence[Layer],
    activation: str,
    images: np.ndarray,
    rng: np.random.Generator,
    probes: int | None = PROBES,
) -> Isometry:
    """Measure ‖J‖_F²/N, chi and q on `images` (n, …). Raises ValueError as `signal.measure`."""
    h = signal.preactivations(layers, activation, images)
    return Isometry(
        frobenius=squared_frobenius(layers, activation, h, rng, probes) / h[-1].shape[1],
        chi=signal.chi_frobenius(layers, activation, h),
        q=signal.lengths(h),
    )


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else -np.inf

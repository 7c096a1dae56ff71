"""Measured signal propagation and Jacobians of convolutional networks, with torch.

The same quantities as `signal` and `jacobian`, where a layer's neurons are its channels at all
pixels: q and c are means and correlations over channels and pixels together. The full Jacobian
dh^L/dh^1 is too large to form: its Frobenius norm is estimated from random vectors, its leading
singular values come from Lanczos' method. The readout is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import cast

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor

from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import signal
from ticketlens.measure.layers import plain
from ticketlens.networks import Convolutional, build
from ticketlens.spec import Spec
from ticketlens.theory.activations import get

BATCH = 8  # images in memory at once: 8 MiB each in the study's network
PROBES = 16


# --- forward pass --------------------------------------------------------------------------------


def network(
    layers: Sequence[Layer], spec: Spec, dtype: torch.dtype = torch.float64
) -> Convolutional:
    """Return the network of `layers` for measurements. Raises ValueError for another family."""
    layers = plain(layers)
    signal.hidden(layers)
    model = build(Checkpoint("ticket", "", 0, 0, "", spec, layers), masked=False)
    if type(model) is not Convolutional:  # a subclass has skips
        raise ValueError(
            f"network family is {spec.network.family!r}; allowed here: 'convolutional' "
            "(ticketlens.measure.signal and ticketlens.measure.jacobian measure fully connected "
            "networks, ticketlens.measure.conv.residual residual ones)"
        )
    return model.to(dtype).requires_grad_(False)


def preactivations(model: Convolutional, images: np.ndarray) -> list[Tensor]:
    """Return h of every hidden layer, (samples, channels, height, width) each."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(
        cast(Tensor, model.layers[0].weight).dtype
    )
    return model.preactivations(x)


def measure(
    layers: Sequence[Layer],
    spec: Spec,
    images: np.ndarray,
    rng: np.random.Generator,
    eps: float = signal.EPS,
    apply_mask: bool = False,
) -> signal.Signal:
    """Measure q, c and chi on `images` (n, channels, height, width), n >= 2, in float64.

    `layers` and `apply_mask` as in `measure.signal.measure`.
    Raises ValueError for another family than convolutional and for fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} images make no pair; at least 2 are needed")
    model = network(plain(layers, apply_mask), spec)
    moved = signal.perturbed(images, eps, rng)
    q, chi, pairs, perturbations = [], [], [], []
    for i in range(0, len(images), BATCH):  # an even number, so that pairs stay together
        h = preactivations(model, images[i : i + BATCH])
        flat = _flat(h)
        even = len(flat[0]) // 2 * 2
        q.append(signal.lengths(flat))
        chi.append(chi_frobenius(model, spec, h))
        pairs.append(signal.distances([x[0:even:2] for x in flat], [x[1:even:2] for x in flat]))
        perturbations.append(
            signal.distances(flat, _flat(preactivations(model, moved[i : i + BATCH])))
        )
    return signal.Signal(
        q=np.concatenate(q),
        chi=np.concatenate(chi),
        pair_distance=np.concatenate(pairs),
        perturbation_distance=np.concatenate(perturbations),
        eps=eps,
    )


def chi_frobenius(model: Convolutional, spec: Spec, h: Sequence[Tensor]) -> np.ndarray:
    """Return ‖dh^l/dh^{l−1}‖_F²/N_l per sample, l = 2 … L: (samples, L − 1).

    N_l counts channels × pixels. An entry of the Jacobian is one weight times one slope, so the sum
    of their squares is the convolution of phi'(h)² with the squared kernels, summed over outputs.
    NaN where circular padding wraps a kernel around a smaller map, and entries are sums of weights.
    """
    columns = []
    for layer, (before, after) in zip(
        cast(Iterable[torch.nn.Conv2d], model.layers[1:-1]), pairwise(h), strict=True
    ):
        chi = (
            _summed_squares(layer, _slope(before, spec) ** 2).sum(dim=(1, 2, 3)) / after[0].numel()
        )
        wraps = layer.padding_mode == "circular" and max(layer.kernel_size) > min(before.shape[2:])
        columns.append(torch.full_like(chi, torch.nan) if wraps else chi)
    return torch.stack(columns, 1).numpy() if columns else np.empty((len(h[0]), 0))


def _summed_squares(layer: torch.nn.Conv2d, x: Tensor) -> Tensor:
    """Apply the layer's kernels, squared and summed over output channels, without bias."""
    summed = torch.nn.utils.skip_init(
        torch.nn.Conv2d,
        layer.in_channels,
        1,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        padding_mode=layer.padding_mode,
        bias=False,
        dtype=x.dtype,
    ).requires_grad_(False)
    summed.weight.copy_((layer.weight**2).sum(dim=0, keepdim=True))
    return cast(Tensor, summed(x))


def _slope(h: Tensor, spec: Spec) -> Tensor:
    return torch.from_numpy(np.asarray(get(spec.network.activation).derivative(h.numpy())))


def _flat(h: Sequence[Tensor]) -> list[np.ndarray]:
    return [x.flatten(1).numpy() for x in h]


# --- Jacobian ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ConvJacobian:
    """dh^L/dh^1 at a batch of images, as a linear map. Arrays have the shapes of h^1 and h^L."""

    layers: Sequence[torch.nn.Module]
    slopes: Sequence[Tensor]
    output_shape: tuple[int, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return (channels, height, width) of h^1."""
        return tuple(self.slopes[0].shape[1:])

    def push(self, vectors: Tensor) -> Tensor:
        """Return J v for `vectors` (samples, channels, height, width) of h^1."""
        for layer, slope in zip(self.layers, self.slopes, strict=True):
            vectors = layer(slope * vectors)
        return vectors

    def transpose(self) -> Callable[[Tensor], Tensor]:
        """Return the map u → Jᵀ u, from vectors (samples, channels, height, width) of h^L.

        `samples` is the number of images. The map is linear: its transpose at 0 serves everywhere,
        and one forward pass serves all calls.
        """
        at = torch.zeros_like(self.slopes[0], requires_grad=True)
        pushed = self.push(at)
        return lambda u: torch.autograd.grad(pushed, at, u, retain_graph=True)[0]


def jacobian(layers: Sequence[Layer], spec: Spec, images: np.ndarray) -> ConvJacobian:
    """Return dh^L/dh^1 at `images`, in float64. Raises ValueError for a single hidden layer."""
    model = network(layers, spec)
    h = preactivations(model, images)
    if len(h) < 2:
        raise ValueError("dh^L/dh^1 needs at least two hidden layers; the network has one")
    for layer in model.layers:
        cast(torch.nn.Conv2d, layer).bias = None
    return ConvJacobian(
        list(model.layers[1:-1]), [_slope(x, spec) for x in h[:-1]], tuple(h[-1].shape[1:])
    )


@dataclass(frozen=True, eq=False)
class FrobeniusEstimate:
    """‖J‖_F²/N_L per image (samples,), N_L = channels × pixels, with its standard error.

    The error is that of the random vectors alone, at the given image; NaN with a single one.
    """

    mean: np.ndarray
    standard_error: np.ndarray

    @property
    def log_frobenius(self) -> float:
        """Return ln of the mean over images; −inf for a disconnected network."""
        mean = self.mean.mean()
        return float(np.log(mean)) if mean > 0 else -np.inf

    @property
    def log_frobenius_error(self) -> float:
        """Return the standard error of `log_frobenius` that the random vectors cause."""
        mean = self.mean.mean()
        error = np.sqrt(np.mean(self.standard_error**2) / len(self.mean))
        return float(error / mean) if mean > 0 else float("nan")


def squared_frobenius(
    layers: Sequence[Layer],
    spec: Spec,
    images: np.ndarray,
    rng: np.random.Generator,
    probes: int = PROBES,
) -> FrobeniusEstimate:
    """Estimate ‖dh^L/dh^1‖_F²/N_L at each image from `probes` random vectors (Hutchinson 1990).

    The mean of ‖J v‖² over vectors v of random signs is unbiased. The default, on 4 images, takes
    64 products. Raises ValueError for probes < 1.
    """
    if probes < 1:
        raise ValueError(f"probes is {probes}; allowed: integers >= 1")
    means, errors = [], []
    for image in images:
        linear = jacobian(layers, spec, image[None])
        found = []
        for i in range(0, probes, BATCH):
            count = min(BATCH, probes - i)
            signs = rng.integers(0, 2, size=(count, *linear.input_shape), dtype=np.int8)
            pushed = linear.push(torch.from_numpy(2.0 * signs - 1.0))
            found.append((pushed**2).sum(dim=(1, 2, 3)).numpy() / prod(linear.output_shape))
        values = np.concatenate(found)
        means.append(values.mean())
        errors.append(values.std(ddof=1) / np.sqrt(probes) if probes > 1 else np.nan)
    return FrobeniusEstimate(np.array(means), np.array(errors))


def leading_singular_values(
    layers: Sequence[Layer],
    spec: Spec,
    image: np.ndarray,
    rng: np.random.Generator,
    count: int = 5,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Return the `count` largest singular values of dh^L/dh^1 at one image, descending.

    Lanczos' method as in ARPACK on JᵀJ, from a random start; `tolerance` bounds the relative error
    of s². `image` is (channels, height, width). Raises ValueError unless 0 < count < min(N_1, N_L).
    """
    linear = jacobian(layers, spec, image[None])
    transpose = linear.transpose()
    shape = (prod(linear.output_shape), prod(linear.input_shape))
    if not 0 < count < min(shape):
        raise ValueError(f"count is {count}; allowed: 1 to {min(shape) - 1}")

    def push(vector: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(np.ascontiguousarray(vector)).reshape(1, *linear.input_shape)
        return linear.push(v).numpy().ravel()

    def pull(vector: np.ndarray) -> np.ndarray:
        u = torch.from_numpy(np.ascontiguousarray(vector)).reshape(1, *linear.output_shape)
        return transpose(u).numpy().ravel()

    operator = LinearOperator(shape, matvec=push, rmatvec=pull, dtype=np.float64)
    start = rng.standard_normal(min(shape))
    values = svds(operator, k=count, v0=start, tol=tolerance, return_singular_vectors=False)
    return np.sort(values)[::-1]

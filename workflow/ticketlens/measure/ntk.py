"""The empirical neural tangent kernel of a masked network, over its kept weights.

K_ij = Σ_c Σ_(kept weights w) dy_c(x_i)/dw · dy_c(x_j)/dw, summed over the logits c (Jacot, Gabriel,
Hongler 2018, arXiv:1806.07572). Pruned weights do not train and are left out; biases, which are
never pruned, too. Fully connected layers, float64.

For one neuron a of a layer with inputs x and kept inputs M_a the sum over its weights is
(Σ_c δ_ica δ_jca) · (x_i · x_j over M_a), δ = dlogits/dh: no gradient of a weight is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Layer
from ticketlens.measure import signal
from ticketlens.measure.gradients import Floats, check_labels, one_readout, times
from ticketlens.theory.activations import get


def kernel(
    layers: Sequence[Layer],
    activation: str,
    images: npt.NDArray[np.floating],
    biases: bool = False,
) -> Floats:
    """Return K on `images`: (n, n), over the kept weights, and with `biases` over these as well.

    Raises ValueError as `signal.measure`, and for a network without readout.
    """
    chain, readout = signal.dense(layers), one_readout(layers)
    h = signal.preactivations(layers, activation, images)
    phi, slope = get(activation).phi, get(activation).derivative
    inputs = [np.asarray(images, dtype=np.float64).reshape(len(images), -1), *map(phi, h)]
    weight = readout.weight.astype(np.float64)
    logits = np.broadcast_to(np.eye(len(weight)), (len(images), len(weight), len(weight)))
    total = _of_layer(readout.mask, logits, inputs[-1], biases)
    pulled = np.broadcast_to(weight, (len(images), *weight.shape))
    for number in reversed(range(len(chain))):
        delta = pulled * slope(h[number])[:, None, :]
        total += _of_layer(chain[number].mask, delta, inputs[number], biases)
        if number:  # the pixels' own gradients are in no kernel
            pulled = times(delta, chain[number].weight.astype(np.float64))
    return (total + total.T) / 2


def _of_layer(mask: npt.NDArray[np.bool_], delta: Floats, inputs: Floats, biases: bool) -> Floats:
    """Return a layer's share of K; `delta` (samples, classes, out), `inputs` (samples, in)."""
    if mask.all():  # all neurons share one Gram matrix of inputs
        flat = delta.reshape(len(delta), -1)
        return (flat @ flat.T) * (inputs @ inputs.T + biases)
    total = np.zeros((len(inputs), len(inputs)))
    by_neuron = np.ascontiguousarray(delta.transpose(2, 0, 1))
    by_input = np.ascontiguousarray(inputs.T)
    everything = inputs @ inputs.T
    for kept, own in zip(mask, by_neuron, strict=True):
        few = 2 * np.count_nonzero(kept) <= kept.size  # the fewer ones are summed, kept or not
        seen = by_input[kept if few else ~kept]
        gram = seen.T @ seen if few else everything - seen.T @ seen
        total += (own @ own.T) * (gram + biases)
    return total


@dataclass(frozen=True, eq=False)
class KernelStatistics:
    """A kernel in numbers.

    trace: tr K/n, the mean squared gradient of the logits in the weights.
    effective_rank: (tr K)²/tr K² of the centred kernel.
    alignment: cosine between the centred kernel and the centred kernel of the labels.
    eigenvalues: of the centred kernel, descending, (n,).
    """

    trace: float
    effective_rank: float
    alignment: float
    eigenvalues: Floats

    @property
    def log_trace(self) -> float:
        """Return ln(tr K/n); −inf for a disconnected network."""
        return float(np.log(self.trace)) if self.trace > 0 else -np.inf


def statistics(matrix: Floats, labels: npt.NDArray[np.integer]) -> KernelStatistics:
    """Return a kernel's statistics. Centred is H K H with H = I − 11ᵀ/n.

    Effective rank and alignment are NaN where the centred kernel vanishes (a disconnected network),
    and the alignment where all images are of one class. Raises ValueError for labels that do not
    fit.
    """
    check_labels(labels, len(matrix), int(np.max(labels)) + 1)
    own = centred(matrix)
    same = centred((np.asarray(labels)[:, None] == np.asarray(labels)[None, :]).astype(np.float64))
    square, norm = float(np.sum(own**2)), float(np.sqrt(np.sum(own**2) * np.sum(same**2)))
    return KernelStatistics(
        trace=float(np.trace(matrix) / len(matrix)),
        effective_rank=float(np.trace(own) ** 2 / square) if square > 0 else np.nan,
        alignment=float(np.sum(own * same) / norm) if norm > 0 else np.nan,
        eigenvalues=np.maximum(np.linalg.eigvalsh(own)[::-1], 0.0),
    )


def centred(matrix: Floats) -> Floats:
    """Return H K H, H = I − 11ᵀ/n: what is left of a kernel when means are taken out."""
    rows = matrix - matrix.mean(axis=0, keepdims=True)
    found: Floats = rows - rows.mean(axis=1, keepdims=True)
    return found


def balanced(labels: npt.NDArray[np.integer], per_class: int) -> npt.NDArray[np.intp]:
    """Return the indices of the first `per_class` images of every class, in the order of the file.

    Raises ValueError if a class has fewer.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if (counts < per_class).any():
        short = int(classes[np.argmin(counts)])
        raise ValueError(
            f"class {short} has {counts.min()} images; needed: {per_class} of every class"
        )
    chosen = [np.flatnonzero(labels == label)[:per_class] for label in classes]
    return np.sort(np.concatenate(chosen))

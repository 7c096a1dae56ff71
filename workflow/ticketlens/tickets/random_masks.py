"""Randomised masks: what a ticket's graph keeps, and what chance takes away.

Each is one function (layers, rng) -> masks; arms (`arm_masks`) and nulls (`jacobian`) use them.
Only `mask` and `name` of a layer are read, so that layers of a mask file will do. A convolution
(out, in, k, k) is read as the matrix (out, in·k²): its in-degree is that of an output channel, its
out-degree that of an input channel at one position of the kernel.

Each source draws uniformly among the masks that keep what it claims and are not the source's own;
it checks both and raises InvariantError otherwise. A layer of which there is only one such mask (a
full one, for instance) is left alone; if all layers are like that the source raises NotApplicable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer
from ticketlens.tickets.pruning import InvariantError

ATTEMPTS = 64
"""Draws until one differs from the source. Chance gives the same mask 64 times with probability
2^-64 at most, where there are only two masks to draw from."""

_BLOCK = 1 << 15  # keys at a time, 256 kB: they stay in a core's second-level cache


_NOTHING_TO_DRAW = (
    "{source} does not apply: in every layer the ticket's mask is the only one with its counts "
    "(a dense network has nothing to shuffle); use a round above 0"
)


class NotApplicable(ValueError):
    """The arm or null does not exist for this ticket; the message says why."""


def shuffle_layer(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Random masks with the same number of kept weights per layer.

    Raises NotApplicable if every layer is full or empty.
    """
    return _randomise("shuffle_layer", layers, rng, _permuted, _total, _full_or_empty)


def shuffle_in_degree(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Random masks with the same in-degree of every neuron or output channel.

    Raises NotApplicable if every row of every layer is full or empty.
    """
    return _randomise(
        "shuffle_in_degree", layers, rng, _permuted_rows, _in_degrees, _rows_full_or_empty
    )


def rewire(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Random masks with the same in-degrees and the same out-degrees (see `rewired`).

    Raises NotApplicable if no layer allows a swap.
    """
    return _randomise("rewire", layers, rng, rewired, _degrees, no_swap)


def uniform(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Random masks of one density for all hidden layers, with the ticket's total number of weights.

    The readout keeps its own number, as it is pruned at its own rate: at the density of the hidden
    layers, ten outputs would be left with a handful of weights and the arm would test only that.
    Raises NotApplicable if every layer is full or empty, and InvariantError as the others do.
    """
    if all(_full_or_empty(layer.mask) for layer in layers):
        raise NotApplicable(_NOTHING_TO_DRAW.format(source="uniform"))
    counts = _levelled(layers)
    for _ in range(ATTEMPTS):
        masks = tuple(
            _permuted(np.arange(layer.mask.size) < count, rng).reshape(layer.mask.shape)
            for layer, count in zip(layers, counts, strict=True)
        )
        if not all(map(np.array_equal, masks, (layer.mask for layer in layers))):
            break
    else:
        raise InvariantError(
            f"uniform: {ATTEMPTS} draws all gave the source's own masks; expected others"
        )
    found, wanted = (sum(map(np.count_nonzero, m)) for m in (masks, [x.mask for x in layers]))
    if found != wanted:
        raise InvariantError(f"uniform: {found} weights kept; expected the ticket's {wanted}")
    return masks


# --- degree-preserving rewiring ------------------------------------------------------------------


def rewired(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random 0/1 matrix with the row sums and column sums of `mask` (out, in).

    Maslov & Sneppen (2002) swap single pairs of edges (a→b, c→d become a→d, c→b). Here swaps come
    in batches that cannot collide: rows are paired at random, and each pair deals the columns that
    exactly one of the two has, at random, keeping both row sums; a long run of edge swaps between
    the two rows amounts to that. These are the trades of the curveball algorithm (Strona et al.
    2014), whose chain converges to the uniform law over all such matrices (Carstens 2015).
    """
    result = mask.copy()
    rows, columns = mask.shape
    if rows < 2:
        return result
    # A key is random in its high bits and the column in its low ones, so that no two keys tie.
    low = np.uint64((1 << int(columns).bit_length()) - 1)
    column = np.arange(columns, dtype=np.uint64)
    block = max(1, _BLOCK // max(columns, 1))
    for _ in range(sweeps(rows)):
        order = rng.permutation(rows)
        ones, twos = order[: rows // 2], order[rows // 2 : 2 * (rows // 2)]
        for start in range(0, len(ones), block):
            one, two = ones[start : start + block], twos[start : start + block]
            first, second = result[one], result[two]
            exclusive = first ^ second
            keys = _below_2_to_63(rng, exclusive.shape)
            keys &= ~low
            keys |= column
            # All bits set where a column is not dealt: 0 − 1 as an unsigned number, else 1 − 1.
            keys |= np.subtract(exclusive.view(np.uint8), 1, dtype=np.uint64)
            dealt = np.count_nonzero(first & ~second, axis=1)
            ordered = np.sort(keys, axis=1)
            last = ordered[np.arange(len(one)), np.maximum(dealt - 1, 0)]
            to_first = (keys <= last[:, None]) & exclusive & (dealt > 0)[:, None]
            shared = first & second
            result[one] = shared | to_first
            result[two] = shared | (exclusive & ~to_first)
    return result


def _below_2_to_63(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    """Return what `rng.integers(0, 2**63, shape, np.uint64)` does, in a third of its time.

    Of a power of two NumPy takes the upper bits of each 64 random ones and rejects none, but by a
    multiplication of 128 bits for each (Lemire's method): seen with NumPy 2.4.6.
    """
    drawn = rng.integers(0, 2**64 - 1, shape, np.uint64, endpoint=True)
    drawn >>= np.uint64(1)
    return drawn


def sweeps(rows: int) -> int:
    """Return the number of times that `rewired` pairs all rows: 37 for 256 rows.

    A banded 256 × 256 mask has lost all overlap with its source but chance's after about 10.
    """
    return 10 + 3 * int(rows).bit_length()


def no_swap(mask: np.ndarray) -> bool:
    """Whether `mask` (out, in) is the only matrix with its row and column sums.

    That is so exactly when it has no checkerboard: when its rows, sorted by their sums, are nested.
    """
    ordered = mask[np.argsort(-mask.sum(axis=1), kind="stable")]
    return not (ordered[1:] & ~ordered[:-1]).any()


# --- what the sources share ----------------------------------------------------------------------


def _randomise(
    source: str,
    layers: Sequence[Layer],
    rng: np.random.Generator,
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    counts: Callable[[np.ndarray], np.ndarray],
    unique: Callable[[np.ndarray], bool],
) -> tuple[np.ndarray, ...]:
    """Draw each layer's matrix anew until it differs, and check that `counts` stays the same."""
    matrices = [layer.mask.reshape(len(layer.mask), -1) for layer in layers]
    settled = [unique(matrix) for matrix in matrices]
    if all(settled):
        raise NotApplicable(_NOTHING_TO_DRAW.format(source=source))
    masks = []
    for layer, matrix, leave_alone in zip(layers, matrices, settled, strict=True):
        drawn = matrix
        if not leave_alone:
            for _ in range(ATTEMPTS):
                drawn = draw(matrix, rng)
                if not np.array_equal(drawn, matrix):
                    break
            else:
                raise InvariantError(
                    f"{source}: layer {layer.name}: {ATTEMPTS} draws all gave the source's own "
                    "mask; expected another"
                )
        changed = np.count_nonzero(counts(drawn) != counts(matrix))
        if changed:
            raise InvariantError(
                f"{source}: layer {layer.name}: {changed} of the counts that it keeps have "
                "changed; expected 0"
            )
        masks.append(drawn.reshape(layer.mask.shape).copy())
    return tuple(masks)


def _permuted(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(matrix.ravel()).reshape(matrix.shape)


def _permuted_rows(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permuted(matrix, axis=1)


def _total(matrix: np.ndarray) -> np.ndarray:
    return np.atleast_1d(np.count_nonzero(matrix))


def _in_degrees(matrix: np.ndarray) -> np.ndarray:
    return cast(np.ndarray, np.count_nonzero(matrix, axis=1))


def _degrees(matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([np.count_nonzero(matrix, axis=1), np.count_nonzero(matrix, axis=0)])


def _full_or_empty(matrix: np.ndarray) -> bool:
    return bool(matrix.all() or not matrix.any())


def _rows_full_or_empty(matrix: np.ndarray) -> bool:
    return bool((matrix.all(axis=1) | ~matrix.any(axis=1)).all())


def _levelled(layers: Sequence[Layer]) -> list[int]:
    """Share the hidden layers' kept weights in proportion to size, by largest remainders."""
    hidden = np.array([layer.name != READOUT for layer in layers])
    sizes = np.array([layer.mask.size for layer in layers])
    counts = np.array([np.count_nonzero(layer.mask) for layer in layers])
    kept = int(counts[hidden].sum())
    ideal = np.where(hidden, sizes * (kept / max(sizes[hidden].sum(), 1)), 0)
    levelled = np.where(hidden, np.floor(ideal), counts).astype(int)
    most_missing = np.argsort(np.floor(ideal) - ideal, kind="stable")  # ties go by index
    levelled[most_missing[: kept - levelled[hidden].sum()]] += 1
    return cast(list[int], levelled.tolist())

"""Degrees of a masked network: in and out, dead neurons, live paths.

A mask is a boolean array `(out, in)` or `(out, in, k, k)`. A connection is one kept weight: in a
convolution every kernel position counts, and the units are channels. A list of masks is in forward
order, with the readout last: a plain chain, or with `residual` a stem and blocks of two layers (as
in `networks`). There a path may take the skips, so a unit of the trunk that a block leaves alone
lives on; the units of layer 2k + 1 are those of the trunk behind block k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from ticketlens.measure.weights import correlation

Direction = Literal["in", "out"]


@dataclass(frozen=True)
class DegreeSummary:
    """Degrees of the units on one side of a layer, and what a uniformly random mask would give.

    direction: "in" (connections per output unit) or "out" (per input unit).
    units, capacity: number of units, and the degree of one that keeps everything.
    mean, sd, coefficient_of_variation, maximum: over the units; sd has ddof = 0, cv = sd/mean.
    unconnected: units of degree zero in this layer (dead by this layer alone).
    binomial_sd: √(np(1 − p)) with n = capacity and p the density: every weight kept independently.
    random_sd: the same for a mask with exactly this number of kept weights (hypergeometric law).
    variance_ratio: sd²/random_sd²; its expectation under the random mask is exactly 1.
    dispersion_z: (sd² − expectation)/standard deviation, both exact under the random mask.
    random_unconnected: expected number of units of degree zero under the random mask.

    The ticket's number of kept weights is fixed, so its degrees are not independent binomials:
    they are hypergeometric and sum to that number. A goodness-of-fit test for independent draws
    (Kolmogorov–Smirnov) would be wrong twice, the law being discrete too; the dispersion has exact
    moments instead. For p small and few units its law is skewed: read z as a distance.
    """

    direction: Direction
    units: int
    capacity: int
    mean: float
    sd: float
    coefficient_of_variation: float
    maximum: int
    unconnected: int
    binomial_sd: float
    random_sd: float
    variance_ratio: float
    dispersion_z: float
    random_unconnected: float


@dataclass(frozen=True)
class LayerConnectivity:
    """Dead units and connected weights of layer `layer` (1 = first mask) of a chain of masks.

    units: output units of the layer. zero_in_degree, zero_out_degree: those without a kept weight
    into them, or out of them in the next layer. no_path_from_input, no_path_to_output: those that
    no path of kept weights links to the network's inputs, or outputs. dead: either of the two.
    kept, connected, total: weights kept, those on some path from input to output, and all.

    A dead unit may still emit the constant that its bias makes; it carries no signal.
    """

    layer: int
    units: int
    zero_in_degree: int
    zero_out_degree: int
    no_path_from_input: int
    no_path_to_output: int
    dead: int
    kept: int
    connected: int
    total: int
    density: float
    effective_density: float


def in_degrees(mask: np.ndarray) -> np.ndarray:
    """Return the connections into each output unit, (out,) int64."""
    return cast(np.ndarray, _connections(mask).sum(axis=1))


def out_degrees(mask: np.ndarray) -> np.ndarray:
    """Return the connections out of each input unit, (in,) int64."""
    return cast(np.ndarray, _connections(mask).sum(axis=0))


def degree_summary(mask: np.ndarray, direction: Direction) -> DegreeSummary:
    """Summarise one layer's degrees against the random mask with as many kept weights.

    Where such a mask leaves no freedom (nothing kept, everything kept, one unit) the ratio and z
    are NaN.

    Raises ValueError for an unknown direction, or no boolean mask of two or four dimensions.
    """
    if direction not in ("in", "out"):
        raise ValueError(f"direction is {direction!r}: it must be 'in' or 'out'")
    degrees = in_degrees(mask) if direction == "in" else out_degrees(mask)
    units, total, kept = degrees.size, mask.size, int(degrees.sum())
    capacity = total // units
    mean = kept / units
    density = kept / total
    # Sums of squares in integers: N Σd² − (Σd)² = N² sd².
    sum_of_squares = int(degrees @ degrees)
    sd = math.sqrt(units * sum_of_squares - kept**2) / units
    binomial_variance = capacity * density * (1 - density)
    random_variance = binomial_variance * (total - capacity) / max(total - 1, 1)
    return DegreeSummary(
        direction=direction,
        units=units,
        capacity=capacity,
        mean=mean,
        sd=sd,
        coefficient_of_variation=sd / mean if kept else math.nan,
        maximum=int(degrees.max()),
        unconnected=int(np.count_nonzero(degrees == 0)),
        binomial_sd=math.sqrt(binomial_variance),
        random_sd=math.sqrt(random_variance),
        variance_ratio=sd**2 / random_variance if random_variance else math.nan,
        dispersion_z=_dispersion_z(sum_of_squares, units, capacity, kept),
        random_unconnected=_random_unconnected(units, capacity, kept),
    )


def degree_correlation(mask: np.ndarray, next_mask: np.ndarray) -> float:
    """Return the correlation, over neurons, of in-degree in a layer with out-degree in the next.

    Independent masks give 0 ± 1/√(neurons − 1). NaN where either degree is constant.

    Raises ValueError for masks that do not follow one another.
    """
    _check_chain([mask, next_mask])
    return correlation(in_degrees(mask), out_degrees(next_mask))


def units_reached_from_input(
    masks: Sequence[np.ndarray], residual: bool = False
) -> list[np.ndarray]:
    """Return, for the inputs and each layer's outputs, which units a path of kept weights reaches.

    One boolean array per level, len(masks) + 1 of them; the inputs themselves count as reached.
    """
    graphs = _graphs(masks)
    reached: list[Any] = [np.ones(graphs[0].shape[1], dtype=bool)]
    for level, graph in enumerate(graphs, start=1):
        reached.append(graph[:, reached[-1]].any(axis=1))
        if residual and _has_skip(level - 2, len(masks)):
            reached[level] |= reached[level - 2]
    return reached


def units_reaching_output(masks: Sequence[np.ndarray], residual: bool = False) -> list[np.ndarray]:
    """Return, per level as `units_reached_from_input`, which units a path links to an output."""
    graphs = _graphs(masks)
    reaching: list[Any] = [np.ones(graph.shape[1], dtype=bool) for graph in graphs]
    reaching.append(np.ones(graphs[-1].shape[0], dtype=bool))
    for level in range(len(masks) - 1, -1, -1):
        reaching[level] = graphs[level][reaching[level + 1]].any(axis=0)
        if residual and _has_skip(level, len(masks)):
            reaching[level] |= reaching[level + 2]
    return reaching


def _has_skip(level: int, layers: int) -> bool:
    """Whether a skip leads from this level across a block: from odd ones, up to the last trunk."""
    return level % 2 == 1 and 1 <= level <= layers - 3


def effective_masks(masks: Sequence[np.ndarray], residual: bool = False) -> list[np.ndarray]:
    """Return the masks without the weights that lie on no path from an input to an output.

    Raises ValueError for no masks, or masks that do not follow one another.
    """
    sources = units_reached_from_input(masks, residual)
    targets = units_reaching_output(masks, residual)
    live = []
    for mask, source, target in zip(masks, sources[:-1], targets[1:], strict=True):
        ends = target[:, None] & source
        live.append(mask & ends.reshape(ends.shape + (1,) * (mask.ndim - 2)))
    return live


def effective_density(masks: Sequence[np.ndarray], residual: bool = False) -> float:
    """Return connected weights over all weights of the network (arXiv:2107.02306).

    Raises ValueError for no masks, or masks that do not follow one another.
    """
    connected = sum(int(np.count_nonzero(mask)) for mask in effective_masks(masks, residual))
    return connected / sum(mask.size for mask in masks)


def connectivity(masks: Sequence[np.ndarray], residual: bool = False) -> list[LayerConnectivity]:
    """Return the dead units and connected weights of every layer.

    Raises ValueError for no masks, or masks that do not follow one another.
    """
    reached = units_reached_from_input(masks, residual)
    reaching = units_reaching_output(masks, residual)
    live_masks, rows = effective_masks(masks, residual), []
    for index, (mask, connected) in enumerate(zip(masks, live_masks, strict=True)):
        last = index == len(masks) - 1
        source, target = reached[index + 1], reaching[index + 1]
        kept = int(np.count_nonzero(mask))
        live = int(np.count_nonzero(connected))
        rows.append(
            LayerConnectivity(
                layer=index + 1,
                units=mask.shape[0],
                zero_in_degree=_count_zeros(in_degrees(mask)),
                zero_out_degree=0 if last else _count_zeros(out_degrees(masks[index + 1])),
                no_path_from_input=_count_zeros(source),
                no_path_to_output=_count_zeros(target),
                dead=_count_zeros(source & target),
                kept=kept,
                connected=live,
                total=mask.size,
                density=kept / mask.size,
                effective_density=live / mask.size,
            )
        )
    return rows


def _dispersion_z(sum_of_squares: int, units: int, capacity: int, kept: int) -> float:
    """Return z of Σd² over random masks of `kept` weights among units × capacity, exactly.

    Σd² = T + kept with T = Σ d(d − 1), and E of products of falling factorials of the degrees of
    different units is the product of those of the capacities times kept^(r)/total^(r).
    """
    total = units * capacity

    def share(order: int) -> Fraction:
        return Fraction(math.perm(kept, order), math.perm(total, order) or 1)

    second = math.perm(capacity, 2)
    mean = units * second * share(2)
    mean_square = units * (
        math.perm(capacity, 4) * share(4)
        + 4 * math.perm(capacity, 3) * share(3)
        + 2 * second * share(2)
    ) + units * (units - 1) * second**2 * share(4)
    variance = mean_square - mean**2
    if variance <= 0:
        return math.nan
    return float(sum_of_squares - kept - mean) / math.sqrt(variance)


def _random_unconnected(units: int, capacity: int, kept: int) -> float:
    """Return units × P(a unit keeps none of its weights) under the random mask."""
    elsewhere, total = units * capacity - capacity, units * capacity
    if kept > elsewhere:
        return 0.0
    log_probability = (
        math.lgamma(elsewhere + 1)
        - math.lgamma(elsewhere - kept + 1)
        - math.lgamma(total + 1)
        + math.lgamma(total - kept + 1)
    )
    return units * math.exp(min(log_probability, 0.0))


def _count_zeros(values: np.ndarray) -> int:
    return int(np.count_nonzero(values == 0))


def _connections(mask: np.ndarray) -> np.ndarray:
    """Return the number of connections between each pair of units, (out, in) int64."""
    if mask.dtype != np.bool_ or mask.ndim not in (2, 4) or mask.size == 0:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype}: "
            "a boolean array (out, in) or (out, in, k, k) is needed"
        )
    return cast(np.ndarray, mask.reshape(*mask.shape[:2], -1).sum(axis=2, dtype=np.int64))


def _graphs(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return which units are linked, (out, in) bool per mask: channels by any kernel position."""
    _check_chain(masks)
    return [_connections(mask) > 0 for mask in masks]


def _check_chain(masks: Sequence[np.ndarray]) -> None:
    if len(masks) == 0:
        raise ValueError("no masks: at least one layer is needed")
    for index, (mask, next_mask) in enumerate(pairwise(masks)):
        if mask.shape[0] != next_mask.shape[1]:
            raise ValueError(
                f"masks {index} and {index + 1} have shapes {mask.shape} and {next_mask.shape}: "
                "the inputs of a layer are the outputs of the one before"
            )


def ramanujan_ratio(mask: npt.NDArray[np.bool_]) -> float:
    """Return the mask's second singular value over √(d_in − 1) + √(d_out − 1), mean degrees.

    A bipartite graph with a ratio of at most 1 is Ramanujan: it mixes as fast as its degrees allow.
    Irregular degrees alone raise it. NaN where a mean degree is below 1.
    """
    matrix = mask.reshape(len(mask), -1).astype(np.float64)
    degrees = matrix.sum() / matrix.shape[0], matrix.sum() / matrix.shape[1]
    if min(degrees) < 1:
        return float("nan")
    bound = sum(np.sqrt(degree - 1) for degree in degrees)
    values = np.linalg.svd(matrix, compute_uv=False)
    return float(values[1] / bound) if bound else float("nan")


def kept_by_size(mask: npt.NDArray[np.bool_], weight: npt.NDArray[np.floating]) -> float:
    """Return the share of kept places that keeping as many of the largest |weights| keeps, too.

    By chance it is the density. NaN for a mask that keeps nothing.
    """
    kept = int(mask.sum())
    return float((mask & largest(np.abs(weight), kept)).sum() / kept) if kept else float("nan")


def largest(values: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.bool_]:
    """Return a mask of the shape of `values` that keeps the `count` largest of them."""
    found = np.zeros(values.size, dtype=bool)
    if count:
        found[np.argpartition(values.ravel(), -count)[-count:]] = True
    return found.reshape(values.shape)

"""Masks: iterative magnitude pruning's step, its criteria, and the checks on masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

import numpy as np

from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Layer
from ticketlens.seeds import stream
from ticketlens.spec import PruningSpec
from ticketlens.theory.marchenko_pastur import marchenko_pastur_edges
from ticketlens.theory.spikes import matrix_of, null_edge, split

Criterion = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


class InvariantError(AssertionError):
    """A result breaks an invariant that every run asserts; the message says which and where."""


@contextmanager
def named(path: str) -> Iterator[None]:
    """Raises InvariantError from the block again, with `path` before its message."""
    try:
        yield
    except InvariantError as error:
        raise InvariantError(f"{path}: {error}") from error


def magnitude(trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """|w| after training (Frankle & Carbin 2019, arXiv:1803.03635)."""
    return cast(np.ndarray, np.abs(trained))


def magnitude_at_init(
    trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """|w| before training: the selection null, which needs no data."""
    return cast(np.ndarray, np.abs(initial))


def magnitude_increase(
    trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """|w| after training minus |w| before (Zhou et al. 2019, arXiv:1905.01067)."""
    return cast(np.ndarray, np.abs(trained) - np.abs(initial))


def random(trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uniform scores: random pruning at the same densities."""
    return rng.random(trained.shape)


def mp_spikes(trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """|S|: the trained weights' part beyond Marchenko–Pastur's edge, at their second moment.

    A control: the edge of a dense matrix, which on a mask counts spikes that sparsity makes. At
    least the leading direction counts.
    """
    rows, columns = matrix_of(trained).shape
    ratio = min(rows, columns) / max(rows, columns)
    edge = np.sqrt(marchenko_pastur_edges(ratio)[1] / min(rows, columns))
    return _spikes(trained, float(edge))


def change_spikes(trained: np.ndarray, initial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """|S| of the change W − theta_0: its part beyond Gaussian weights on the same mask.

    At least the leading direction counts.
    """
    change = trained.astype(np.float64) - initial.astype(np.float64)
    kept = (trained != 0) | (initial != 0)
    return _spikes(change, null_edge(kept, rng))


def _spikes(weights: np.ndarray, relative_edge: float) -> np.ndarray:
    """Return |spikes| of a matrix, of the layer's shape: one direction where none is beyond."""
    parts = split(weights, relative_edge)
    return np.abs(parts.leading(max(1, parts.spikes))).reshape(weights.shape)


CRITERIA: dict[str, Criterion] = {
    "magnitude": magnitude,
    "magnitude-at-init": magnitude_at_init,
    "magnitude-increase": magnitude_increase,
    "random": random,
    "mp-spikes": mp_spikes,
    "change-spikes": change_spikes,
}


def removed_count(kept: int, rate: float) -> int:
    """Return rate·kept rounded to the nearest integer, halves up.

    The decimal that the config states is taken exactly (0.2 is 1/5), so that no float rounding
    shifts a count.
    """
    return int(Fraction(str(rate)) * kept + Fraction(1, 2))


def remove_lowest(scores: np.ndarray, mask: np.ndarray, count: int) -> np.ndarray:
    """Return `mask` without the `count` kept entries of lowest score; ties go by flat index."""
    kept = np.flatnonzero(mask)
    order = np.argsort(scores.ravel()[kept], kind="stable")
    pruned = mask.copy()
    pruned.ravel()[kept[order[:count]]] = False
    return pruned


def prune(
    trained: Sequence[Layer],
    initial: Sequence[Layer],
    pruning: PruningSpec,
    seed: int,
    round_: int,
) -> tuple[np.ndarray, ...]:
    """Return the masks of round `round_` from the trained network of the round before.

    `initial` is the ticket that was trained. With scope "layer" each hidden layer loses `rate` of
    its kept weights; with scope "global" the hidden layers lose `rate` of their pooled kept ones.
    The readout loses `readout_rate` of its own in both. Random criteria draw from the stream
    (seed, "prune", round, layer).
    Raises ValueError for an unknown criterion or scope, scores that are not a number per weight,
    or where a layer would lose all its weights, naming it; InvariantError where the trained mask
    is not the ticket's.
    """
    if pruning.criterion not in CRITERIA:
        raise ValueError(f"pruning.criterion is {pruning.criterion!r}; allowed: {sorted(CRITERIA)}")
    if pruning.scope not in ("layer", "global"):
        raise ValueError(f"pruning.scope is {pruning.scope!r}; allowed: ['global', 'layer']")
    for after, before in zip(trained, initial, strict=True):
        if not np.array_equal(after.mask, before.mask):
            raise InvariantError(
                f"layer {after.name}: trained with another mask than its ticket's: "
                f"{np.count_nonzero(after.mask)} weights; expected the ticket's own "
                f"{np.count_nonzero(before.mask)}"
            )
    masks = [layer.mask for layer in trained]
    scores = [
        CRITERIA[pruning.criterion](
            after.weight, before.weight, stream(seed, "prune", round_, after.name)
        )
        for after, before in zip(trained, initial, strict=True)
    ]
    for layer, own in zip(trained, scores, strict=True):
        _check_scores(own, layer, pruning.criterion)
    old = [layer.mask for layer in trained]
    names = [layer.name for layer in trained]
    groups = [[names.index(name) for name in own] for own in _groups(names, pruning.scope)]
    for group in groups:
        rate = pruning.readout_rate if trained[group[0]].name == READOUT else pruning.rate
        for i, mask in zip(group, _prune_group(scores, masks, group, rate), strict=True):
            masks[i] = mask
    for layer, mask in zip(trained, masks, strict=True):
        if not mask.any():
            raise ValueError(
                f"pruning round {round_} would remove all {np.count_nonzero(layer.mask)} kept "
                f"weights of layer {layer.name}; use fewer rounds or a lower rate"
            )
    check_pruned(trained, masks, pruning)
    for group in groups:
        ranked = (np.concatenate([own[i].ravel() for i in group]) for own in (old, masks, scores))
        check_lowest(*cast(Triple, ranked), ", ".join(names[i] for i in group))
    return tuple(masks)


def _check_scores(scores: np.ndarray, layer: Layer, criterion: str) -> None:
    """Raise ValueError for scores of another shape than the weights, or NaN at a kept weight.

    NaN would be ranked highest without a word.
    """
    shape = np.shape(scores)
    if shape != layer.mask.shape:
        raise ValueError(
            f"pruning.criterion {criterion!r}: layer {layer.name}: scores of shape {shape}; "
            f"allowed: one per weight, {layer.mask.shape}"
        )
    if unknown := np.count_nonzero(np.isnan(np.asarray(scores)[np.asarray(layer.mask, bool)])):
        raise ValueError(
            f"pruning.criterion {criterion!r}: layer {layer.name}: {unknown} scores of kept "
            "weights are NaN; allowed: numbers"
        )


def _prune_group(
    scores: Sequence[np.ndarray], masks: Sequence[np.ndarray], group: Sequence[int], rate: float
) -> list[np.ndarray]:
    """Prune the pooled weights of `group`; return its masks."""
    pooled_mask = np.concatenate([masks[i].ravel() for i in group])
    pooled_scores = np.concatenate([scores[i].ravel() for i in group])
    count = removed_count(int(np.count_nonzero(pooled_mask)), rate)
    pooled = remove_lowest(pooled_scores, pooled_mask, count)
    ends = np.cumsum([masks[i].size for i in group])[:-1]
    return [
        part.reshape(masks[i].shape) for i, part in zip(group, np.split(pooled, ends), strict=True)
    ]


def check_pruned(
    before: Sequence[Layer], after: Sequence[np.ndarray], pruning: PruningSpec
) -> None:
    """Assert that masks are nested and that exact counts were removed.

    Raises InvariantError naming the layer.
    """
    names = [layer.name for layer in before]
    check_nested([layer.mask for layer in before], after, names)
    kept = [
        {name: int(np.count_nonzero(mask)) for name, mask in zip(names, masks, strict=True)}
        for masks in ([layer.mask for layer in before], after)
    ]
    check_counts(*cast(tuple[dict[str, int], dict[str, int]], kept), pruning)


def check_counts(before: Mapping[str, int], after: Mapping[str, int], pruning: PruningSpec) -> None:
    """Assert that one round removed as many weights as the rule says; counts of kept ones by layer.

    Raises InvariantError naming the layer.
    """
    for group in _groups(list(before), pruning.scope):
        rate = pruning.readout_rate if group == [READOUT] else pruning.rate
        kept = sum(before[name] for name in group)
        expected = kept - removed_count(kept, rate)
        found = sum(after[name] for name in group)
        if found != expected:
            raise InvariantError(
                f"layer {', '.join(group)}: {found} weights kept; expected {expected}, by the "
                "pruning rule"
            )


def check_lowest(before: np.ndarray, after: np.ndarray, scores: np.ndarray, name: str) -> None:
    """Assert that the weights removed have the lowest scores, and of equal ones the first indices.

    Flat arrays over the weights that are ranked together. Raises InvariantError naming the layer.
    """
    removed = before & ~after
    if not removed.any():
        return
    threshold = scores[removed].max()
    wrong = int(np.count_nonzero(scores[after] < threshold))
    ties = scores == threshold
    first_kept = np.flatnonzero(after & ties)[:1]  # none: no tie was cut
    wrong += sum(
        int(np.count_nonzero(np.flatnonzero(removed & ties) > index)) for index in first_kept
    )
    if wrong:
        raise InvariantError(
            f"layer {name}: {wrong} weights removed or kept against their rank; expected 0"
        )


def _groups(names: Sequence[str], scope: str) -> list[list[str]]:
    """Return the layers that are ranked together: hidden ones one by one or all, the readout."""
    hidden = [name for name in names if name != READOUT]
    groups = [[name] for name in hidden] if scope == "layer" else [hidden]
    return groups + ([[READOUT]] if READOUT in names else [])


def check_nested(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], names: Sequence[str]
) -> None:
    """Assert that no pruned weight comes back. Raises InvariantError naming the layer."""
    for name, old, new in zip(names, before, after, strict=True):
        revived = np.count_nonzero(new & ~old)
        if revived:
            raise InvariantError(f"layer {name}: {revived} pruned weights came back; expected 0")

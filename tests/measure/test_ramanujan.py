"""Two numbers of a mask: its Ramanujan ratio, and what pruning by size would keep as well."""

from __future__ import annotations

import numpy as np
import pytest

from ticketlens.measure.graph import kept_by_size, ramanujan_ratio


def test_a_complete_graph_mixes_at_once_and_two_halves_never() -> None:
    assert ramanujan_ratio(np.ones((6, 9), bool)) == pytest.approx(0, abs=1e-12)
    halves = np.kron(np.eye(2), np.ones((4, 4))).astype(bool)  # two equal singular values, 4
    assert ramanujan_ratio(halves) == pytest.approx(4 / (2 * np.sqrt(3)))
    assert np.isnan(ramanujan_ratio(np.eye(4, k=1, dtype=bool)))


def test_a_random_regular_mask_is_nearly_ramanujan() -> None:
    """Sums of random permutations: Friedman's theorem puts the ratio near 1."""
    rng = np.random.default_rng(0)
    mask = np.zeros((300, 300), bool)
    for _ in range(6):
        mask[np.arange(300), rng.permutation(300)] = True
    assert ramanujan_ratio(mask) == pytest.approx(1, abs=0.1)


def test_kept_by_size_is_1_for_the_largest_0_for_the_smallest_and_the_density_by_chance() -> None:
    weight = np.random.default_rng(1).standard_normal((200, 300))
    cut = np.quantile(np.abs(weight), [0.3, 0.7])
    assert kept_by_size(np.abs(weight) > cut[1], weight) == 1
    assert kept_by_size(np.abs(weight) < cut[0], weight) == 0
    random = np.random.default_rng(2).random(weight.shape) < 0.3
    assert kept_by_size(random, weight) == pytest.approx(0.3, abs=0.01)
    assert np.isnan(kept_by_size(np.zeros((2, 2), bool), np.ones((2, 2))))

"""The Ramanujan ratio of a mask, against graphs whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest

from ticketlens.measure.graph import ramanujan_ratio


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

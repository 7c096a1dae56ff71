"""Verdicts correct p-values hundreds of times."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def collections_walk_nothing_old() -> Iterator[None]:
    """Take all objects so far out of collections of garbage.

    Holm's correction by statsmodels (0.15.0) collects at each call, which takes half a second
    beside what a process of tests has gathered.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()

"""Named random streams: every random number of a run has a seed and a purpose.

A stream is a function of (seed, purpose) alone, so that an extra draw for one purpose never shifts
the numbers drawn for another, and a layer's weights do not depend on how many layers precede it.

Examples of the functions below assume:

    >>> from ticketlens import seeds
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of the stream `purpose` of replicate `seed`.

    `purpose` is read as a path, e.g. ``stream(0, "weight", "hidden1")``. Raises ValueError for a
    negative seed or an empty purpose.

    >>> one, same = (seeds.stream(0, "weight", "hidden1") for _ in range(2))
    >>> bool(one.integers(100) == same.integers(100))
    True
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; allowed: integers >= 0")
    if not purpose:
        raise ValueError("a random stream needs a purpose, e.g. stream(0, 'weight', 'hidden1')")
    digest = hashlib.sha256("/".join(str(part) for part in purpose).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))

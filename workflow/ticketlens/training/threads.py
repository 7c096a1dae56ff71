"""Parts of one computation side by side: C that is called by ctypes leaves Python's lock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait


class Threads:
    """So many threads, kept between calls; a single one is the caller's own."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def share(self, things: int, work: Callable[[int, range], None]) -> None:
        """Call `work` with a thread's number and its share of `things`, for all threads at once.

        Shares are about equal, in order, and not empty. Returns when all are done; raises
        what a call raised.
        """
        count = min(self.count, things)
        ends = [things * number // count for number in range(count + 1)] if count else [0]
        shares = [range(*pair) for pair in itertools.pairwise(ends)]
        if self._pool is None or count < 2:
            for number, share in enumerate(shares):
                work(number, share)
            return
        calls = [self._pool.submit(work, number, share) for number, share in enumerate(shares)]
        wait(calls)
        for call in calls:
            call.result()

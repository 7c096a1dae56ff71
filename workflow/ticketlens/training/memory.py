"""Memory that is freed stays with the process: large activations cost no page faults a step."""

from __future__ import annotations

import ctypes

# The numbers of glibc's malloc.h, and what they are set to: 1 GiB, and never.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
KEPT_BELOW, NEVER = 2**30, 2**31 - 1


def keep_freed_memory() -> bool:
    """Have malloc reuse freed blocks of up to 1 GiB; say whether it can (with glibc it does).

    By default glibc maps each block above 32 MiB anew, as the activations of a ConvNet are, and the
    system fills it with zeros, page by page: half of a step's time (docs/speed.md). Which memory is
    used changes no bits. The process keeps what it once needed: about a quarter more at its peak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        [mallopt(M_MMAP_THRESHOLD, KEPT_BELOW), mallopt(M_TRIM_THRESHOLD, NEVER)]
    )

"""The ways to compute bfloat16 arithmetic: AMX, AVX512-BF16, AVX-512, AVX2, plain C, all with the
same bits.

The fastest that the CPU has and the system grants is taken, or the one that `TICKETLENS_ISA` names.
It is not part of a spec, as it cannot change a bit; only the time depends on it.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from ticketlens.training import compiled

VARIABLE = "TICKETLENS_ISA"
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma")
FLAGS: dict[str, tuple[str, ...]] = {
    "amx": (*_AVX512, "-mavx512bf16", "-DWAY_AMX"),
    "avx512bf16": (*_AVX512, "-mavx512bf16", "-DWAY_AVX512BF16"),
    "avx512": (*_AVX512, "-DWAY_AVX512"),
    "avx2": ("-mavx2", "-mfma", "-DWAY_AVX2"),
    "plain": ("-DWAY_PLAIN",),
}
"""What the compiler is told for each way, the fastest first."""
_EXACT = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC")
_BITS = {"avx2": 1, "avx512": 2, "amx": 4, "avx512bf16": 8}


class WayError(ValueError):
    """The way that is asked for is unknown, or this machine lacks it."""


@functools.cache
def available() -> tuple[str, ...]:
    """Return the ways that this machine has, the fastest first.

    Asks Linux for the permission to use AMX's tiles, once for the process. Raises CompilerError
    without a C compiler.
    """
    found = compiled.library(Path(__file__).with_name("ways.c"), _EXACT).capabilities()
    return tuple(way for way in FLAGS if way == "plain" or found & _BITS[way])


def chosen() -> str:
    """Return the way to take: that named by TICKETLENS_ISA, or the fastest of this machine.

    Raises WayError if the variable names an unknown way, or one that this machine lacks, and
    CompilerError without a C compiler.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return available()[0]
    if name not in FLAGS:
        raise WayError(f"{VARIABLE} is {name!r}; allowed: {', '.join(FLAGS)}")
    return checked(name)


def checked(way: str) -> str:
    """Return `way` if this machine has it. Raises WayError otherwise."""
    if way not in available():
        raise WayError(
            f"{VARIABLE} is {way!r}, which this machine lacks; it has: {', '.join(available())}"
        )
    return way


def flags(way: str) -> tuple[str, ...]:
    """Return all flags of the compiler for a way. Nothing is contracted: bits follow the source."""
    return (*_EXACT, *FLAGS[way])

"""What all benchmarks share: interleaved times, ratios of them, tables, the machine."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "h5py", "snakemake")
# What decides which kernels run.
VECTORS = ("avx2", "fma", "avx512f", "avx512_bf16", "asimd", "sve")

Times = dict[str, list[float]]


def interleaved(
    jobs: Mapping[str, Callable[[], object]],
    groups: int,
    calls: int = 10,
    clock: Callable[[], float] = time.thread_time,
) -> Times:
    """Seconds per call of each job, one value per group of `calls` calls; the jobs take turns.

    What slows the machine for a while slows all jobs of a group: compare within a group
    (`median_ratio`). The clock is the CPU time of this thread, so jobs must compute in it alone.
    Each turn begins with a call that is not counted, and so does the whole with a group.
    """
    times: Times = {name: [] for name in jobs}
    for group in range(groups + 1):
        for name, job in jobs.items():
            job()  # what the other jobs displaced is back in the caches
            start = clock()
            for _ in range(calls):
                job()
            if group:
                times[name].append((clock() - start) / calls)
    return times


def medians(times: Times) -> dict[str, float]:
    """Median seconds of each job."""
    return {name: statistics.median(values) for name, values in times.items()}


def median_ratio(times: Times, name: str, over: str) -> float:
    """Median over the groups of one job's time over another's."""
    pairs = zip(times[name], times[over], strict=True)
    return statistics.median(one / other for one, other in pairs)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table, numbers to three digits."""
    head = list(rows[0])
    body = [[_text(row[key]) for key in head] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body])


def rounded(value: Any) -> Any:
    """The same JSON value with all floats to four digits: more would be noise."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GiB, vector instructions, system, load: no names, no paths."""
    fields: dict[str, str] = {}
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    flags = fields.get("flags", fields.get("Features", "")).split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "vectors": [name for name in VECTORS if name in flags],
        "system": f"{platform.system()} {platform.machine()}",
        # Above zero when the benchmarks start: something else ran beside them.
        "load_at_start": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Python's version and those of the packages that times depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""Jobs of this build and of an older one in turns: each in a process of its own, one at a time.

The older build is a clone of this repository at COMMIT, in a temporary folder or where the variable
TICKETLENS_OLD_BUILD says. Both have a `benchmarks/training_step.py` with `ticket` and `step`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from measuring import ROOT, Times

COMMIT = "1fb1ed6"
VARIABLE = "TICKETLENS_OLD_BUILD"
WORKER = """
import sys, time
sys.path.insert(0, "benchmarks")
import measuring
import torch
torch.set_num_threads(1)
import training_step
{setup}
sys.stdout.write("ready\\n")
sys.stdout.flush()
done = set()
for line in sys.stdin:
    name, calls = line.split()
    job, calls = jobs[name], int(calls)
    if name not in done or {warm}:
        done.add(name)
        job()
    start = time.thread_time()
    for _ in range(calls):
        job()
    sys.stdout.write(repr((time.thread_time() - start) / calls) + "\\n")
    sys.stdout.flush()
"""


@contextmanager
def old_build(folder: Path) -> Iterator[Path]:
    """The older build's root, cloned into `folder` unless the variable names it."""
    if VARIABLE in os.environ:
        yield Path(os.environ[VARIABLE])
        return
    root = folder / COMMIT
    subprocess.run(["git", "clone", "-q", str(ROOT), str(root)], check=True)
    subprocess.run(["git", "checkout", "-q", COMMIT], cwd=root, check=True)
    yield root


class Worker:
    """A process in a build's root that does `jobs`, a dict which the code `setup` defines."""

    def __init__(
        self,
        root: Path,
        setup: str,
        environment: Mapping[str, str] | None = None,
        warm: bool = True,
    ) -> None:
        """Start it. A job's first call is not counted; if `warm`, nor is one before each turn."""
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        variables.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER.format(setup=setup, warm=warm)], cwd=root, text=True,
            env=variables | {"PYTHONPATH": str(root / "workflow")}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        if self._line() != "ready":
            raise RuntimeError(f"the job of {root.name} did not start")

    def seconds(self, job: str, calls: int) -> float:
        """CPU seconds of one call."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{job} {calls}\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def in_turns(workers: Mapping[str, Worker], jobs: Sequence[str], groups: int, calls: int) -> Times:
    """Seconds per call of each worker's jobs ("name: job"), one value a group; they take turns."""
    times: Times = {f"{name}: {job}": [] for job in jobs for name in workers}
    for _ in range(groups):
        for job in jobs:
            for name, worker in workers.items():
                times[f"{name}: {job}"].append(worker.seconds(job, calls))
    return times

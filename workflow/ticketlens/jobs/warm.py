"""Local jobs as forks of processes that have imported the libraries already.

Most jobs of a quick run take less time than the import of their libraries: PyTorch's is 1.6 CPU-s,
SciPy's statistics 0.8, matplotlib's 0.5. So where a run has many local jobs, one process for each
kind of them (with PyTorch, without) imports what they need, and is forked for every job
(`ticketlens.jobs.nursery`). A job remains a process of its own: its memory, its signals, its exit
code and its benchmark are what they are without. It imports the project's own modules itself.

Not used: by jobs of several threads (BLAS libraries read that number once, when they are loaded),
by jobs in conda environments or containers, on clusters, and other systems than Linux, where a fork
after an import is not safe. `TICKETLENS_WARM=0` in the environment switches it off.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

VARIABLE = "TICKETLENS_WARM"
FEWEST_JOBS = 8
"""Fewer jobs of a kind are not worth the process that imports for them."""
LARGEST = 150_000
"""Bytes of a request, which Linux sends as one message."""
NUMBERS_OF_THREADS = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
} | {"VECLIB_MAXIMUM_THREADS": "1"}
"""What Snakemake (9.27) sets for every job, to the number of its threads."""

_EVERYWHERE = (
    "snakemake.iocontainers",
    "h5py",
    "pandas",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.special",
    "PIL.Image",
    "ticketlens.files.dataset",
    "ticketlens.tickets.construction",
)
LIBRARIES = {
    "analyse": (
        *_EVERYWHERE,
        "scipy.stats",
        "matplotlib.pyplot",
        "matplotlib.backends.backend_agg",
        "ticketlens.tables.signal",
        "ticketlens.figures.density",
        "ticketlens.verdicts.claims",
    ),
    "train": (
        *_EVERYWHERE,
        "torch",
        "ticketlens.training.loop",
        "ticketlens.tickets.saliency",
        "ticketlens.measure.conv.gradients",
        "ticketlens.measure.conv.signal",
    ),
}
"""What is imported beforehand, by the name of a rule's environment (envs/)."""

log = logging.getLogger("ticketlens.warm")


class Unavailable(RuntimeError):
    """No fork can be had; the job starts as any other does."""


class Nursery:
    """A process that imports `libraries` once and is then forked for every job.

    It starts with the first job, and ends with the process that started it.
    """

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self.libraries = libraries
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._broken = False

    def run(self, script: str, environment: dict[str, str], record: Any = None) -> int:
        """Run a script in a fork, to its end; return its exit code, as `subprocess` counts.

        `record` is a benchmark record of Snakemake's, or None. Raises Unavailable if nothing has
        been run.
        """
        request = json.dumps([script, os.getcwd(), environment]).encode()
        if len(request) > LARGEST:
            raise Unavailable("the environment is too large for one message")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            try:
                with theirs, self._lock:
                    socket.send_fds(self._started(), [request], [theirs.fileno()])
                pid = int(ours.recv(64) or 0)
            except OSError as error:
                self._broken = True
                raise Unavailable(str(error)) from error
            if not pid:
                self._broken = True
                raise Unavailable("the process to fork has gone")
            with _benchmarked(pid, record):
                code = ours.recv(64)
        # Without an answer the process to fork was killed; nobody knows about the job.
        return int(code) if code else -9

    def _started(self) -> socket.socket:
        """Return the socket of the process to fork, which has imported its libraries."""
        if self._broken:
            raise Unavailable("the process to fork has gone")
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, "-P", "-m", "ticketlens.jobs.nursery"]
            with theirs:
                process = subprocess.Popen(
                    [*command, str(theirs.fileno()), *self.libraries],
                    pass_fds=[theirs.fileno()],
                    env=os.environ | NUMBERS_OF_THREADS,
                )
            atexit.register(_end, ours, process)
            if not ours.recv(64):
                self._broken = True
                raise Unavailable("the process to fork did not start")
            self._control = ours
        return self._control


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Let a process to fork end: its socket closes."""
    control.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)


def _benchmarked(pid: int, record: Any) -> Any:
    """Measure a process as Snakemake's `benchmark` does, if it asks for that."""
    if record is None:
        return nullcontext()
    from snakemake.benchmark import benchmarked

    return benchmarked(pid, record)


def kinds(workflow: Any) -> dict[str, str]:
    """Return the kind of each rule that is to have forks: the name of its environment.

    Empty where forks are not to be had at all.
    """
    if sys.platform != "linux" or os.environ.get(VARIABLE) == "0" or not workflow.local_exec:
        return {}
    if workflow.deployment_settings.deployment_method:
        return {}
    of_rule = {rule.name: Path(str(rule.conda_env)).stem for rule in workflow.rules if rule.script}
    waiting = Counter(of_rule.get(job.rule.name) for job in workflow.dag.needrun_jobs())
    return {
        name: kind
        for name, kind in of_rule.items()
        if kind in LIBRARIES and waiting[kind] >= FEWEST_JOBS
    }


def use(workflow: Any) -> None:
    """Have this run of Snakemake start its Python scripts as forks, where that pays."""
    of_rule = kinds(workflow)
    if not of_rule:
        return
    from snakemake.script import PythonScript

    nurseries = {kind: Nursery(LIBRARIES[kind]) for kind in sorted(set(of_rule.values()))}
    usual = PythonScript.execute_script

    def execute_script(self: Any, fname: str, edit: bool = False) -> None:
        kind = of_rule.get(self.rulename)
        if kind is None or edit or not _is_plain(self):
            usual(self, fname, edit=edit)
            return
        environment = dict(os.environ) | NUMBERS_OF_THREADS
        if folder := self.resources.get("tmpdir"):
            environment |= dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), str(folder))
        try:
            code = nurseries[kind].run(fname, environment, self.bench_record)
        except Unavailable as error:
            log.debug("%s", error)
            usual(self, fname, edit=edit)
            return
        if code:
            raise subprocess.CalledProcessError(code, f"{sys.executable} {fname}")

    PythonScript.execute_script = execute_script


def _is_plain(script: Any) -> bool:
    """Whether a script of Snakemake's runs in this very environment, with one thread."""
    elsewhere = (script.conda_env, script.container_img, script.env_modules, script.shadow_dir)
    return script.threads == 1 and not any(elsewhere) and not script.resources.get("shell_exec")

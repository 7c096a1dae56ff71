"""What a run does before its first job, as the main workflow and as a module of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def of_a_module(workflow: Any, begin: Callable[[], None]) -> None:
    """Have `begin()` called when a run starts, if this workflow is a module of another one.

    Snakemake (9.27) runs the `onstart` of the main Snakefile alone, and drops a module's. What the
    main Snakefile registered before the module is called first; what it registers after replaces
    this.
    """
    if workflow.modifier.is_main_snakefile():
        return
    before = workflow._onstart

    def start(log: Any) -> None:
        before(log)
        begin()

    workflow._onstart = start


def without_rate_limit(workflow: Any) -> None:
    """Start local jobs without Snakemake's limit of so many a second.

    Its limiter (as of Snakemake 9.27) has the scheduler look at all ready jobs once a second, and
    once more for every job that has finished: after some hundred jobs that takes a whole core.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None

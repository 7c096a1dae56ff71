"""What a run says of itself while one waits for it: on its screen, and to `snakemake progress`."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ticketlens.jobs.pace import Pace

FEWEST_JOBS = 20
"""A run of fewer needs nobody to wait."""
EVERY = 60.0
"""Seconds between two lines of a run; ten times as many after an hour."""
EARLY = "too early to say when it ends"


def line(state: str, end: datetime | None, now: datetime) -> str:
    """Return the state of a run and when it will end, in one line."""
    if end is None:
        return f"{state}; {EARLY}"
    left = max((end - now).total_seconds(), 0.0)
    form = "%H:%M" if end.date() == now.date() else "%Y-%m-%d %H:%M"
    return f"{state}; {rough_time(left)} left, ends about {end.strftime(form)}"


def of_run(text: str, now: datetime) -> str:
    """Return the line of a run from what it keeps in a file, and how old that is if not just now.

    Empty if nothing is kept, or if the run should have ended an hour ago: then it has.
    """
    stamp, _, rest = text.strip().partition(" ")
    kept_end, _, state = rest.partition(" ")
    try:
        then = datetime.fromisoformat(stamp)
        end = None if kept_end == "-" else datetime.fromisoformat(kept_end)
    except ValueError:
        return ""
    if now > max(then, end or then) + timedelta(hours=1):
        return ""
    said = line(state, end, now)
    if (now - then).total_seconds() < 60:
        return said
    form = "%H:%M" if then.date() == now.date() else "%Y-%m-%d %H:%M"
    return f"{said} (as of {then.strftime(form)})"


def rough_time(seconds: float) -> str:
    """Return a time to wait: '40 s', '2 min 20 s', '17 min', '2 h 10 min': within a tenth."""
    if seconds < 90:
        return f"{round(seconds)} s"
    tens = round(seconds / 10)
    if tens < 60:
        return f"{tens // 6} min {tens % 6}0 s" if tens % 6 else f"{tens // 6} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Follower(logging.Handler):
    """Follows a run by the events that Snakemake logs, and says now and then when it will end.

    Snakemake (9.27) attaches `event` and `jobid` or `job_id` to the records of its logger, as it
    does for its logger plugins; a handler needs no installation of its own. State and end are also
    kept in `file`, for `snakemake progress`, until the last job is done.
    """

    def __init__(self, pace: Pace, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.pace, self.file, self.now = pace, file, now
        self.told = self.kept = pace.start

    def emit(self, record: logging.LogRecord) -> None:
        """Note what an event says; say the line if it is time."""
        event = str(getattr(getattr(record, "event", None), "value", "")).lower()
        now = self.now()
        if event == "job_info":
            self.pace.begin(int(getattr(record, "jobid", -1)), now)
        elif event == "job_finished":
            self.pace.finish(int(getattr(record, "job_id", -1)), now)
            every = EVERY if now - self.pace.start < 3600 else 10 * EVERY
            is_told, is_kept = now - self.told >= every, now - self.kept >= EVERY / 12
            if is_told or is_kept:
                self._say(now, is_told)
            if len(self.pace.took) >= len(self.pace.jobs):
                self.file.unlink(missing_ok=True)

    def _say(self, now: float, is_told: bool) -> None:
        clock, left = datetime.now(), self.pace.seconds_left(now)
        end = None if left is None else clock + timedelta(seconds=left)
        state = f"{len(self.pace.took)} of {len(self.pace.jobs)} jobs done"
        if is_told:
            self.told = now
            print(line(state, end, clock), file=sys.stderr, flush=True)
        self.kept = now
        stamp = clock.isoformat(timespec="seconds")
        text = f"{stamp} {'-' if end is None else end.isoformat(timespec='seconds')} {state}\n"
        with suppress(OSError):  # a line less is no reason to stop
            self.file.parent.mkdir(parents=True, exist_ok=True)
            other = self.file.with_suffix(".new")
            other.write_text(text, encoding="utf-8")
            other.replace(self.file)


def follow(workflow: Any, logger: logging.Logger, file: str | Path) -> None:
    """Follow a run of Snakemake from its start; one of a few jobs needs nobody to wait."""
    dag = workflow.dag
    waiting = {dag.jobid(job): job for job in dag.needrun_jobs()}
    if len(waiting) < FEWEST_JOBS:
        return
    jobs = {
        number: (job.rule.name, str(job.wildcards_dict.get("study", "")))
        for number, job in waiting.items()
    }
    needs = {
        number: frozenset(map(dag.jobid, dag.dependencies[job])) & jobs.keys()
        for number, job in waiting.items()
    }
    resources = workflow.scheduler.resources
    most = min(resources["_cores"], resources["_nodes"])
    pace = Pace(jobs, time.monotonic(), needs=needs, most=most)
    logger.addHandler(Follower(pace, Path(file)))


def take_what_is_there(workflow: Any, given: Iterable[str]) -> None:
    """Use no more cores than this machine has, and say so, where a profile asks for more.

    `given` is the command line: who names cores there knows better than a profile. A job of more
    threads than that still runs.
    """
    flags = ("--cores", "--jobs")
    said = any(text.partition("=")[0] in flags or text[:2] in ("-c", "-j") for text in given)
    asked = workflow.scheduler.resources["_cores"]
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if said or not workflow.local_exec or asked <= there:
        return
    threads = max((job.threads for job in workflow.dag.needrun_jobs()), default=1)
    used = max(there, threads)
    for resources in (workflow.scheduler.resources, workflow.scheduler.global_resources):
        resources["_cores"] = used
    text = f"this machine has {there} cores, the profile asks for {asked}: {used} are used"
    print(text, file=sys.stderr)

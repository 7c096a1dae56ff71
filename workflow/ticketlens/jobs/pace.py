"""When a run will end: the work that is left, over what it gets done in a second.

Jobs of one rule and study are alike: the mean of those that are done speaks for those that wait;
where none is done, a first guess does, corrected by how the guesses of finished jobs turned out.
A machine is slower at some times than at others, as others use it too: a job's time is its work
times how slow the machine was, and the jobs around it say how slow. What is left is counted with
the last jobs' slowness, and with the number of jobs that ran at once lately.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Key = tuple[str, str]
"""Rule and study of a job; "" where a job has no study."""

FEWEST = 0.02
"""Share of the work, of all jobs as guessed, that must be done before the end is said."""
FEWEST_JOBS = 20
FAMILIARITY = 5
"""Jobs of a family that must be done before they say as much of the others as the first guess."""
LATELY = 0.1
"""Share of the work over which the machine's speed is averaged."""
STEADY = 0.1
"""Weight of the speed of the whole run so far in that average, in that share."""
EVERY = 60.0
"""Seconds between two lines of a run; ten times as many after an hour."""


def guess(key: Key, trainings: Mapping[str, float] | None = None) -> float:
    """Return seconds of a job before any of its kind is done; `trainings` are known by study."""
    rule, study = key
    if rule == "train":
        return (trainings or {}).get(study, 6.0)
    if rule.endswith("_conv") or rule == "construct_with_saliency":
        return 4.0
    for start, seconds in (("measure_", 1.7), ("plot_", 6.5), ("tabulate", 1.3)):
        if rule.startswith(start):
            return seconds
    return 0.8


def family(rule: str) -> str:
    """Return the first word of a rule's name, which jobs of about the same libraries share."""
    return rule.partition("_")[0]


def finished(
    left: Mapping[int, float],
    running: Iterable[int],
    needs: Mapping[int, Collection[int]],
    slots: int,
) -> float:
    """Return when the last job is done: a job starts once what it needs is done and a slot is free.

    `left` are the seconds of each job that is not done, `running` those that have slots already.
    Of those that could start, the one that could first does.
    """
    ends = [(left[job], job) for job in running]
    heapq.heapify(ends)
    missing = {job: sum(one in left for one in needs.get(job, ())) for job in left}
    unlocks = inverse({job: needs.get(job, ()) for job in left})
    started = {job for _, job in ends}
    ready = deque(job for job in left if not missing[job] and job not in started)
    now = 0.0
    while ends or ready:
        while ready and len(ends) < max(slots, 1):
            job = ready.popleft()
            heapq.heappush(ends, (now + left[job], job))
        now, job = heapq.heappop(ends)
        for other in unlocks.get(job, ()):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return now


def inverse(needs: Mapping[int, Collection[int]]) -> dict[int, list[int]]:
    """Return the jobs that need each job."""
    needed_by: dict[int, list[int]] = defaultdict(list)
    for job, needed in needs.items():
        for one in needed:
            needed_by[one].append(job)
    return needed_by


def grouped(jobs: Iterable[int], of: Callable[[int], Any]) -> dict[Any, list[int]]:
    """Return the jobs by what `of` says of them."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for job in jobs:
        groups[of(job)].append(job)
    return groups


@dataclass
class Pace:
    """What a run has to do, and what it has done: `jobs` by id, times in seconds since any moment.

    `needs` are the jobs that a job waits for, `trainings` guessed seconds by study. The run began
    at `start` and has at most `most` jobs at once.
    """

    jobs: Mapping[int, Key]
    start: float
    trainings: Mapping[str, float] = field(default_factory=dict)
    needs: Mapping[int, frozenset[int]] = field(default_factory=dict)
    most: float = math.inf
    begun: dict[int, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)

    def begin(self, job: int, now: float) -> None:
        """Note that a job starts."""
        self.begun[job] = now

    def finish(self, job: int, now: float) -> None:
        """Note that a job is done."""
        self.begun.setdefault(job, now)
        self.took[job] = now - self.begun[job]

    @property
    def running(self) -> list[int]:
        """Jobs that have begun and are not done."""
        return [job for job in self.begun if job not in self.took]

    def seconds_left(self, now: float) -> float | None:
        """Return how long the run will take from now on; None while too little is done to say."""
        work = {job: guess(key, self.trainings) for job, key in self.jobs.items()}
        done = [job for job in self.took if job in work]
        if sum(work[job] for job in done) < FEWEST * sum(work.values()) or now <= self.start:
            return None
        if sum(self.took[job] for job in done) <= 0:
            return None
        # Speed and work are known through each other only; three rounds settle them.
        for _ in range(3):
            work = self._work(done, self._slowness(done, work))
        slow = self._slowness_after(done, work)[-1]
        at_once = min(self._at_once(done, work, now), self.most)
        slots = math.ceil(at_once - 1e-6) if math.isfinite(at_once) else len(self.jobs)
        pause = slots / at_once if math.isfinite(at_once) else 1.0
        left = {
            job: max(work[job] * slow - (now - self.begun[job]), 0.0)
            if job in self.begun
            else work[job] * slow * pause
            for job in self.jobs
            if job not in self.took
        }
        return finished(left, set(self.running), self.needs, slots)

    def _work(self, done: list[int], slowness: Mapping[int, float]) -> dict[int, float]:
        """Return the work of every job: the mean of its kind, what its rule suggests as one more.

        A rule's mean counts as one job of each of its studies, its first guess, times how the
        guesses of its family turned out, as one job of the rule.
        """
        guesses = {job: guess(key, self.trainings) for job, key in self.jobs.items()}
        units = {job: self.took[job] / slowness[job] for job in done}
        ratio: dict[str, float] = {}
        for name, members in grouped(done, lambda job: family(self.jobs[job][0])).items():
            guessed = sum(guesses[job] for job in members)
            usual = sum(guesses.values()) / len(guesses) * FAMILIARITY
            ratio[name] = (sum(units[job] for job in members) + usual) / (guessed + usual)
        of_rule: dict[str, float] = {}
        for rule, members in grouped(done, lambda job: self.jobs[job][0]).items():
            turned_out = sum(units[job] / guesses[job] for job in members)
            of_rule[rule] = (turned_out + ratio[family(rule)]) / (len(members) + 1)
        of_kind = grouped(done, lambda job: self.jobs[job])
        work = {}
        for job, key in self.jobs.items():
            expected = guesses[job] * of_rule.get(key[0], ratio.get(family(key[0]), 1.0))
            same = of_kind.get(key, [])
            work[job] = (sum(units[one] for one in same) + expected) / (len(same) + 1)
        return work

    def _slowness(self, done: list[int], work: Mapping[int, float]) -> dict[int, float]:
        """Return seconds for a unit of work around each job that is done."""
        before = self._slowness_after(done, work)
        behind = self._slowness_after(done[::-1], work)[::-1]
        return {job: (a + b) / 2 for job, a, b in zip(done, before, behind, strict=True)}

    def _slowness_after(self, done: list[int], work: Mapping[int, float]) -> list[float]:
        """Return seconds for a unit of work as of each job in turn, jobs long past forgotten."""
        window = LATELY * sum(work.values())
        prior = STEADY * window
        whole = sum(self.took[job] for job in done) / sum(work[job] for job in done)
        seconds = units = 0.0
        slowness = []
        for job in done:
            kept = math.exp(-work[job] / window)
            seconds = kept * seconds + self.took[job]
            units = kept * units + work[job]
            slowness.append((seconds + prior * whole) / (units + prior))
        return slowness

    def _at_once(self, done: list[int], work: Mapping[int, float], now: float) -> float:
        """Return how many jobs run at once while others could: the mean over the last such times.

        Pauses between jobs lower it. `inf` while no job has had to wait.
        """
        wanted = LATELY * sum(self.took[job] for job in done) * len(self.jobs) / len(done)
        busy = seconds = 0.0
        for begin, end, running, waiting in reversed(self._spans(now)):
            if waiting:
                busy += running * (end - begin)
                seconds += end - begin
            if busy >= wanted:
                break
        return max(busy / seconds, 0.25) if seconds > 0 else math.inf

    def _spans(self, now: float) -> list[tuple[float, float, int, bool]]:
        """Return the times between events: begin, end, jobs that run, whether a job waits."""
        events = [(when, 1, job) for job, when in self.begun.items()]
        events += [(self.begun[job] + took, 0, job) for job, took in self.took.items()]
        missing = {job: len(self.needs.get(job, ())) for job in self.jobs}
        unlocks = inverse(self.needs)
        ready = sum(not count for count in missing.values())
        spans, last, running = [], self.start, 0
        for when, is_begin, job in sorted(events):
            spans.append((last, when, running, ready > 0))
            last = max(last, when)
            running += 1 if is_begin else -1
            if is_begin:
                ready -= 1
                continue
            for other in unlocks.get(job, ()):
                missing[other] -= 1
                ready += not missing[other]
        return [*spans, (last, now, running, ready > 0)]

    def line(self, now: float, clock: datetime) -> str:
        """Return the state of the run in one line; `clock` is the time of day of `now`."""
        text = f"{len(self.took)} of {len(self.jobs)} jobs done, {len(self.running)} running"
        left = self.seconds_left(now)
        if left is None:
            return f"{text}; too early to say when it ends"
        end = clock + timedelta(seconds=left)
        form = "%H:%M" if end.date() == clock.date() else "%Y-%m-%d %H:%M"
        return f"{text}; {rough_time(left)} left, ends about {end.strftime(form)}"


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
    does for its logger plugins; a handler needs no installation of its own. The line is also kept
    in `file`, for `snakemake progress`.
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
            if now - self.told >= every:
                self.told = now
                print(self.pace.line(now, datetime.now()), file=sys.stderr, flush=True)
            if now - self.kept >= EVERY / 12:
                self.kept = now
                self._keep(now)

    def _keep(self, now: float) -> None:
        clock = datetime.now()
        text = f"{clock.isoformat(timespec='seconds')} {self.pace.line(now, clock)}\n"
        with suppress(OSError):  # a line less is no reason to stop
            self.file.parent.mkdir(parents=True, exist_ok=True)
            other = self.file.with_suffix(".new")
            other.write_text(text, encoding="utf-8")
            other.replace(self.file)


def follow(workflow: Any, logger: logging.Logger, file: str | Path) -> None:
    """Follow a run of Snakemake from its start; one of a few jobs needs nobody to wait."""
    dag = workflow.dag
    jobs = {
        dag.jobid(job): (job.rule.name, str(job.wildcards_dict.get("study", "")))
        for job in dag.needrun_jobs()
    }
    if len(jobs) >= FEWEST_JOBS:
        logger.addHandler(Follower(Pace(jobs, time.monotonic()), Path(file)))


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

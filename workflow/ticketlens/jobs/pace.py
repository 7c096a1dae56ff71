"""When a run will end: the work that is left, over what it gets done in a second.

Jobs of one rule and study are alike: the mean of those that are done speaks for those that wait;
where none is done, a first guess does, corrected by how the guesses of finished jobs turned out.
A machine is slower at some times than at others, as others use it too: a job's time is its work
times how slow the machine was, and the jobs around it say how slow. What is left is counted with
the last jobs' slowness, and with the number of jobs that ran at once lately.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str]
"""Rule and study of a job; "" where a job has no study."""

FEWEST = 0.02
"""Share of the work, of all jobs as guessed, that must be done before the end is said."""
FIRST_GUESSES = (
    ("construct_with_saliency", 1.9),
    ("construct", 0.3),
    ("init", 0.8),
    ("measure_ladder", 0.9),
    ("measure_change", 0.8),
    ("measure_signal_conv", 0.55),
    ("measure_signal", 0.25),
    ("measure_degrees", 0.2),
    ("measure_", 0.5),
    ("plot_weight_spectra", 4.5),
    ("plot_histograms", 2.7),
    ("plot_", 2.1),
    ("tabulate", 0.4),
    ("prepare_dataset", 5.0),
    ("index", 0.5),
)
"""How the name of a rule begins, and seconds."""
FAMILIARITY = 15
"""Jobs of a family that must be done before they say as much of the others as the first guess."""
LATELY = 0.1
"""Share of the work over which the machine's speed is averaged."""
STEADY = 0.1
"""Weight of the speed of the whole run so far in that average, in that share."""


def guess(key: Key, trainings: Mapping[str, float] | None = None) -> float:
    """Return seconds of a job before any of its kind is done; `trainings` are known by study.

    They are seconds of the quick study on a quiet machine, where jobs start with their libraries
    imported.
    """
    rule, study = key
    if rule == "train":
        return (trainings or {}).get(study, 1.9)
    for start, seconds in FIRST_GUESSES:
        if rule.startswith(start):
            return 1.6 * seconds if rule.endswith("_conv") else seconds
    return 0.2


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

        A rule is what its jobs were of their guesses, its family as one more; a family what its
        jobs were, the first guess as `FAMILIARITY` more.
        """
        guesses = {job: guess(key, self.trainings) for job, key in self.jobs.items()}
        units = {job: self.took[job] / slowness[job] for job in done}

        def turned_out(jobs: list[int], before: float, count: int) -> float:
            usual = count * sum(guesses[job] for job in jobs) / len(jobs)
            return (sum(units[job] for job in jobs) + before * usual) / (
                sum(guesses[job] for job in jobs) + usual
            )

        families = {
            name: turned_out(jobs, 1.0, FAMILIARITY)
            for name, jobs in grouped(done, lambda job: family(self.jobs[job][0])).items()
        }
        rules = {
            rule: turned_out(jobs, families[family(rule)], 1)
            for rule, jobs in grouped(done, lambda job: self.jobs[job][0]).items()
        }
        kinds = grouped(done, lambda job: self.jobs[job])
        work = {}
        for job, key in self.jobs.items():
            expected = guesses[job] * rules.get(key[0], families.get(family(key[0]), 1.0))
            same = kinds.get(key, [])
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

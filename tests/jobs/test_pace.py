"""The line of a run: right within a quarter from a tenth of a quick run on."""

from __future__ import annotations

import csv
import itertools
import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from ticketlens.jobs import pace, waiting
from ticketlens.jobs.pace import Pace
from ticketlens.jobs.waiting import Follower, line, of_run, rough_time

# Jobs of a quick run in the order of their starts: rule, study, CPU seconds, jobs that they need.
QUICK = Path(__file__).with_name("quick_run.csv")
NOON = datetime(2026, 1, 2, 12, 0)
PAUSE = 0.02


@dataclass(frozen=True)
class Job:
    """A job of the recorded run."""

    key: pace.Key
    seconds: float
    needs: frozenset[int]


def quick_run() -> dict[int, Job]:
    with open(QUICK, newline="", encoding="utf-8") as file:
        return {
            int(row["job"]): Job(
                (row["rule"], row["study"]),
                float(row["seconds"]),
                frozenset(map(int, row["needs"].split())),
            )
            for row in csv.DictReader(file)
        }


def ended(begun: float, work: float, load: dict[float, float]) -> float:
    """When work is done that takes `load` seconds for one, which changes at the keys of `load`."""
    times = [*sorted(load), float("inf")]
    for since, until in itertools.pairwise(times):
        if until > begun:
            if begun + work * load[since] <= until:
                return begun + work * load[since]
            work -= (until - begun) / load[since]
            begun = until
    raise AssertionError("the load has no end")


def scheduled(cores: int, load: dict[float, float]) -> list[tuple[float, bool, int]]:
    """Return (time, whether a job ends, job) of a run, jobs started in the recorded order.

    A job waits for what it needs and for a core, and starts `PAUSE` after that. `load` says by what
    factor jobs are slower, from which share of the run without load on. Jobs differ by a fifth from
    the recorded ones.
    """
    jobs, rng = quick_run(), random.Random(0)
    seconds = {number: job.seconds * rng.uniform(0.8, 1.2) for number, job in jobs.items()}
    nominal = sum(seconds.values()) / cores
    changes = {share * nominal: factor for share, factor in load.items()}
    missing = {number: set(job.needs) for number, job in jobs.items()}
    ready = sorted(number for number in jobs if not missing[number])
    running: list[tuple[float, int]] = []
    events, now = [], 0.0
    while ready or running:
        while ready and len(running) < cores:
            now, number = now + PAUSE, ready.pop(0)
            running.append((ended(now, seconds[number], changes), number))
            events.append((now, False, number))
        end, number = min(running)
        running.remove((end, number))
        now = max(now, end)
        events.append((now, True, number))
        for other in jobs:
            if number in missing[other]:
                missing[other].remove(number)
                if not missing[other]:
                    ready = sorted([*ready, other])
    return events


def predicted(cores: int, load: dict[float, float]) -> list[tuple[float, float, float]]:
    """(share of the run that has passed, seconds that are left, seconds said), asked often."""
    jobs = quick_run()
    needs = {number: job.needs for number, job in jobs.items()}
    own = Pace({number: job.key for number, job in jobs.items()}, 0.0, needs=needs, most=cores)
    events, found = scheduled(cores, load), []
    end = events[-1][0]
    for count, (now, is_end, number) in enumerate(events):
        (own.finish if is_end else own.begin)(number, now)
        said = own.seconds_left(now) if is_end and count % 24 < 3 else None
        if said is not None:
            found.append((now / end, end - now, said))
    return found


@pytest.mark.parametrize(("cores", "slower"), [(1, 1), (2, 1), (2, 8), (4, 1), (8, 0.5)])
def test_what_is_left_of_a_quick_run_is_right_within_a_quarter_from_a_tenth_on(
    cores: int, slower: float
) -> None:
    """To the end, when tables wait for the last measurements, and figures for tables."""
    found = [row for row in predicted(cores, {0: slower}) if row[0] >= 0.1]
    assert len(found) > 25 and found[-1][0] > 0.9
    for passed, left, said in found:
        assert abs(said - left) <= max(0.25 * left, 3 * slower), (passed, left, said)


@pytest.mark.parametrize(
    ("load", "since"),
    [
        ({0: 1, 0.3: 2}, 0.3),  # others begin
        ({0: 1, 0.6: 2}, 0.6),
        ({0: 2, 0.6: 1}, 0.75),  # others end
        ({0: 1, 0.2: 2.5, 0.6: 1}, 0.75),  # a busy hour
        ({share / 10: 1.6 if share % 2 else 1 for share in range(20)}, 0.1),  # now and then
    ],
)
def test_the_length_of_a_run_is_right_again_soon_after_the_load_has_changed(
    load: dict[float, float], since: float
) -> None:
    lengths = [
        (passed, (1 - passed) * said / left + passed)
        for passed, left, said in predicted(2, load)
        if passed >= since and left > 0
    ]
    assert len(lengths) > 10
    for passed, length in lengths:
        assert 0.75 < length < 1.25, (passed, length)


def test_the_last_jobs_of_a_chain_are_not_shared_among_cores() -> None:
    """Eight cores, a table that waits for eight measurements, a figure for it, a page for that."""
    jobs = dict.fromkeys(range(8), ("measure_a", "a")) | {
        8: ("tabulate_a", ""),
        9: ("plot_a", ""),
        10: ("index", ""),
    }
    needs = {8: frozenset(range(8)), 9: frozenset({8}), 10: frozenset({9})}
    own = Pace(jobs, 0.0, needs=needs, most=8)
    for number in range(8):
        own.begin(number, 0.0)
    for number in range(8):
        own.finish(number, 0.5)
    chain = sum(pace.guess(jobs[number]) for number in (8, 9, 10))
    assert own.seconds_left(0.5) == pytest.approx(chain, rel=0.1)


def test_nothing_is_said_before_something_is_known() -> None:
    own = Pace({1: ("train", "a"), 2: ("train", "a")}, 0.0)
    assert own.seconds_left(5.0) is None
    assert line("0 of 2 jobs done", None, NOON) == "0 of 2 jobs done; too early to say when it ends"


def test_a_chain_that_waits_for_its_only_core_is_counted() -> None:
    own = Pace(dict.fromkeys(range(4), ("train", "a")), 0.0)
    own.begin(0, 0.0)
    own.finish(0, 100.0)
    own.begin(1, 100.0)
    assert own.seconds_left(150.0) == pytest.approx(250.0)
    assert line("1 of 4 jobs done", NOON + timedelta(seconds=250), NOON) == (
        "1 of 4 jobs done; 4 min 10 s left, ends about 12:04"
    )


@pytest.mark.parametrize("seconds", [0.4, 40, 89.6, 95, 150, 333, 599, 640, 5395, 7800, 90_000])
def test_words_for_a_time_are_within_a_tenth_of_it(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    words = rough_time(seconds).split()
    said = sum(int(one) * units[unit] for one, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(said - seconds) <= max(0.5, 0.1 * seconds)


def test_events_of_snakemake_are_followed_and_the_line_is_kept_for_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 10_000, 40))
    own = Pace(dict.fromkeys(range(4), ("train", "a")), 0.0)
    logger = logging.Logger("snakemake")
    file = tmp_path / "logs/run.txt"
    logger.addHandler(Follower(own, file, lambda: float(next(clock))))
    for number in range(3):
        logger.info("", extra={"event": SimpleNamespace(value="job_info"), "jobid": number})
        logger.info("", extra={"event": SimpleNamespace(value="job_finished"), "job_id": number})
    logger.info("no event")
    assert len(own.took) == 3
    assert "3 of 4 jobs done" in capsys.readouterr().err
    text = file.read_text(encoding="utf-8")
    assert of_run(text, datetime.now()).startswith("3 of 4 jobs done; ")
    assert of_run(text, datetime(2100, 1, 1)) == "", "that run is over"
    logger.info("", extra={"event": SimpleNamespace(value="job_finished"), "job_id": 3})
    assert not file.exists(), "nothing is left to wait for"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("2026-01-02T11:50:00 a line\n", ""),
        ("2026-01-02T11:59:50 - 3 of 9 jobs done", "3 of 9 jobs done; too early to say"),
        # What has passed since it was kept is no longer left.
        (
            "2026-01-02T11:59:50 2026-01-02T12:00:20 3 of 9 jobs done",
            "3 of 9 jobs done; 20 s left, ends about 12:00",
        ),
        (
            "2026-01-02T11:40:00 2026-01-02T12:10:00 3 of 9 jobs done",
            "3 of 9 jobs done; 10 min left, ends about 12:10 (as of 11:40)",
        ),
        # One job of hours, and nothing else to be kept: the run is not over.
        (
            "2026-01-02T08:00:00 2026-01-02T12:40:00 8 of 9 jobs done",
            "8 of 9 jobs done; 40 min left, ends about 12:40 (as of 08:00)",
        ),
        ("2026-01-02T10:00:00 2026-01-02T10:30:00 8 of 9 jobs done", ""),
    ],
)
def test_what_a_run_keeps_is_said_as_of_now(text: str, said: str) -> None:
    found = of_run(text, NOON)
    assert found.startswith(said) and bool(found) == bool(said)


@pytest.mark.parametrize(
    ("given", "is_local", "used"),
    [([], True, 3), (["--cores", "9"], True, 9), (["-c9"], True, 9), ([], False, 9)],
)
def test_a_profile_s_cores_give_way_to_the_machine_s_unless_the_user_names_them(
    given: list[str],
    is_local: bool,
    used: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    scheduler = SimpleNamespace(resources={"_cores": 9}, global_resources={"_cores": 9})
    dag = SimpleNamespace(needrun_jobs=lambda: [SimpleNamespace(threads=1)])
    waiting.take_what_is_there(
        SimpleNamespace(scheduler=scheduler, dag=dag, local_exec=is_local), given
    )
    assert scheduler.resources["_cores"] == scheduler.global_resources["_cores"] == used
    said = "this machine has 3 cores, the profile asks for 9: 3 are used\n"
    assert capsys.readouterr().err == (said if used == 3 else "")


def test_times_to_wait_read_like_times() -> None:
    assert [rough_time(s) for s in (40, 130, 5000, 5700)] == [
        "40 s",
        "2 min 10 s",
        "83 min",
        "1 h 35 min",
    ]

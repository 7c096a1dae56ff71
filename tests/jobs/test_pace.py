"""The line of a run: right within a quarter from a tenth of a quick run on."""

from __future__ import annotations

import csv
import itertools
import logging
import random
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ticketlens.jobs import pace
from ticketlens.jobs.pace import Follower, Pace, rough_time
from ticketlens.pages.progress import of_run

# Jobs of a quick run in the order of their starts: rule, study, mean seconds of their kind.
QUICK = Path(__file__).with_name("quick_run.csv")
NOON = datetime(2026, 1, 2, 12, 0)


def quick_run() -> list[tuple[pace.Key, float]]:
    with open(QUICK, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        ((row["rule"], row["study"]), float(row["seconds"]))
        for row in rows
        for _ in range(int(row["jobs"]))
    ]


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


def simulated(cores: int, load: dict[float, float]) -> list[tuple[float, float]]:
    """(share of the run that has passed, estimated length / true length), asked now and then.

    `load` says by what factor jobs are slower, from which share of the run without load on. Jobs
    of a kind differ by a fifth.
    """
    jobs, rng = quick_run(), random.Random(0)
    own = Pace({number: key for number, (key, _) in enumerate(jobs)}, 0.0)
    nominal = sum(seconds for _, seconds in jobs) / cores
    changes = {share * nominal: factor for share, factor in load.items()}
    free, events = [0.0] * cores, []
    for number, (_, seconds) in enumerate(jobs):
        core = free.index(min(free))
        begun = free[core]
        free[core] = ended(begun, seconds * rng.uniform(0.8, 1.2), changes)
        events += [(begun, 0, number), (free[core], 1, number)]
    end, found = max(free), []
    for count, (now, is_end, number) in enumerate(sorted(events)):
        (own.finish if is_end else own.begin)(number, now)
        left = own.seconds_left(now) if count % 7 == 0 else None
        if left is not None:
            found.append((now / end, (now + left) / end))
    return found


@pytest.mark.parametrize(("cores", "slower"), [(1, 1), (2, 1), (2, 8), (8, 0.2)])
def test_the_length_of_a_quick_run_is_right_within_a_quarter_from_a_tenth_on(
    cores: int, slower: float
) -> None:
    found = [ratio for passed, ratio in simulated(cores, {0: slower}) if passed >= 0.1]
    assert len(found) > 50
    assert min(found) > 0.75 and max(found) < 1.25, (min(found), max(found))


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
def test_it_is_right_again_soon_after_the_load_has_changed(
    load: dict[float, float], since: float
) -> None:
    found = [ratio for passed, ratio in simulated(2, load) if passed >= since]
    assert len(found) > 20
    assert min(found) > 0.75 and max(found) < 1.25, (min(found), max(found))


def test_nothing_is_said_before_something_is_known() -> None:
    own = Pace({1: ("train", "a"), 2: ("train", "a")}, 0.0)
    assert own.seconds_left(5.0) is None
    assert own.line(5.0, NOON) == "0 of 2 jobs done, 0 running; too early to say when it ends"


def test_a_chain_that_waits_for_its_only_core_is_counted() -> None:
    own = Pace(dict.fromkeys(range(4), ("train", "a")), 0.0)
    own.begin(0, 0.0)
    own.finish(0, 100.0)
    own.begin(1, 100.0)
    assert own.seconds_left(150.0) == pytest.approx(250.0)
    assert own.line(150.0, NOON) == (
        "1 of 4 jobs done, 1 running; 4 min 10 s left, ends about 12:04"
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
    assert of_run(text, datetime.now()).startswith("3 of 4 jobs done, 0 running; ")
    assert of_run(text, datetime(2100, 1, 1)) == "", "that run is over"
    assert of_run("", NOON) == ""
    assert of_run("2026-01-02T11:50:00 a line\n", NOON) == "a line (as of 11:50)"


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
    pace.take_what_is_there(
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

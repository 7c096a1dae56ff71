"""How far the chains are and when they will end, read from a results folder alone.

Nothing here talks to the running jobs: a trained network is done where its file is; a run that is
on its way has a log whose lines say epoch and time. So it works beside a run on any executor.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from ticketlens.pages.numbers import ranges
from ticketlens.study.plan import Plan
from ticketlens.study.studies import rounds
from ticketlens.study.trainings import donors

# Logs of a running job grow every 20 s; an epoch that takes longer is waited for.
SILENT_SECONDS = 180.0
LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \w+ (.*)$", re.MULTILINE)
EPOCH = re.compile(r"epoch (\d+)/(\d+),")
FINISHED = re.compile(r": (\d+\.\d+) s an epoch;")


@dataclass(frozen=True)
class Run:
    """What the log of a run says: epochs done, of how many, seconds an epoch, its last line."""

    epoch: int
    epochs: int
    seconds: float | None
    last: datetime


@dataclass(frozen=True)
class Chain:
    """One chain: its networks trained and to be trained, the run on its way, the expected end.

    A chain from the ticket bank has no networks to be trained (`total` 0), arms alone; one that
    continues from there has those of its later rounds. `round` is that of the run on its way, None
    without one. `arms` are those in training, as (round and name, run). `end` is that of the chain,
    then that of its arms; None if unknown.
    """

    study: str
    seed: int
    done: int
    total: int
    arms_done: int
    arms_total: int
    round: int | None
    run: Run | None
    is_running: bool
    arms: tuple[tuple[str, Run], ...]
    end: datetime | None


def read_run(log: str) -> Run | None:
    """Return what the text of a training log says, None if no line has a time.

    The speed comes from the lines of whole epochs; before the second of them, from the first line.
    """
    lines = [
        (datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S"), text) for stamp, text in LINE.findall(log)
    ]
    if not lines:
        return None
    start = (lines[0][0], 0)
    epochs = [
        (time, int(found[1]), int(found[2]))
        for time, text in lines
        if (found := EPOCH.search(text))
    ]
    if not epochs:
        return Run(0, 0, None, lines[-1][0])
    first = epochs[0][:2] if len(epochs) > 1 else start
    time, epoch, of = epochs[-1]
    # A resumed run begins at a later epoch: its first line alone says nothing about speed.
    resumed = len(epochs) == 1 and any("resumed at" in text for _, text in lines)
    passed = epoch - first[1]
    seconds = (time - first[0]).total_seconds() / passed if passed > 0 and not resumed else None
    return Run(epoch, of, seconds, lines[-1][0])


def chains(config: Mapping[str, Any], results: str | Path, now: datetime) -> list[Chain]:
    """Return the state of every chain that the config trains, or arms of; donors of masks last."""
    states, plan = [], Plan(config, str(results))
    for study, entry in config["studies"].items():
        last = rounds(config, study) if study in plan.trained else -1
        last_rounds = dict.fromkeys(entry["seeds"], last) | donors(plan, study)
        states += [
            _chain(plan, Path(results), study, seed, last, now)
            for seed, last in last_rounds.items()
        ]
    return [chain for chain in states if chain.total or chain.arms_total]


def table(found: Sequence[Chain], now: datetime) -> str:
    """Return the state of the chains as text: a line each, one for those that wait."""
    rows = [("study", "seed", "networks", "arms", "now", "expected end")]
    waiting: dict[tuple[str, str, str], list[int]] = {}
    for chain in found:
        networks = f"{chain.done}/{chain.total}" if chain.total else "bank"
        arms = f"{chain.arms_done}/{chain.arms_total}" if chain.arms_total else "–"
        if chain.done == chain.arms_done == 0 and chain.run is None and not chain.arms:
            waiting.setdefault((chain.study, networks, arms), []).append(chain.seed)
            continue
        end = _clock(chain.end, now) if chain.end else "–"
        rows.append((chain.study, str(chain.seed), networks, arms, _now(chain, now), end))
    rows += [
        (study, ranges(seeds), networks, arms, "waiting", "–")
        for (study, networks, arms), seeds in waiting.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    done = sum(chain.done + chain.arms_done for chain in found)
    total = sum(chain.total + chain.arms_total for chain in found)
    running = sum(chain.is_running + len(chain.arms) for chain in found)
    ends = [chain.end for chain in found if chain.end]
    closing = f"{done} of {total} networks trained, {running} in training"
    if ends:
        closing += f"; what has begun ends {_clock(max(ends), now)}"
    return "\n".join([*lines, "", closing])


def _chain(plan: Plan, results: Path, study: str, seed: int, last: int, now: datetime) -> Chain:
    """State of one chain up to round `last` (−1: none is trained), and of its arms."""
    trained, logs = (
        results / folder / study / f"seed{seed}" for folder in ("checkpoints", "logs/train")
    )
    here = range(plan.first(study, seed), last + 1)
    done = [n for n in here if (trained / f"round{n:02d}/imp/trained.h5").is_file()]
    arms = [f"round{number:02d}/{arm}" for own, number, arm in plan.made(study) if own == seed]
    arms_done = [arm for arm in arms if (trained / arm / "trained.h5").is_file()]
    open_arms = [arm for arm in arms if arm not in arms_done]
    total = len(here)
    number = next((n for n in here if n not in done), None)
    run = None if number is None else read_run(_text(logs / f"round{number:02d}/imp.log"))
    begun = [(arm, found) for arm in open_arms if (found := read_run(_text(logs / f"{arm}.log")))]
    # Runs of the chain, if any is done: arms of another density may be faster or slower.
    finished = [f"round{n:02d}/imp" for n in done] or arms_done
    pace = _pace(run, [logs / f"{name}.log" for name in finished], [found for _, found in begun])
    is_running = run is not None and _is_fresh(run, pace, now)
    in_training = [(arm, found) for arm, found in begun if _is_fresh(found, pace, now)]
    epochs, end = plan.specs[study].training.epochs, None
    if is_running and pace is not None:
        left = epochs - cast(Run, run).epoch + (total - len(done) - 1) * epochs
        end = cast(Run, run).last + timedelta(seconds=left * pace)
    elif in_training and pace is not None:
        left = len(open_arms) * epochs - sum(found.epoch for _, found in in_training)
        end = now + timedelta(seconds=left * pace / len(in_training))
    return Chain(
        study, seed, len(done), total, len(arms_done), len(arms),
        number if run else None, run, is_running, tuple(in_training),
        max(now, end) if end else None,
    )  # fmt: skip


def _pace(run: Run | None, finished: Sequence[Path], arms: Sequence[Run]) -> float | None:
    """Seconds an epoch: of the run on its way, else the median of finished runs, else of arms."""
    if run is not None and run.seconds is not None:
        return run.seconds
    said = [float(found[1]) for path in finished if (found := FINISHED.search(_text(path)))]
    said = said or [arm.seconds for arm in arms if arm.seconds is not None]
    return statistics.median(said) if said else None


def _is_fresh(run: Run, pace: float | None, now: datetime) -> bool:
    """Whether the log is young enough for a job that is alive."""
    longest = max(SILENT_SECONDS, 3 * (pace or 0.0))
    return (now - run.last).total_seconds() < longest


def _now(chain: Chain, now: datetime) -> str:
    if chain.arms and not chain.is_running:
        (name, run), more = chain.arms[0], len(chain.arms) - 1
        where = f"{name}, epoch {run.epoch}/{run.epochs or '?'}"
        return f"{where}, and {more} more" if more else where
    if chain.done == chain.total:
        if chain.arms_done == chain.arms_total:
            return "done"
        return "done, arms waiting" if chain.total else "arms waiting"
    if chain.run is None:
        return "waiting"
    where = f"round {chain.round}, epoch {chain.run.epoch}/{chain.run.epochs or '?'}"
    return where if chain.is_running else f"{where}, silent since {_clock(chain.run.last, now)}"


def _clock(time: datetime, now: datetime) -> str:
    """Time of day; with the date if it is not today."""
    return time.strftime("%H:%M" if time.date() == now.date() else "%Y-%m-%d %H:%M")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

"""Random kills of training jobs, as many as one likes: each child is a fork and dies of SIGKILL."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import pytest

from ticketlens.checkpoint import read, write
from ticketlens.files.dataset import open_prepared
from ticketlens.training.loop import train
from ticketlens.training.resume import Saver

KEY = "key of the run"


def job(ticket: Path, data: Path, partial: Path, output: Path) -> None:
    """What the rule's script does, with a state saved at every opportunity."""
    Saver.worthwhile = Saver.overdue = lambda saver: True
    trained, _ = train(read(ticket), open_prepared(data), partial, KEY)
    write(output, trained)
    Saver(partial, KEY).discard()


def finished(*paths: Path) -> float:
    """Run the job to its end in a child; return its seconds."""
    start = time.monotonic()
    child = _started(*paths)
    child.join()
    assert child.exitcode == 0
    return time.monotonic() - start


def killed(kills: int, seed: int, longest: float, *paths: Path) -> int:
    """Kill jobs until `kills` have died; check and remove each finished output's bytes.

    Returns the number of jobs that finished between the kills, the last one included. `longest`
    bounds the random time until the kill.
    """
    rng, done, deaths, contents = random.Random(seed), 0, 0, set()
    output = paths[-1]
    while True:
        child = _started(*paths)
        child.join(rng.uniform(0, longest) if deaths < kills else None)
        if child.exitcode is None:
            os.kill(child.pid, 9)
            child.join()
            deaths += child.exitcode == -9
            if not output.exists():
                continue
        else:
            assert child.exitcode == 0
        done += 1
        contents.add(output.read_bytes())
        output.unlink()
        paths[-2].unlink(missing_ok=True)
        if deaths >= kills:
            assert len(contents) == 1, f"{len(contents)} different results"
            output.write_bytes(contents.pop())
            return done


def _started(*paths: Path) -> multiprocessing.Process:
    # Its server imports torch once and never trains: its forks are as good as fresh processes.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kills"])
    child = context.Process(target=job, args=paths)
    with pytest.MonkeyPatch.context() as patch:  # the server gets no other path
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        child.start()
    return child

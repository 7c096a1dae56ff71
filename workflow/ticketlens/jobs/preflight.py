"""Before the first job of a run: can results be written, and does the clock go forwards?"""

from __future__ import annotations

import os
import time
from pathlib import Path

STAMP = ".last-run"
SLACK = 5.0  # seconds, for the clocks of network file systems


class PreflightError(ValueError):
    """A run that starts now would fail, or leave something stale; the message says what to do."""


def check(results: str | os.PathLike[str], now: float | None = None) -> None:
    """Make the folder `results`, and put the time of this run's start on its stamp.

    Raises PreflightError if that cannot be done (read-only, disk full), or if the clock is behind
    the last run's start. Snakemake compares times of files: what is made by an earlier clock than
    what depends on it would leave that stale without a word.
    """
    stamp = Path(results) / STAMP
    now = time.time() if now is None else now
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        last = stamp.stat().st_mtime if stamp.exists() else now
        if last > now + SLACK:
            raise PreflightError(
                f"the clock says {_text(now)}, but a run in {results}/ began at {_text(last)}; "
                "Snakemake would take new files for older than those they replace. Correct the "
                "system clock. If it already shows the right time, see docs/troubleshooting.md"
            )
        stamp.touch()
        os.utime(stamp, (now, now))
    except OSError as error:
        raise PreflightError(
            f"{results}/ cannot be written ({error.strerror}: {error.filename}); make it writable, "
            "or set `results` in the config to another folder"
        ) from error


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))

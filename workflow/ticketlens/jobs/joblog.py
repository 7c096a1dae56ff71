"""The log of one job: a file, and the terminal; expected errors as one clear message."""

from __future__ import annotations

import errno
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from ticketlens.jobs import plugins

log = logging.getLogger("ticketlens")
FULL = "free some space there and run Snakemake again; a training goes on from its last saved state"
PERMISSIONS = "this user may not do that: change the permissions of the file and its folder"
MEMORY = (
    "run fewer jobs at once (--cores, or --set-resources RULE:mem_mb=N so that Snakemake and SLURM "
    "count what a job takes); for a training also fewer channels or a smaller training.batch_size, "
    "for a measurement fewer measure.*images; nothing is lost, a training goes on from its last "
    "saved state"
)
# What PyTorch says on a CPU and on a GPU; NumPy and Python raise MemoryError.
_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|not enough memory", re.IGNORECASE)
HINTS = {
    errno.ENOMEM: MEMORY,
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: "the file system is read-only: make it writable, or set another `results` folder",
    errno.EACCES: PERMISSIONS,
    errno.EPERM: PERMISSIONS,
    errno.EIO: "the disk or the network file system fails: look at it before anything else",
}


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send log messages to `path` and standard error while the block runs; load the plugins.

    An error that a user can act on (ValueError, ArithmeticError, OSError, AssertionError) ends the
    job with its message alone. Raises SystemExit, code 1. Anything else keeps its traceback, in the
    log as well. Built-in exceptions may point to a bug, so the message ends with the file and line
    that raised them. Memory that runs out ends the job with what to change.
    """
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    handlers: list[logging.Handler] = [
        logging.FileHandler(path, mode="w"),
        logging.StreamHandler(sys.stderr),
    ]
    for handler in handlers:
        handler.setFormatter(formatter)
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        plugins.load()
        yield
    except (ValueError, ArithmeticError, OSError, AssertionError) as error:
        hint = HINTS.get(cast(int, error.errno), "") if isinstance(error, OSError) else ""
        log.error("%s%s", _described(error), hint and f"; {hint}")
        raise SystemExit(1) from error
    except Exception as error:
        if not is_out_of_memory(error):
            log.exception("unexpected error")
            raise
        first = printable_line(error)
        log.error("out of memory: %s; %s", first, MEMORY)
        raise SystemExit(1) from error
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's, NumPy's, or PyTorch's RuntimeError."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))
    )


def printable_line(error: BaseException) -> str:
    """Return class and first line of an error: PyTorch's messages go on for a page."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _described(error: BaseException) -> str:
    """Return class and message of an error; of ValueError and the like, where it was raised."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) or type(error).__module__.startswith("ticketlens"):
        return text
    if where := plugins.line_of(error):
        return f"{text} ({where})"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"

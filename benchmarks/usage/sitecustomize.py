"""Note what each Python process used when it ends: Python imports this where PYTHONPATH has it.

So jobs are measured as they run under Snakemake, imports and interpreter included. Nothing happens
unless TICKETLENS_USAGE names the file to append to.
"""

import atexit
import json
import os
import resource
import sys


def peak_mib() -> float:
    """Return this process's peak memory in MiB.

    Linux counts what the process that started this one held into ru_maxrss, but not into VmHWM.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 2**10
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)


def note(path: str) -> None:
    """Append one line of JSON: program, CPU seconds, peak memory in MiB of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    line = {
        "program": os.path.basename(sys.argv[0]),
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": peak_mib(),
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if os.environ.get("TICKETLENS_USAGE"):
    atexit.register(note, os.environ["TICKETLENS_USAGE"])

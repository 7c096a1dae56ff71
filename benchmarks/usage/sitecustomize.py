"""Note what each Python process used when it ends: Python imports this where PYTHONPATH has it.

So jobs are measured as they run under Snakemake, imports and interpreter included. Nothing happens
unless TICKETLENS_USAGE names the file to append to.
"""

import atexit
import json
import os
import resource
import sys


def note(path: str) -> None:
    """Append one line of JSON: program, CPU seconds, peak memory in MiB of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    line = {
        "program": os.path.basename(sys.argv[0]),
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if os.environ.get("TICKETLENS_USAGE"):
    atexit.register(note, os.environ["TICKETLENS_USAGE"])

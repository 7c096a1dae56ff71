"""What Snakemake works out anew for every job, worked out once: an eighth of a long dry run.

A dry run of the full study plans nine thousand jobs, and Snakemake (9.27) asks for each of them
what is the same for all: which arguments an input function takes, where its script stands, and
whether that can be read. Nothing in a run changes these answers. What depends on a job, or on a
file of the results, is asked as ever.

A graph of that many jobs is also one heap of living objects. Python's garbage collector walks it
again and again and finds nothing, and once more, all of it, when the process ends: a fifth of a dry
run. So it rests while jobs are planned, and lets what is there at the end go with the process.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from typing import Any

WHILE_PLANNING = (2_000_000, 50, 100)
"""Thresholds of Python's garbage collector: more new objects than a dry run keeps."""
WHILE_RUNNING = (100_000, 50, 100)


def work_out_once() -> None:
    """Keep these answers, and let the garbage collector rest.

    A Snakemake that lacks one of these functions keeps its own way there, which costs time alone.
    """
    plan_without_collecting()
    with suppress(ImportError, AttributeError):
        from snakemake import sourcecache

        sourcecache.parse_uri = kept(sourcecache.parse_uri)
    with suppress(ImportError, AttributeError):
        from snakemake import common, rules

        common.get_function_params = kept(common.get_function_params)
        rules.get_function_params = common.get_function_params
    with suppress(ImportError, AttributeError):
        from snakemake.dag import ScriptProcessor

        ScriptProcessor.process_job = once_a_script(ScriptProcessor.process_job)


def plan_without_collecting() -> None:
    """Let the garbage collector rest until `jobs_begin`, and when the process ends."""
    gc.set_threshold(*WHILE_PLANNING)
    atexit.register(gc.freeze)


def jobs_begin() -> None:
    """Collect what planning left, if anything, at a pace for a run of hours."""
    gc.set_threshold(*WHILE_RUNNING)


def kept(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function, which is asked once for each argument that can be a key."""
    answers = cache(function)

    @wraps(function)
    def answer(argument: Any) -> Any:
        try:
            hash(argument)
        except TypeError:
            return function(argument)
        return answers(argument)

    return answer


def once_a_script(process: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return Snakemake's look at the script of a job, taken at the first job of each script."""

    @wraps(process)
    def look(self: Any, job: Any) -> None:
        rules = self.__dict__.setdefault("rules_seen", {})
        if id(job.rule) in rules:
            return
        scripts = self.__dict__.setdefault("scripts_seen", set())
        script = str(getattr(job.rule, self.script_type))
        place = (script, str(job.rule.basedir))
        is_one = "{" not in script  # no wildcards or params in its path
        if not is_one or place not in scripts:
            process(self, job)
            scripts.add(place)
        if is_one:
            rules[id(job.rule)] = job.rule  # kept, so that no other rule takes its id

    return look

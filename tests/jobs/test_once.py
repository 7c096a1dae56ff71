"""What is worked out once per run is asked once, answers the same, and is still there to patch."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import SimpleNamespace

import snakemake.api  # noqa: F401  first: the modules below import each other
from snakemake import common, dag, rules, sourcecache

from ticketlens.jobs.once import kept, once_a_script


def test_this_snakemake_has_the_functions_whose_answers_are_kept() -> None:
    assert list(inspect.signature(sourcecache.parse_uri).parameters) == ["path_or_uri"]
    assert list(inspect.signature(common.get_function_params).parameters) == ["func"]
    assert rules.get_function_params.__name__ == "get_function_params"
    assert list(inspect.signature(dag.ScriptProcessor.process_job).parameters) == ["self", "job"]
    assert {"script", "notebook"} == {
        processor.script_type for processor in (dag.ScriptProcessor, dag.NotebookProcessor)
    }


def test_the_collector_rests_while_jobs_are_planned_and_when_the_process_ends() -> None:
    # What is registered first runs last: it is asked after the freeze.
    code = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count()))
from ticketlens.jobs import once
def collections_of_a_graph():
    before = gc.get_stats()[0]["collections"]
    graphs.append([[] for _ in range(500_000)])
    return gc.get_stats()[0]["collections"] - before
graphs = []
once.plan_without_collecting()
print(collections_of_a_graph())
once.jobs_begin()
print(collections_of_a_graph())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    planning, running, frozen = map(int, said.stdout.split())
    assert planning == 0 and running >= 4
    assert frozen > 1_000_000


def test_an_answer_is_kept_where_the_argument_can_be_a_key() -> None:
    asked = []
    length = kept(lambda value: asked.append(value) or len(value))
    assert [length("ab"), length("ab"), length([1]), length([1])] == [2, 2, 1, 1]
    assert asked == ["ab", [1], [1]]


def job(script: str, basedir: str = "rules") -> SimpleNamespace:
    return SimpleNamespace(rule=SimpleNamespace(script=script, basedir=basedir))


def test_each_script_is_looked_at_once_and_one_with_wildcards_for_every_job() -> None:
    looked: list[str] = []
    look = once_a_script(lambda self, job: looked.append(job.rule.script))
    processor, other = (SimpleNamespace(script_type="script") for _ in range(2))
    for name in ("a.py", "a.py", "{x}.py", "{x}.py", "b.py"):
        look(processor, job(name))
    look(processor, job("a.py", basedir="elsewhere"))
    look(other, job("a.py"))  # another graph of jobs
    assert looked == ["a.py", "{x}.py", "{x}.py", "b.py", "a.py", "a.py"]

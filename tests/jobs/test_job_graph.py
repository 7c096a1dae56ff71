"""The shorter ways of planning answer as Snakemake's own do, and are still there to replace."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.api
from snakemake import dag, io, iocontainers, jobs, output_index, path_modifier
from snakemake.persistence.file import FilePersistence
from snakemake.rules import Rule as SnakemakeRule

from ticketlens.jobs import job_graph
from workflow_tools import clone, environment
from workflow_tools import jobs as jobs_of

PATTERNS = (
    *("results/{study}/chi.png", "results/chi.png", "results/{key}-{state}.png"),
    *("results/checkpoints/{arm}/ticket.h5", "results/checkpoints/{arm}/trained.h5"),
    *("resources/{name}.h5", "{anything}", "a{x}a", "results/{study}/tables/{table}.csv"),
)


@dataclass(frozen=True)
class Rule:
    """A rule of one output, as the index asks it."""

    pattern: str

    def products(self) -> Iterator[Any]:
        yield io.IOFile(self.pattern)

    def is_producer(self, file: str) -> bool:
        return any(pattern.match(file) for pattern in self.products())


def arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_this_snakemake_is_one_that_the_ways_were_compared_with() -> None:
    assert snakemake.__version__.startswith(job_graph.COMPARED)
    names = ["jobs", "file", "visited", "known_producers", "progress", "create_inventory"]
    assert arguments(dag.DAG.update) == ["self", *names]
    assert arguments(dag.DAG.check_directory_outputs) == ["self"]
    assert arguments(jobs.Job.is_valid) == ["self"]
    assert arguments(jobs.Job.missing_output) == ["self", "requested"]
    assert arguments(jobs.Job.check_protected_output) == ["self"]
    assert isinstance(jobs.Job.output_mintime, property)
    assert arguments(io.IOCache.mtime_inventory) == ["self", "jobs", "n_workers"]
    assert arguments(FilePersistence._filter_incomplete_keys) == ["self", "keys"]
    modified = ["self", "item", "path_modifier", "property"]
    assert arguments(SnakemakeRule.apply_path_modifier) == modified
    assert arguments(io.is_flagged) == ["value", "flag"]
    assert arguments(io.get_flag_value) == ["value", "flag_type"]
    assert arguments(io.is_callable) == ["value"]
    assert arguments(io._IOFile.__new__) == ["cls", "file", "rule"]
    assert arguments(io._IOFile.apply_wildcards) == ["self", "wildcards"]
    assert arguments(iocontainers.Namedlist._set_name) == ["self", "name", "index", "end"]
    assert isinstance(jobs.Job.conda_env_spec, property)
    assert isinstance(io._IOFile.is_storage, property)
    assert arguments(io._IOFile.check) == arguments(io._IOFile.exists) == ["self"]
    assert arguments(io.apply_wildcards) == ["pattern", "wildcards"]
    lists = ["toclone", "fromdict", "plainstr", "strip_constraints", "custom_map"]
    assert arguments(iocontainers.Namedlist.__init__) == ["self", *lists]
    assert arguments(SnakemakeRule.expand_conda_env) == ["self", "wildcards", "params", "input"]
    assert dag.OutputIndex.__name__ == output_index.OutputIndex.__name__


def test_another_release_keeps_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that `plan_quickly` puts in places of Snakemake stays as it is."""
    modules = (dag, io, jobs, path_modifier)
    files = (io._IOFile, io.IOCache, FilePersistence, iocontainers.Namedlist)
    places = (dag.DAG, jobs.Job, SnakemakeRule, *modules, *files)
    before = [dict(vars(place)) for place in places]
    monkeypatch.setattr(snakemake, "__version__", "9.99.0")
    job_graph.plan_quickly()
    assert [dict(vars(place)) for place in places] == before


def test_the_same_rules_can_make_a_file() -> None:
    rules = [Rule(pattern) for pattern in PATTERNS]
    usual = output_index.OutputIndex(rules)
    quick = job_graph.by_suffix(output_index.OutputIndex)(rules)
    empty = job_graph.by_suffix(output_index.OutputIndex)([])
    assert empty.match("a.csv") == empty.match_producers("a.csv") == set()
    names = ("chi.png", "ticket.h5", "trained.h5", "tables/q.csv", "chi-init.png", "aba")
    for folder, name in product(("", "results/", "results/checkpoints/a/", "resources/"), names):
        assert quick.match(folder + name) == usual.match(folder + name), folder + name
        assert quick.match_producers(folder + name) == usual.match_producers(folder + name)


def test_a_pattern_that_is_no_regular_expression_is_left_to_snakemake() -> None:
    rules = [Rule("results/{study,(}.png")]
    index = job_graph.by_suffix(output_index.OutputIndex)(rules)
    with pytest.raises((ValueError, re.error)):
        index.match_producers("results/a.png")


def test_a_producer_is_noted_once_it_is_found() -> None:
    async def found(*_: Any) -> str:
        return "the job"

    async def fails(*_: Any) -> str:
        raise KeyError

    known: dict[str, Any] = {}
    run = job_graph.noting_producers
    assert asyncio.run(run(found)(None, ["a", "b"], file="x.csv", known_producers=known))  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        asyncio.run(run(fails)(None, ["a"], file="y.csv", known_producers=known))  # type: ignore[arg-type]
    asyncio.run(run(found)(None, ["a"]))  # type: ignore[arg-type]
    assert known == {"x.csv": ["the job"]}


@pytest.mark.parametrize(
    ("outputs", "nested"),
    [
        (["a/b.csv", "a/c.csv", "d.csv"], False),
        (["a/b", "a/b-c", "a/b/c.csv"], True),
        (["a", "a/b/c/d.csv"], True),
        (["a/b", "./a/b/c"], True),
    ],
)
def test_an_output_within_another_is_left_to_snakemake(outputs: list[str], nested: bool) -> None:
    asked: list[Any] = []
    graph = SimpleNamespace(
        jobs=[SimpleNamespace(output=outputs[:1]), SimpleNamespace(output=outputs[1:])]
    )
    job_graph.if_nested(asked.append)(graph)
    assert asked == [graph] * nested


def a_job(environment: Any, dryrun: bool) -> SimpleNamespace:
    rule = SimpleNamespace(_conda_env=environment, expand_conda_env=lambda wildcards: "of the rule")
    graph = SimpleNamespace(workflow=SimpleNamespace(dryrun=dryrun))
    return SimpleNamespace(_conda_env_spec=None, rule=rule, dag=graph, wildcards_dict={})


@pytest.mark.parametrize(
    ("environment", "dryrun", "said"),
    [
        ("envs/train.yaml", True, "of the rule"),
        (None, True, "of the rule"),
        (lambda wildcards, params: "", True, "with params"),
        ("envs/train.yaml", False, "with params"),
    ],
)
def test_params_are_needed_where_an_environment_may_depend_on_them(
    environment: Any, dryrun: bool, said: str
) -> None:
    spec = job_graph.of_rule(lambda job: "with params")
    assert spec(a_job(environment, dryrun)) == said


class File(str):
    """A file as jobs ask it: when it was made, None if it is not there."""

    is_storage = False

    def __new__(cls, name: str, time: float | None = None, protected: bool = False) -> File:
        made = super().__new__(cls, name)
        made.time, made.is_protected, made.asked = time, protected, 0
        return made

    time: float | None
    is_protected: bool
    asked: int

    async def exists(self) -> bool:
        return self.time is not None

    async def mtime(self) -> Any:
        self.asked += 1
        return SimpleNamespace(local_or_storage=lambda: self.time)

    async def protected(self) -> bool:
        return self.is_protected


def job_of(*output: File, input: tuple[File, ...] = (), benchmark: File | None = None) -> Any:
    by_path = {str(file): file for file in output}
    return SimpleNamespace(input=input, output=output, benchmark=benchmark, output_by_path=by_path)


def test_the_oldest_output_counts_and_the_benchmark_is_one() -> None:
    def oldest(*arguments: Any, **more: Any) -> float | None:
        return asyncio.run(job_graph.oldest_output(job_of(*arguments, **more)))  # type: ignore[arg-type]

    assert oldest(File("a", 3), File("b", 2), File("c")) == 2
    assert oldest(File("a", 3), benchmark=File("b", 1)) == 1
    assert oldest(File("a"), benchmark=File("b")) is None
    assert oldest() is None


def test_missing_are_files_that_are_not_there_and_pipes() -> None:
    piped = File("piped", 1)
    missing = job_graph.missing(lambda file, flag: file is piped and flag == "pipe")

    async def found(requested: list[Any]) -> list[Any]:
        job = job_of(File("there", 1), File("gone"), piped)
        return [file async for file in missing(job, requested)]

    assert asyncio.run(found(["there", "gone", "piped", File("other")])) == [
        "gone",
        "piped",
        "other",
    ]


def test_protected_outputs_are_named() -> None:
    class Protected(Exception):
        pass

    check = job_graph.unprotected(Protected)
    asyncio.run(check(job_of(File("a", 1), File("gone", None, protected=True))))  # type: ignore[arg-type]
    with pytest.raises(Protected) as error:
        asyncio.run(check(job_of(File("a", 1), File("b", 1, protected=True))))  # type: ignore[arg-type]
    assert error.value.args[1] == ["b"]


def test_the_time_of_each_file_is_asked_once() -> None:
    asked: list[str] = []

    async def collect(file: File) -> float | None:
        asked.append(file)
        return file.time

    stored = File("stored", 1)
    stored.is_storage = True
    cache = SimpleNamespace(mtime={"known": 7}, collect_mtime=collect)
    made = job_of(File("a", 1), input=(stored, File("known", 2), File("gone")))
    jobs = [made, job_of(File("b", 2), input=made.output, benchmark=File("c", 3))]
    asyncio.run(job_graph.note_times(cache, jobs))  # type: ignore[arg-type]
    assert asked == ["a", "b", "c"] and cache.mtime == {"known": 7, "a": 1, "b": 2, "c": 3}


def test_files_are_renamed_where_a_module_or_a_storage_does() -> None:
    def renamed(**settings: Any) -> bool:
        storage = SimpleNamespace(default_storage_provider=settings.pop("storage", None))
        workflow = SimpleNamespace(storage_settings=storage)
        modifier = path_modifier.PathModifier(workflow=workflow, **settings)
        apply = job_graph.if_modified(lambda *_, **__: "renamed", path_modifier.PathModifier)
        return bool(apply(None, "a.csv", modifier, property="input") == "renamed")

    base: dict[str, Any] = {"replace_prefix": None, "prefix": None}
    inner = path_modifier.PathModifier(
        None, "inner/", SimpleNamespace(storage_settings=SimpleNamespace())
    )
    assert not renamed(**base)
    assert renamed(**base | {"prefix": "in/"}) and renamed(**base | {"storage": "s3"})
    assert renamed(**base | {"replace_prefix": {"a": "b"}})
    assert renamed(**base, inner_modifier=inner)


def test_incomplete_files_are_looked_for_unless_none_is_known() -> None:
    incomplete = job_graph.if_any(lambda self, keys: {"asked"})
    said = {
        name: incomplete(SimpleNamespace(_incomplete_cache=cache), ["a"])
        for name, cache in {"not read": None, "none": set(), "some": {"@a"}}.items()
    }
    assert said == {"not read": {"asked"}, "none": set(), "some": {"asked"}}


@pytest.mark.workflow
def test_the_plan_of_the_quick_study_is_the_same_to_the_letter(tmp_path: Path) -> None:
    """With files of a run that was changed: tables are gone, some measurements are newer."""
    folder = clone(tmp_path / "clone")

    def planned(releases: tuple[str, ...]) -> list[tuple[Any, ...]]:
        code = (
            f"from ticketlens.jobs import job_graph; job_graph.COMPARED = {releases}\n"
            "from snakemake.cli import main; main(['-n', '--configfile', 'config/quick.yaml'])"
        )
        said = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**environment(), "PYTHONPATH": str(folder / "workflow")},
            capture_output=True,
            text=True,
            check=True,
        )
        return sorted(
            (job.rule, job.inputs, job.outputs, sorted(re.split("[;,:] ", job.reason)))
            for job in jobs_of(said.stdout)
        )

    fresh = planned(job_graph.COMPARED)
    assert len(fresh) > 300
    for at, (rule, _, outputs, _) in enumerate(fresh):
        time = 1e9 + (rule == "measure_weights" and at % 5)
        for path in (
            folder / name for name in outputs if at % 3 or not rule.startswith("tabulate")
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("made")
            os.utime(path, (time, time))
    usual = planned(())
    assert 10 < len(usual) < len(fresh)
    assert any("Updated input files" in word for *_, reason in usual for word in reason)
    assert planned(job_graph.COMPARED) == usual

"""The shorter ways of planning answer as Snakemake's own do, and are still there to replace."""

from __future__ import annotations

import asyncio
import inspect
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
from snakemake import dag, io, iocontainers, jobs, output_index
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
    assert arguments(io.is_flagged) == ["value", "flag"]
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
    places = (dag.DAG, dag, jobs.Job, io, jobs, iocontainers.Namedlist, io._IOFile)
    before = [dict(vars(place)) for place in places]
    monkeypatch.setattr(snakemake, "__version__", "9.99.0")
    job_graph.plan_quickly()
    assert [dict(vars(place)) for place in places] == before


def test_the_same_rules_can_make_a_file() -> None:
    rules = [Rule(pattern) for pattern in PATTERNS]
    usual = output_index.OutputIndex(rules)
    quick = job_graph.by_suffix(output_index.OutputIndex)(rules)
    names = ("chi.png", "ticket.h5", "trained.h5", "tables/q.csv", "chi-init.png", "aba")
    for folder, name in product(("", "results/", "results/checkpoints/a/", "resources/"), names):
        assert quick.match(folder + name) == usual.match(folder + name), folder + name
        assert quick.match_producers(folder + name) == usual.match_producers(folder + name)


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


def test_flags_are_seen_on_texts_files_and_functions() -> None:
    is_flagged = job_graph.flagged(io.is_flagged, io.AnnotatedString, io._IOFile)
    temp, function = io.temp("a.csv"), io.unpack(lambda wildcards: [])
    values = ["a.csv", temp, function, io.IOFile("a.csv"), io.IOFile(temp), io.IOFile(function)]
    values += [io.flag("a.csv", "temp", False), lambda wildcards: "", None, 1]
    for value, flag in product(values, ("temp", "unpack", "directory")):
        assert is_flagged(value, flag) == io.is_flagged(value, flag), (value, flag)


def test_files_are_what_their_paths_are() -> None:
    is_storage = job_graph.stored(lambda file: True, io.AnnotatedString)
    asked: list[Any] = []
    check = job_graph.if_strange(asked.append)
    plain = ["a.csv", io.temp("results/a-b/seed0/c_1.csv"), "resources/x+y=1.h5"]
    strange = ["./a", "a//b", " a", "a ", "a\nb", "{a.b}", "/a/b", ""]
    for text in [*plain, *strange]:
        file = io.IOFile(text)
        assert hash(file) == hash(str(text)) == file._file.__hash__() and file == text
        assert is_storage(file) == bool(file.flags)
        check(file)
    assert asked == [io.IOFile(text) for text in strange]


def test_wildcards_are_applied_as_ever() -> None:
    apply_wildcards = job_graph.in_parts(io.WILDCARD_REGEX, io.WildcardError)
    wildcards = {"study": "a-b", "seed": 1}
    patterns = (
        "a.csv",
        r"{study,a-b|c}/seed{seed,0|[1-9]\d{0,3}}.h5",
        "{study}{study}",
        "{}",
        "{ seed }",
    )
    for pattern in (*patterns, io.temp("{seed}.h5")):
        assert apply_wildcards(pattern, wildcards) == io.apply_wildcards(pattern, wildcards)
    with pytest.raises(io.WildcardError, match="arm"):
        apply_wildcards("{study}/{arm}.h5", wildcards)


def test_lists_of_names_are_made_as_ever() -> None:
    class Quick(iocontainers.Namedlist):  # type: ignore[type-arg]
        __init__ = job_graph.guarded(iocontainers.Namedlist.__init__, iocontainers.AttributeGuard)

    values = {"arm": "imp", "index": 7}
    quick, usual = Quick(fromdict=values), iocontainers.Namedlist(fromdict=values)
    assert list(quick) == list(usual) and quick.arm == "imp" and quick.index == usual.index == 7
    assert quick.__dict__.keys() == usual.__dict__.keys() and quick._names == usual._names
    assert dict(Quick(toclone=quick).items()) == values
    for made in (quick, Quick(), Quick(["a"]), usual):
        with pytest.raises(AttributeError, match=r"sort.. cannot be used"):
            made.sort()
    with pytest.raises(AttributeError, match="reserved"):
        Quick(fromdict={"keys": 1})


def test_a_file_is_there_as_its_folder_was_noted() -> None:
    async def asks(file: Any) -> str:
        return "asked"

    exists = job_graph.known(asks)  # type: ignore[arg-type]
    noted = io.ExistsDict(None)
    noted["seen/a.csv"] = True
    noted.has_inventory.add("seen")
    cache = SimpleNamespace(active=True, exists_local=noted)
    rule = SimpleNamespace(workflow=SimpleNamespace(iocache=cache))

    def said(path: str) -> Any:
        file = io.IOFile(path)
        file.rule = rule
        return asyncio.run(exists(file))  # type: ignore[arg-type]

    assert [said(path) for path in ("seen/a.csv", "seen/b.csv", "new/a.csv", "a.csv")] == [
        True,
        False,
        "asked",
        "asked",
    ]
    cache.active = False
    assert said("seen/a.csv") == "asked"


@pytest.mark.workflow
def test_the_plan_of_the_quick_study_is_the_same_to_the_letter(tmp_path: Path) -> None:
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
        return sorted((job.rule, *job.inputs, *job.outputs) for job in jobs_of(said.stdout))

    usual = planned(())
    assert len(usual) > 300
    assert planned(job_graph.COMPARED) == usual

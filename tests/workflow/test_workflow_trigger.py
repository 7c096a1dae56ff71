"""The rerun trigger on a finished run: exact to the definition, and sound for what jobs really ran.

`tests/jobs/test_edits.py` and `test_soundness.py` are the same in small, without a run.

Soundness by a profiler: every function that a job of any kind called belongs to its digest. A
profiler sees no constants, so the constants that these functions load are looked up in their
bytecode, and must belong to the digest, too.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType

import pytest

import edits
import every_kind
from every_kind import Ran
from soundness import lines, missing
from ticketlens.checkpoint import read
from ticketlens.jobs.fingerprint import closure
from ticketlens.jobs.reach import Library, Node, Reached
from ticketlens.study.entries import entries
from ticketlens.study.plan import Plan
from ticketlens.study.stacks import stacks
from workflow_tools import Job, copy_run, jobs, script_rules

pytestmark = [pytest.mark.workflow, pytest.mark.nightly]
PLAN = Plan(every_kind.config(), "<results>")
CATALOGUES = {"measure.py": "MEASUREMENTS", "tabulate.py": "TABLES", "plot.py": "FIGURES"}
CONVOLUTIONAL = ("convnet-normal", "resnet-conv-normal")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return every_kind.every_kind(tmp_path_factory)


@pytest.fixture
def edited(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, free to edit."""
    return copy_run(finished, tmp_path / "edited")


def planned(root: Path, *overlays: str) -> list[Job]:
    """The jobs of `all` that a dry run plans."""
    return jobs(every_kind.finish(root, "-n", "all", overlays=overlays))


def changed(planned: list[Job]) -> list[Job]:
    """The jobs that run for their own sake, not because of their inputs."""
    return [job for job in planned if job.is_changed]


# --- the table: an edit, and what it plans -------------------------------------------------------


def test_a_finished_run_plans_nothing(finished: Path) -> None:
    assert planned(finished) == []


@pytest.mark.parametrize("edit", edits.FREE, ids=lambda edit: edit.__name__)
def test_an_edit_that_changes_no_result_plans_nothing(edited: Path, edit: edits.Edit) -> None:
    edit(edited / "workflow")
    assert planned(edited) == []


def test_a_line_of_erk_counts_plans_what_hangs_on_the_arms_that_use_it(edited: Path) -> None:
    edits.erk(edited / "workflow")
    again = planned(edited)
    erk = {name for name, arm in PLAN.arms.items() if arm.mask == "erk"}
    made = changed(again)
    assert {job.rule for job in made} == {"construct"}
    assert len(made) == len(erk) == 2
    of_arms = [name for job in again for name in job.outputs if "/round0" in name]
    assert of_arms and all(name.split("/")[-2] in erk for name in of_arms)


def test_a_line_of_convolutional_plans_jobs_of_convolutional_studies(edited: Path) -> None:
    edits.convolutional(edited / "workflow")
    again = planned(edited)
    assert "train" in {job.rule for job in changed(again)}
    single = [name for job in again for name in job.outputs if "/round0" in name]
    assert single and all(any(f"/{study}/" in name for study in CONVOLUTIONAL) for name in single)
    assert changed(again) and all("study" in job.wildcards for job in changed(again))


def test_a_line_of_the_chi_figure_plans_that_figure_and_the_index(edited: Path) -> None:
    edits.chi_figure(edited / "workflow")
    again = planned(edited)
    assert {job.rule for job in again} == {"plot_chi", "index"}
    assert [job.rule for job in changed(again)] == ["plot_chi"]


@pytest.mark.parametrize(
    "key", ["rate: 0.3", "readout_rate: 0.2", "criterion: random", "scope: global"]
)
def test_another_pruning_begins_with_the_first_pruning(finished: Path, key: str) -> None:
    file = finished.parent / f"{key.split(':')[0]}.yaml"
    file.write_text(f"pruning: {{{key}}}\n", encoding="utf-8")
    again = planned(finished, str(file))
    assert {job.rule for job in changed(again)} >= {"prune"}
    assert {"init", "prepare_dataset"}.isdisjoint(job.rule for job in again)
    assert not [name for job in again for name in job.outputs if "/round00/" in name]


def test_jobs_after_another_pruning_accept_the_dense_checkpoints(edited: Path) -> None:
    """Prune, rewind and train of round 1, on files that name the pruning of before."""
    file = edited / "pruning.yaml"
    keys = "rate: 0.3, readout_rate: 0.2, criterion: random, scope: global"
    file.write_text(f"pruning: {{{keys}}}\n", encoding="utf-8")
    chain = edited / "results/quick/checkpoints/fcnet-normal/seed0"
    before = {name: (chain / "round00/imp" / name).stat() for name in ("ticket.h5", "trained.h5")}
    target = (chain / "round01/imp/trained.h5").relative_to(edited)
    every_kind.finish(edited, str(target), "--cores", "1", overlays=(file.name,))
    trained = read(edited / target, kind="trained")
    assert (trained.spec.pruning.rate, trained.spec.pruning.scope) == (0.3, "global")
    assert abs(trained.density - 0.7) < 0.02
    for name, stat in before.items():
        assert (chain / "round00/imp" / name).stat().st_mtime_ns == stat.st_mtime_ns


# --- soundness -----------------------------------------------------------------------------------


@cache
def reach(
    root: Path, script: str, study: str | None, arm: str | None, entry: str | None
) -> Reached:
    """What the digest of a job covers."""
    chosen = dict(entries(PLAN.specs, PLAN.all_arms, "folder", study, arm))
    if entry is not None:
        chosen[CATALOGUES[script]] = frozenset([entry])
    workflow = root / "workflow"
    return closure(workflow / "scripts" / script, workflow / "ticketlens", chosen)


# Rules without wildcards, by the study that they say their code is of.
STACKED = {stack.name: stack.study for stack in stacks(PLAN)}


def of_job(root: Path, job: Ran) -> Reached:
    wildcards = job.wildcards
    study = wildcards.get("study", STACKED.get(job.rule))
    return reach(root, job.script, study, wildcards.get("arm"), job.entry)


# Kinds of jobs: scripts, the generic ones by their entry of the catalogue. Rules may share one.
KINDS = {
    (f"{rule.script}.py", next((key for keys in rule.entries.values() for key in keys), None))
    for rule in script_rules()
}


# It takes a file of another system, which this run does not have.
NOT_RUN = {("adopt.py", None)}


def test_every_function_that_a_job_ran_belongs_to_its_digest(finished: Path) -> None:
    records = every_kind.records(finished)
    assert {(job.script, job.entry) for job in records} >= KINDS - NOT_RUN
    functions = 0
    for job in records:
        reached = of_job(finished, job)
        assert reached.digest() == job.code, f"{job.rule} {dict(job.wildcards)}"
        assert missing(job.ran, lines(reached)) == [], job.rule
        functions += len(job.ran)
    assert functions > 5000


def test_a_name_taken_out_of_a_digest_is_noticed(finished: Path) -> None:
    job = next(job for job in every_kind.records(finished) if job.rule == "prune")
    reached = of_job(finished, job)
    node = ("ticketlens.tickets.pruning", "remove_lowest")
    assert node in reached.nodes
    assert "remove_lowest" in str(missing(job.ran, lines(reached, without=node)))


def test_every_constant_that_a_job_loaded_belongs_to_its_digest(finished: Path) -> None:
    seen: set[tuple[str, tuple[str, int, str]]] = set()
    checked = 0
    for job in every_kind.records(finished):
        reached = of_job(finished, job)
        for ran in job.ran:
            if (job.code, ran) in seen:
                continue
            seen.add((job.code, ran))
            for node in constants(reached.library, *ran):
                assert node in reached.nodes, f"{job.rule}: {ran} loads {node}"
                checked += 1
    assert checked > 500


def test_every_definition_in_reach_changes_the_digest(finished: Path) -> None:
    """Constants and defaults included: the colour of each is part of it."""
    for job in {job.rule: job for job in every_kind.records(finished)}.values():
        reached = of_job(finished, job)
        for node in reached.nodes:
            if reached.library.definition(node).own:
                less = Reached.__new__(Reached)
                less.__dict__ |= vars(reached) | {"nodes": reached.nodes - {node}}
                same = [
                    other
                    for other in reached.nodes - {node}
                    if reached.library.colour(other) == reached.library.colour(node)
                ]
                assert same or less.digest() != reached.digest(), f"{job.rule}: {node}"


def constants(own: Library, file: str, line: int, name: str) -> Iterator[Node]:
    """Definitions of the package that a function loads by a global name, from its bytecode."""
    module = "ticketlens." + file.removesuffix(".py").replace("/", ".")
    code = code_at(own.package / file, line, name)
    for instruction in dis.get_instructions(code) if code else ():
        if instruction.opname == "LOAD_GLOBAL":
            yield from own.resolve(module, f".{instruction.argval}")[0][:1]


class WithoutCasts(ast.NodeTransformer):
    """`cast(type, value)` loads its type and does nothing with it: a digest leaves it out."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        is_cast = isinstance(node.func, ast.Name) and node.func.id == "cast"
        return node.args[1] if is_cast else node


@cache
def code_at(file: Path, line: int, name: str) -> CodeType | None:
    tree = WithoutCasts().visit(ast.parse(file.read_text(encoding="utf-8")))
    pending = [compile(tree, str(file), "exec")]
    while pending:
        code = pending.pop()
        if (code.co_firstlineno, code.co_name) == (line, name):
            return code
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return None

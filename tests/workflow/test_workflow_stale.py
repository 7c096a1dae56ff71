"""Never stale, never spurious: a change plans exactly the jobs that depend on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ticketlens.jobs.fingerprint import fingerprint
from workflow_tools import Job, Rule, copy_run, finished_run, overlay, plan, script_rules, snakemake

pytestmark = pytest.mark.workflow
NOTHING = "Nothing to be done"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def every_job(finished: Path) -> list[Job]:
    return plan(finished, "all", "--forceall")


@pytest.fixture
def edited(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, free to edit."""
    return copy_run(finished, tmp_path / "edited")


def append(file: Path, text: str) -> None:
    with open(file, "a", encoding="utf-8") as opened:
        opened.write(text)


def of(root: Path, rule: Rule) -> str:
    workflow = root / "workflow"
    script = workflow / "scripts" / f"{rule.script}.py"
    return fingerprint(script, workflow / "ticketlens", rule.entries)


def rules_with_other_code(finished: Path, edited: Path) -> set[str]:
    """The rules whose script, or entry of the catalogue, reaches the edit."""
    return {rule.name for rule in script_rules() if of(finished, rule) != of(edited, rule)}


def files(jobs: list[Job]) -> set[str]:
    return {name for job in jobs for name in job.outputs}


def depending(jobs: list[Job], rules: set[str]) -> set[str]:
    """Files that these rules make, and all that is made from them."""
    found: set[str] = set()
    for job in jobs * len(jobs):  # often enough for the longest chain
        if job.rule in rules or found & set(job.inputs):
            found |= set(job.outputs)
    return found


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("tickets/pruning", 'kind="stable"', 'kind="mergesort"'),
        ("training/evaluation", "EVALUATION_BATCH = 1000", "EVALUATION_BATCH = 999"),
        ("figures/style", "rcParams.update(cast(Any, STYLE))", "rcParams.update({**STYLE})"),
    ],
)
def test_an_edited_definition_plans_the_rules_that_reach_it_and_what_depends_on_them(
    finished: Path, edited: Path, every_job: list[Job], module: str, old: str, new: str
) -> None:
    file = edited / f"workflow/ticketlens/{module}.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    affected = rules_with_other_code(finished, edited)
    planned = plan(edited, "all")
    assert files(planned) == depending(every_job, affected) != set()
    assert {job.rule for job in planned if job.is_changed} <= affected


def test_an_edited_script_plans_its_own_rules_and_what_depends_on_them(
    edited: Path, every_job: list[Job]
) -> None:
    append(edited / "workflow/scripts/rewind.py", "\nEDITED = True\n")
    planned = plan(edited, "all")
    assert files(planned) == depending(every_job, {"rewind"}) != set()
    assert {job.rule for job in planned if job.is_changed} == {"rewind"}
    assert not [name for name in files(planned) if "/round00/" in name]


def test_what_no_script_runs_plans_nothing(finished: Path, edited: Path) -> None:
    """Comments, docstrings, layout, a checkout's new modification times, and unused code."""
    for file in (*edited.glob("workflow/ticketlens/**/*.py"), *edited.glob("workflow/scripts/*")):
        text = file.read_text(encoding="utf-8")
        text = text.replace('"""', '"""Another first line.\n\n', 1).replace("\n\n\n", "\n\n")
        unused = (
            "\n\n# A last comment.\nUNUSED = 1\n" if "ticketlens" in str(file) else "\n# Last.\n"
        )
        file.write_text(text + unused, encoding="utf-8")
    for file in (edited / "Snakefile", *edited.glob("workflow/**/*"), *edited.glob("config/*")):
        os.utime(file)
    append(edited / "workflow/ticketlens/jobs/fingerprint.py", "\nEDITED = True\n")
    append(edited / "workflow/ticketlens/unused.py", "\nEDITED = True\n")
    assert rules_with_other_code(finished, edited) == set()
    assert NOTHING in snakemake(edited, "-n", "all")


def test_another_pruning_rate_plans_nothing_before_the_first_pruning(
    finished: Path, tmp_path: Path
) -> None:
    planned = plan(finished, "all", overlays=overlay(tmp_path, {"pruning": {"rate": 0.3}}))
    assert "prune" in {job.rule for job in planned if job.is_changed}
    assert "init" not in {job.rule for job in planned}
    assert not [name for name in files(planned) if "/round00/" in name]


def existing(root: Path, planned: list[Job]) -> list[Job]:
    """The planned jobs whose files are all there already."""
    return [job for job in planned if all((root / name).exists() for name in job.outputs)]


def test_an_extra_round_plans_the_new_round_and_the_tables_over_rounds(
    finished: Path, tmp_path: Path
) -> None:
    longer = overlay(tmp_path, {"pruning": {"rounds": 2}})
    planned = plan(finished, "all", overlays=longer)
    again = existing(finished, planned)
    new = [job for job in planned if job not in again]
    assert {"prune", "rewind", "train"} <= {job.rule for job in new}
    elsewhere = {n for job in new for n in job.outputs if "fcnet-normal/seed0/round02" not in n}
    # Ranks along a chain need more than two rounds; there was no such table before.
    chain = "predictors"
    assert elsewhere == {
        f"results/{name}" for name in (f"tables/{chain}.csv", f"{chain}.png", f"{chain}.pdf")
    }
    assert {"tabulate_accuracy", "plot_accuracy"} <= {job.rule for job in again}
    assert all("round" not in job.wildcards for job in again)


def test_an_extra_seed_plans_the_new_chain_and_the_tables_over_seeds(
    finished: Path, tmp_path: Path
) -> None:
    wider = overlay(tmp_path, {"studies": {"fcnet-normal": {"seeds": [0, 1]}}})
    planned = plan(finished, "all", overlays=wider)
    again = existing(finished, planned)
    new = [job for job in planned if job not in again]
    assert {"init", "prune", "rewind", "train"} <= {job.rule for job in new}
    assert all("fcnet-normal/seed1" in name for job in new for name in job.outputs)
    assert {"tabulate_accuracy", "plot_accuracy"} <= {job.rule for job in again}
    assert all("seed" not in job.wildcards for job in again)


def test_a_new_title_redraws_figures_claims_and_the_front_page_alone(
    finished: Path, tmp_path: Path
) -> None:
    titled = overlay(tmp_path, {"studies": {"fcnet-normal": {"title": "Tiny"}}})
    names = files(plan(finished, "all", overlays=titled))
    assert "results/accuracy.png" in names
    claims = {"results/claims.csv", "results/claims.md"}
    assert {Path(name).suffix for name in names - claims} == {".png", ".pdf", ".html"}


def test_another_learning_rate_trains_anew_in_every_study(finished: Path, tmp_path: Path) -> None:
    slower = overlay(tmp_path, {"training": {"learning_rate": 0.005}})
    planned = plan(finished, "all", overlays=slower)
    dense = [job for job in planned if job.rule == "train" and "/round00/" in job.outputs[0]]
    assert len(dense) == 2
    assert "prepare_dataset" not in {job.rule for job in planned}


def test_a_removed_seed_or_round_loses_nothing_and_plans_only_tables(
    finished: Path, tmp_path: Path
) -> None:
    shorter = overlay(tmp_path, {"pruning": {"rounds": 0}})
    planned = plan(finished, "all", overlays=shorter)
    assert planned and {"init", "train", "prune", "rewind"}.isdisjoint(job.rule for job in planned)
    assert existing(finished, planned) == planned  # all are tables and figures over fewer rounds
    assert NOTHING in snakemake(finished, "-n", "all")  # and back again


def test_another_width_makes_its_studies_anew_and_no_other(finished: Path, tmp_path: Path) -> None:
    wider = overlay(tmp_path, {"networks": {"fcnet": {"width": 9}}})
    planned = plan(finished, "all", overlays=wider)
    chain = [job for job in planned if job.rule in ("init", "train", "prune", "rewind")]
    assert {job.rule for job in chain} == {"init", "train", "prune", "rewind"}
    assert all("/fcnet-normal/" in name for job in chain for name in job.outputs)

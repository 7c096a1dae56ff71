"""What an edit of the library reruns: digests of all jobs of a config, before and after.

`tests/workflow/test_workflow_trigger.py` has the same table on a finished run (nightly).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import edits
import every_kind
from ticketlens.jobs.fingerprint import Fingerprints
from ticketlens.study.catalogue.figures import FIGURES, key
from ticketlens.study.plan import Plan
from ticketlens.study.rules import Code
from ticketlens.tickets.recipe import SALIENCIES
from workflow_tools import CATALOGUE, REPOSITORY, Rule, script_rules

PLAN = Plan(every_kind.config(), "results")


SALIENT = [name for name, arm in PLAN.arms.items() if arm.mask in SALIENCIES]
ARMS_OF = {
    "construct": [name for name in PLAN.arms if name not in SALIENT],
    "construct_with_saliency": SALIENT,
    "train": ["imp", *PLAN.arms],
}


class Job(NamedTuple):
    rule: str
    study: str | None
    arm: str | None


def jobs() -> Iterator[tuple[Job, Rule]]:
    """All jobs that can differ in their code: rules by study and arm."""
    for rule in script_rules():
        about = [CATALOGUE[registry][key] for registry, (key,) in rule.entries.items()]
        is_plain = about and not getattr(about[0], "per_study", True)
        names = set() if is_plain else set(re.findall(r"\{(study|PLACE)\}", rule.text))
        networks = getattr(about[0], "networks", "all") if about else "all"
        studies = PLAN.of_networks(networks) if names else [None]
        arms = ARMS_OF.get(rule.name, ["imp", *PLAN.arms] if "PLACE" in names else [None])
        yield from ((Job(rule.name, study, arm), rule) for study in studies for arm in arms)


JOBS = dict(jobs())
PRINT = {Job("cost", None, None), Job("progress", None, None)}


def digests(workflow: Path) -> dict[Job, str]:
    code = Code(PLAN, Fingerprints(workflow / "scripts", workflow / "ticketlens"))
    return {
        job: code(str(rule.code), **{name: list(keys) for name, keys in rule.entries.items()})(
            {"study": job.study, "arm": job.arm}
        )
        for job, rule in JOBS.items()
    }


@pytest.fixture(scope="module")
def before() -> dict[Job, str]:
    return digests(REPOSITORY / "workflow")


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(REPOSITORY / "workflow", tmp_path / "workflow", ignore=ignored)


def changed(before: dict[Job, str], edited: Path) -> set[Job]:
    """Jobs with another digest, but for those that print and run whenever they are asked for."""
    after = digests(edited)
    return {job for job in before if after[job] != before[job]} - PRINT


def test_jobs_of_all_kinds_are_asked(before: dict[Job, str]) -> None:
    assert len({job.rule for job in before}) == len(script_rules())
    assert {job.study for job in before} == {None, *PLAN.specs}
    assert {"imp", *PLAN.arms} < {job.arm for job in before}
    drawn = {name for name, figure in FIGURES.items() if not figure.by_request}
    assert {key(name) for name in PLAN.figures} == drawn


def test_a_move_new_entries_unused_code_and_log_messages_change_no_digest(
    before: dict[Job, str], edited: Path
) -> None:
    for edit in edits.FREE:
        edit(edited)
    assert changed(before, edited) == set()


def test_erk_counts_belongs_to_the_arms_whose_masks_it_counts(
    before: dict[Job, str], edited: Path
) -> None:
    edits.erk(edited)
    erk = {name for name, arm in PLAN.arms.items() if arm.mask == "erk"}
    found = changed(before, edited)
    assert {job.arm for job in found if job.arm} == erk != set()
    assert {job.rule for job in found} == {"construct"}


def test_convolutional_belongs_to_convolutional_studies(
    before: dict[Job, str], edited: Path
) -> None:
    edits.convolutional(edited)
    found = changed(before, edited)
    assert {"train", "measure_signal_conv"} <= {job.rule for job in found}
    assert {job.study for job in found} == {"convnet-normal", "resnet-conv-normal"}


def test_the_chi_figure_belongs_to_its_rules(before: dict[Job, str], edited: Path) -> None:
    edits.chi_figure(edited)
    assert {job.rule for job in changed(before, edited)} == {"plot_chi"}

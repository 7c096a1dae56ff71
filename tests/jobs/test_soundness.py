"""Every function of the library that a job runs belongs to its digest: jobs under a profiler.

Jobs of one chain and one arm run here, in this process; `tests/workflow/test_workflow_trigger.py`
has a job of every kind (nightly).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import pytest

from soundness import Function, lines, missing
from ticketlens.checkpoint import read
from ticketlens.files.dataset import PreparedDataset
from ticketlens.jobs.fingerprint import PACKAGE, closure
from ticketlens.jobs.reach import Reached
from ticketlens.spec import Spec
from ticketlens.study.entries import entries
from ticketlens.tickets.recipe import Arm

SCRIPTS = PACKAGE.parent / "scripts"
ERK = {"mask": "erk", "weights": "masked-orthogonal"}
ORDER = ("init", "train", "prune", "rewind", "construct", "measure", "tabulate")


class Named(SimpleNamespace):
    """Names and values as Snakemake's lists have them."""

    def keys(self) -> list[str]:
        return list(vars(self))

    def items(self) -> list[tuple[str, Any]]:
        return list(vars(self).items())

    def get(self, name: str) -> Any:
        return vars(self).get(name)

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]


@contextmanager
def noted(functions: set[Function]) -> Iterator[None]:
    """Note the functions of the library that run, but for what imports run."""
    seen: set[CodeType] = set()
    importing = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal importing
        code = frame.f_code
        if not code.co_filename.startswith(str(PACKAGE)):
            return
        if code.co_name == "<module>":
            importing += {"call": 1, "return": -1}.get(event, 0)
        elif event == "call" and not importing:
            seen.add(code)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        functions |= {
            (str(Path(code.co_filename).relative_to(PACKAGE)), code.co_firstlineno, code.co_name)
            for code in seen
        }


@pytest.fixture(scope="module")
def ran(
    prepared: PreparedDataset, make_spec: Callable[..., Spec], tmp_path_factory: Any
) -> dict[str, tuple[set[Function], Reached]]:
    """What each job ran, and what its digest covers, by script."""
    folder: Path = tmp_path_factory.mktemp("jobs")
    spec = make_spec(training={"epochs": 1, "sparse_below": 0.0})
    place = {"study": "tiny", "seed": "0", "arm": "imp"}

    def at(number: int, file: str, arm: str = "imp") -> str:
        path = folder / f"tiny/seed0/round{number:02d}/{arm}/{file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    first, after = {"round": "00"}, {"round": "01"}
    ticket, mask, trained = at(0, "ticket.h5"), at(1, "mask.h5"), at(0, "trained.h5")
    rows = {name: str(folder / f"{name}.csv") for name in ("qmap", "chi", "cmap")}
    data, json = str(prepared.path), spec.to_json()
    jobs: dict[str, tuple[dict, dict, dict, dict]] = {
        "init": (first, {"dataset": data}, {"ticket": ticket}, {"spec": json}),
        "train": (first, {"ticket": ticket, "dataset": data}, {"trained": trained}, {"code": "0"}),
        "prune": (after, {"trained": trained, "ticket": ticket}, {"mask": mask}, {"spec": json}),
        "rewind": (after, {"mask": mask, "theta": ticket}, {"ticket": at(1, "ticket.h5")}, {}),
        "construct": (
            after | {"arm": "erk"}, {"ticket": at(1, "ticket.h5"), "theta": ticket},
            {"ticket": at(1, "ticket.h5", "erk")}, {"arm": ERK},
        ),
        "measure": (
            after, {"checkpoint": at(1, "ticket.h5"), "dataset": data}, rows,
            {"entry": "signal", "images": {"images": 9}, "own_images": True},
        ),
        "tabulate": (
            {}, {"rows": [rows["chi"]]}, {"table": str(folder / "table.csv")},
            {"entry": "chi", "options": {}},
        ),
    }  # fmt: skip
    found = {}
    for script in ORDER:
        wildcards, given, made, params = jobs[script]
        job = Named(
            wildcards=Named(**place | wildcards), input=Named(**given), output=Named(**made),
            params=Named(**params), threads=1,
        )  # fmt: skip
        path = SCRIPTS / f"{script}.py"
        loaded = importlib.util.spec_from_file_location(script, path)
        module = importlib.util.module_from_spec(loaded)
        loaded.loader.exec_module(module)
        functions: set[Function] = set()
        with noted(functions):
            module.main(job)
        arm = job.wildcards.arm if script != "tabulate" else None
        arms = {"erk": Arm.from_config(ERK)}
        chosen = dict(entries({"tiny": spec}, arms, "folder", "tiny" if arm else None, arm))
        for registry in ("MEASUREMENTS", "TABLES"):
            chosen[registry] = frozenset([params.get("entry", "")])
        found[script] = functions, closure(path, entries=chosen)
    assert read(at(1, "ticket.h5", "erk")).density < 1
    return found


@pytest.mark.parametrize("script", ORDER)
def test_every_function_that_a_job_ran_belongs_to_its_digest(
    ran: dict[str, tuple[set[Function], Reached]], script: str
) -> None:
    functions, reached = ran[script]
    assert len(functions) >= 4
    assert missing(functions, lines(reached)) == []


def test_a_name_taken_out_of_a_digest_is_noticed(
    ran: dict[str, tuple[set[Function], Reached]],
) -> None:
    functions, reached = ran["prune"]
    node = ("ticketlens.tickets.pruning", "remove_lowest")
    assert node in reached.nodes
    assert "remove_lowest" in str(missing(functions, lines(reached, without=node)))

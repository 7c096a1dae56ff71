"""Arms in the workflow: tickets, training and tables; what a new arm plans and what it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ticketlens import checkpoint
from workflow_tools import Job, failing_snakemake, overlay, plan, snakemake, tiny_clone

pytestmark = pytest.mark.workflow
PLANNED = (
    "imp-other-seed", "shuffle-layer", "rewire", "uniform-density", "imp-matched", "imp-sign-kept",
    "uniform-bimodal", "imp-degree", "uniform-degree",
)  # fmt: skip
TABLES = ("results/tables/accuracy.csv", "results/tables/qmap.csv")
FIGURE = "results/zero_shot.png"
OVERLAY = {
    "studies": {"convnet-normal": None},
    "pruning": {"rounds": 1},
    "interventions": {"rounds": [1], "studies": ["fcnet-normal"], "donor_offset": 7},
    "contrasts": {"arms": ["transplant"], "round": 1},
    "arms": {
        **dict.fromkeys(PLANNED),
        "transplant": {"mask": "imp-other-seed", "weights": "inverse-cdf"},
        "sensitive": {"mask": "snip", "weights": "rewind"},
    },
}
ARMS = ("sensitive", "transplant")


def with_arms(**arms: dict | None) -> dict:
    return OVERLAY | {"arms": OVERLAY["arms"] | arms}


def new(jobs: list[Job]) -> list[Job]:
    """The jobs of single checkpoints, not of tables over them."""
    return [job for job in jobs if "round" in job.wildcards]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of one round with two arms and their donor. Never change it: dry runs are fine."""
    folder = tiny_clone(tmp_path_factory.mktemp("arms") / "run")
    overlays = overlay(folder, OVERLAY)
    snakemake(folder, *TABLES, FIGURE, "arms", "--cores", "2", overlays=overlays)
    return folder


def files_of(folder: Path, seed: int, round_: int, arm: str) -> Path:
    return folder / f"results/checkpoints/fcnet-normal/seed{seed}/round{round_:02d}/{arm}"


def test_arms_are_made_trained_measured_and_tabulated(finished: Path) -> None:
    imp = checkpoint.read(files_of(finished, 0, 1, "imp") / "ticket.h5")
    donor = checkpoint.read(files_of(finished, 7, 1, "imp") / "ticket.h5")
    assert donor.seed == 7
    for arm in ARMS:
        ticket, trained = (
            checkpoint.read(files_of(finished, 0, 1, arm) / f"{kind}.h5", kind=kind)
            for kind in ("ticket", "trained")
        )
        assert (ticket.arm, ticket.round, ticket.spec) == (arm, 1, imp.spec)
        assert ticket.density == imp.density == trained.density
        assert trained.extra["arm_mask"] == ticket.extra["arm_mask"]
        if arm == "transplant":
            for layer, other in zip(ticket.layers, donor.layers, strict=True):
                assert np.array_equal(layer.mask, other.mask)
    accuracy, qmap = (pd.read_csv(finished / table) for table in TABLES)
    runs = accuracy[["seed", "round", "arm"]].itertuples(index=False, name=None)
    assert sorted(runs) == [(0, 0, "imp"), (0, 1, "imp"), *((0, 1, arm) for arm in ARMS)]
    assert accuracy["test_accuracy"].between(0, 1).all()
    curves = pd.read_csv(finished / "results/tables/training_curves.csv")
    assert set(curves["arm"]) == {"imp", *ARMS}
    measured = qmap[qmap["arm"] != "imp"]
    assert set(measured["arm"]) == set(ARMS) and set(measured["state"]) == {"init"}
    assert set(qmap[qmap["arm"] == "imp"]["state"]) == {"init", "trained"}


def test_arms_are_compared_with_imp(finished: Path) -> None:
    accuracy = pd.read_csv(finished / TABLES[0]).set_index(["round", "arm"])["test_accuracy"]
    table = pd.read_csv(finished / "results/tables/contrasts.csv")
    rows = table[table["quantity"] == "test_accuracy"].set_index("arm")
    assert sorted(rows.index) == list(ARMS)
    for arm in ARMS:
        wanted = 100 * (accuracy[1, arm] - accuracy[1, "imp"])
        assert abs(rows.loc[arm, "mean"] - wanted) < 1e-9
        assert rows.loc[arm, "planned"] == (arm == "transplant")
    assert (finished / FIGURE).stat().st_size > 1000


def test_what_is_made_is_not_made_again(finished: Path) -> None:
    overlays = overlay(finished, OVERLAY)
    output = snakemake(finished, "-n", *TABLES, FIGURE, "arms", overlays=overlays)
    assert "Nothing to be done" in output


def test_a_new_arm_plans_its_own_jobs_and_the_tables(finished: Path, tmp_path: Path) -> None:
    more = overlay(tmp_path, with_arms(scrambled={"mask": "rewire", "weights": "fresh"}))
    jobs = plan(finished, *TABLES, overlays=more)
    assert sorted(job.rule for job in new(jobs)) == ["construct", "measure_signal", "train"]
    assert all("/round01/scrambled/" in name for job in new(jobs) for name in job.outputs)
    assert {job.rule for job in jobs if job not in new(jobs)} == {"tabulate", "tabulate_accuracy"}


def test_another_recipe_remakes_its_arm_alone(finished: Path, tmp_path: Path) -> None:
    other = overlay(tmp_path, with_arms(sensitive={"mask": "snip", "weights": "fresh-density"}))
    jobs = new(plan(finished, *TABLES, overlays=other))
    rules = ["construct_with_saliency", "measure_signal", "train"]
    assert sorted(job.rule for job in jobs) == rules
    assert all("/sensitive/" in name for job in jobs for name in job.outputs)


def test_another_round_or_study_of_an_arm_leaves_its_tickets(
    finished: Path, tmp_path: Path
) -> None:
    arm = OVERLAY["arms"]["sensitive"] | {"rounds": [1, 2], "studies": ["fcnet-normal"]}
    longer = overlay(tmp_path, with_arms(sensitive=arm) | {"pruning": {"rounds": 2}})
    made = {name for job in new(plan(finished, *TABLES, overlays=longer)) for name in job.outputs}
    assert any("/round02/sensitive/ticket.h5" in name for name in made)
    assert not any("/round01/" in name for name in made)


def test_measure_arms_says_what_is_measured_on_arms(finished: Path, tmp_path: Path) -> None:
    tables = ("results/tables/degrees.csv", "results/tables/qmap.csv")

    def measured(kinds: list[str]) -> set[str]:
        own = overlay(tmp_path, OVERLAY | {"measure": {"arms": kinds}})
        jobs = plan(finished, *tables, "--forcerun", "tabulate", overlays=own)
        files = {name for job in jobs for name in job.inputs if "/transplant/" in name}
        return {name.split("/")[2] for name in files if "measurements" in name}

    assert measured([]) == set()
    assert measured(["signal"]) == {"qmap"}
    assert measured(["degrees", "signal"]) == {"degrees", "qmap"}


def test_an_arm_that_does_not_apply_stops_before_anything_runs(
    finished: Path, tmp_path: Path
) -> None:
    dense = {"mask": "uniform", "weights": "fresh", "rounds": [0]}
    output = failing_snakemake(finished, "-n", overlays=overlay(tmp_path, with_arms(dense=dense)))
    assert "arms.dense in study fcnet-normal: mask 'uniform' at round 0" in output

"""What the page of the planned arms on five more seeds says, from its own tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ticketlens.pages.results_page import render

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))
from planned_seeds import judged  # noqa: E402

FOLDER = REPOSITORY / "docs" / "results" / "planned-seeds"
PLAN = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))["contrasts"]
CONTRASTS = pd.read_csv(FOLDER / "tables" / "contrasts.csv")
LAST, BEST = "test_accuracy", "test_accuracy_best_validation"


def verdicts(of: str, quantity: str, number: int) -> dict[str, str]:
    chosen = CONTRASTS.query("of == @of and quantity == @quantity and round == @number")
    return dict(zip(chosen["arm"], chosen["verdict"], strict=True))


def test_the_page_is_rendered_from_its_tables() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_the_verdicts_are_those_of_the_published_accuracies() -> None:
    first = pd.read_csv(FOLDER.parent / "tables" / "accuracy.csv")
    found = judged(first, pd.read_csv(FOLDER / "tables" / "accuracy.csv"), PLAN)
    keys = ["of", "round", "quantity", "arm"]
    both = found.merge(CONTRASTS, on=keys, suffixes=("", "_published"), validate="one_to_one")
    assert len(both) == len(CONTRASTS) == 2 * 2 * 2 * 6
    assert (both["verdict"] == both["verdict_published"]).all()
    assert both["mean"].tolist() == pytest.approx(both["mean_published"].tolist(), abs=1e-4)
    assert set(CONTRASTS["n"]) == {5, 8}


def test_what_the_page_says_of_the_last_epoch_and_of_the_best_one() -> None:
    for of in ("new seeds", "all seeds"):
        for number in (7, 10):
            assert set(verdicts(of, LAST, number).values()) == {"worse"}
            assert verdicts(of, BEST, number)["uniform-density"] == "worse"
        at_best = verdicts(of, BEST, 7)
        better = ("shuffle-layer", "imp-matched", "uniform-bimodal")
        assert {at_best[arm] for arm in better} == {"better"}
        assert {at_best[arm] for arm in ("imp-sign-kept", "imp-other-seed")} == {"not worse"}
        later = verdicts(of, BEST, 10)
        assert {later[arm] for arm in ("imp-sign-kept", "imp-other-seed")} == {"worse"}
        assert later["uniform-bimodal"] == "inconclusive"
    assert verdicts("new seeds", BEST, 10)["shuffle-layer"] == "not worse"
    assert verdicts("all seeds", BEST, 10)["shuffle-layer"] == "better"

"""The plan of docs/comparison.md and its config say the same."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from ticketlens.study.arms import arm_rounds, arm_seeds, arm_studies, recipes
from ticketlens.study.plan import Plan
from ticketlens.study.trainings import trainings
from workflow_tools import REPOSITORY, merged

PAGE = " ".join((REPOSITORY / "docs/comparison.md").read_text(encoding="utf-8").split())
ARMS = {"shuffle-layer", "imp-sign-redrawn", "uniform-matched", "magnitude-at-init"}
ISOMETRY = {
    "isometric-orthogonal", "isometric-imp", "isometric-random", "bulk-redrawn", "spikes-removed",
}  # fmt: skip
PILOT, MAIN = {100, 101, 102}, set(range(10, 18))


CONFIG = merged("comparison")
WITH_ISOMETRY = merged("comparison", "comparison/isometry")


def test_every_arm_is_made_at_every_rate_at_rounds_7_and_10() -> None:
    assert set(recipes(CONFIG)) == ARMS and set(recipes(WITH_ISOMETRY)) == ARMS | ISOMETRY
    for name in ARMS:
        assert arm_studies(CONFIG, name) == list(CONFIG["studies"])
        for study in CONFIG["studies"]:
            assert arm_rounds(CONFIG, name, study) == [7, 10]
            assert set(arm_seeds(CONFIG, name, study)) == PILOT | MAIN


def test_isometry_is_three_seeds_and_rounds_at_one_rate() -> None:
    for name in ISOMETRY:
        assert arm_studies(WITH_ISOMETRY, name) == ["comparison-rate-0-03"]
        assert arm_rounds(WITH_ISOMETRY, name, "comparison-rate-0-03") == [3, 7, 10]
        assert arm_seeds(WITH_ISOMETRY, name, "comparison-rate-0-03") == [10, 11, 12]


def test_studies_differ_in_their_rate_alone() -> None:
    rates = [study["training"] for study in CONFIG["studies"].values()]
    assert rates == [{"learning_rate": rate} for rate in (0.003, 0.01, 0.03, 0.1)]
    training = CONFIG["training"]
    assert (training["schedule"], training["kernel"], training["tf32"]) == (
        "cosine",
        "stacked",
        True,
    )
    assert len({(each["network"], each["init"]) for each in CONFIG["studies"].values()}) == 1


def test_no_seed_of_the_main_runs_was_seen_before() -> None:
    published = yaml.safe_load((REPOSITORY / "docs/results/config.yaml").read_text("utf-8"))
    seen = {seed for study in published["studies"].values() for seed in study["seeds"]}
    for study in CONFIG["studies"].values():
        assert set(study["seeds"]) == PILOT | MAIN
    assert not MAIN & (seen | PILOT)


def test_the_page_counts_the_trainings() -> None:
    counted = Counter(
        "isometry" if arm in ISOMETRY else "comparison"
        for (_, _, _, arm), stage in trainings(Plan(WITH_ISOMETRY, "results")).items()
        if stage in ("chains", "arms")
    )
    comparison, isometry = counted["comparison"], counted["isometry"]
    assert f"{comparison} trainings for the comparison, {isometry} for isometry" in PAGE


def test_the_page_names_every_arm() -> None:
    assert set(re.findall(r"\| `([a-z-]+)` \|", PAGE)) == ARMS | {"imp"}


# --- benchmarks/comparison.py ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> Any:
    folder = REPOSITORY / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("comparison", folder / "comparison.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def made_up(script: Any, best: float, gain: float = 0.0) -> pd.DataFrame:
    """Accuracies that are best at one rate; IMP is `gain` above all others on the main seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for study, rate in script.RATES.items():
        for arm in script.ARMS:
            name, rounds = ("imp", [0]) if arm == "dense" else (arm, script.ROUNDS)
            for seed in (*script.PILOT, *script.MAIN):
                for at in rounds:
                    value = 0.5 - 0.1 * abs(np.log10(rate / best))
                    is_better = arm == "imp" and seed in script.MAIN
                    test = value + gain * is_better + 0.001 * rng.standard_normal()
                    rows.append((study, seed, at, name, value, test, test))
    names = ["study", "seed", "round", "arm", "validation_accuracy", "test_accuracy"]
    return pd.DataFrame(rows, columns=[*names, "test_accuracy_best_validation"])


def judged(script: Any, table: pd.DataFrame, folder: Path) -> tuple[set[float], pd.DataFrame]:
    table.to_csv(folder / "accuracy.csv", index=False)
    found = script.runs(folder / "accuracy.csv")
    choice = script.chosen(found)
    return set(choice.values()), script.contrasts(found, choice).set_index("imp minus")


@pytest.mark.parametrize(("best", "expected"), [(0.003, 0.003), (0.012, 0.01), (0.1, 0.1)])
def test_rates_are_chosen_by_the_pilot(
    script: Any, best: float, expected: float, tmp_path: Path
) -> None:
    rates, _ = judged(script, made_up(script, best), tmp_path)
    assert rates == {expected}


def test_the_highest_rate_is_looked_at_only_where_most_arms_ask_for_it(
    script: Any, tmp_path: Path
) -> None:
    table = made_up(script, 0.01)
    table.loc[table["study"] == "comparison-rate-0-1", "validation_accuracy"] = 0.99
    rates, _ = judged(script, table, tmp_path)
    assert rates == {0.01}


@pytest.mark.parametrize(("gain", "verdict"), [(0.02, "IMP wins"), (-0.02, "IMP loses")])
def test_a_difference_is_a_verdict_of_the_three_primary_contrasts(
    script: Any, gain: float, verdict: str, tmp_path: Path
) -> None:
    _, found = judged(script, made_up(script, 0.01, gain), tmp_path)
    assert list(found.loc[list(script.PRIMARY), "verdict"]) == [verdict] * 3
    assert (
        found["verdict"].count() == 3
        and found["mean"].between(*sorted((0.9 * 100 * gain, 1.1 * 100 * gain))).all()
    )


def test_runs_that_are_missing_stop_the_judgement(script: Any, tmp_path: Path) -> None:
    table = made_up(script, 0.01)
    of_imp = (table["arm"] == "imp") & (table["round"] == 7)
    one = of_imp & (table["seed"] == 100) & (table["study"] == "comparison-rate-0-1")
    with pytest.raises(ValueError, match="the pilot has 143 runs; expected 144"):
        judged(script, table[~one], tmp_path)
    rival = (table["seed"] == 17) & (table["arm"] == "shuffle-layer")
    with pytest.raises(ValueError, match="main seeds are missing"):
        judged(script, table[~rival], tmp_path)

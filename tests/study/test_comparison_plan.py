"""The plan of docs/comparison.md and its configs say the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import benchmark_tools
from ticketlens.study.arms import arm_rounds, arm_seeds, arm_studies, recipes
from ticketlens.study.plan import Plan
from ticketlens.study.trainings import trainings
from workflow_tools import REPOSITORY, merged

KEPT = REPOSITORY / "docs/comparison-pilot.csv"
LATER_KEPT = REPOSITORY / "docs/comparison-pilot-round-10.csv"
PAGE = " ".join((REPOSITORY / "docs/comparison.md").read_text(encoding="utf-8").split())
ARMS = {"shuffle-layer", "imp-sign-redrawn", "uniform-matched", "magnitude-at-init"}
ISOMETRY = {
    "isometric-orthogonal", "isometric-imp", "isometric-random", "bulk-redrawn", "spikes-removed",
}  # fmt: skip
PILOT, MAIN = {100, 101, 102}, set(range(10, 18))


PILOT_RUNS = merged("comparison")
MAIN_RUNS = merged("comparison", "comparison/main")
AT_0_1 = merged("comparison", "comparison/rate-0-1")
LATER = merged("comparison", "comparison/round-10")
LATER_AT_0_1 = merged("comparison", "comparison/rate-0-1", "comparison/round-10")
MAIN_LATER = merged("comparison", "comparison/main", "comparison/round-10")
WITH_ISOMETRY = merged(
    "comparison", "comparison/main", "comparison/round-10", "comparison/isometry"
)
RUNS = {
    "pilot": (PILOT_RUNS, PILOT, [7]), "pilot, 0.1": (AT_0_1, PILOT, [7]),
    "pilot, round 10": (LATER, PILOT, [7, 10]),
    "main": (MAIN_RUNS, MAIN, [7]), "main, round 10": (MAIN_LATER, MAIN, [7, 10]),
}  # fmt: skip


@pytest.fixture(scope="module")
def script() -> Any:
    return benchmark_tools.script("comparison")


def study_at(script: Any, rate: float) -> str:
    """The study of a rate."""
    return next(study for study, own in script.RATES.items() if own == rate)


@pytest.mark.parametrize(("config", "seeds", "rounds"), RUNS.values(), ids=RUNS)
def test_every_arm_is_made_at_every_rate_in_the_pilot_and_at_its_own_in_the_main_runs(
    script: Any, config: dict[str, Any], seeds: set[int], rounds: list[int]
) -> None:
    assert set(recipes(config)) == ARMS and set(recipes(WITH_ISOMETRY)) == ARMS | ISOMETRY
    assert config["pruning"]["rounds"] == rounds[-1]
    assert all(set(one["seeds"]) == seeds for one in config["studies"].values())
    choice = script.chosen(script.runs(KEPT))
    own = {name: [study_at(script, choice[name, script.DECIDES])] for name in script.ARMS}
    if seeds == MAIN:
        assert set(config["studies"]) == {study for (study,) in own.values()}
    for name in ARMS:
        studies = own[name] if seeds == MAIN else list(config["studies"])
        assert arm_studies(config, name) == studies
        for study in studies:
            assert arm_rounds(config, name, study) == rounds
            assert set(arm_seeds(config, name, study)) == seeds


def test_isometry_is_three_seeds_and_rounds_at_one_rate() -> None:
    for name in ISOMETRY:
        assert arm_studies(WITH_ISOMETRY, name) == ["comparison-rate-0-03"]
        assert arm_rounds(WITH_ISOMETRY, name, "comparison-rate-0-03") == [3, 7, 10]
        assert arm_seeds(WITH_ISOMETRY, name, "comparison-rate-0-03") == [10, 11, 12]


def test_studies_differ_in_their_rate_alone() -> None:
    rates = [study["training"] for study in AT_0_1["studies"].values()]
    assert rates == [{"learning_rate": rate} for rate in (0.003, 0.01, 0.03, 0.1)]
    assert list(PILOT_RUNS["studies"]) == list(AT_0_1["studies"])[:3]
    for config in (AT_0_1, MAIN_RUNS):
        assert config["training"]["schedule"] == "cosine"
        assert config["training"]["sparse_below"] == 0.46
        assert config["training"].get("precision", "float32") == "float32"
        assert len({(each["network"], each["init"]) for each in config["studies"].values()}) == 1


def test_no_seed_of_the_main_runs_was_seen_before() -> None:
    published = yaml.safe_load((REPOSITORY / "docs/results/config.yaml").read_text("utf-8"))
    seen = {seed for study in published["studies"].values() for seed in study["seeds"]}
    assert not MAIN & (seen | PILOT)


def test_the_page_counts_the_trainings() -> None:
    def counted(config: dict[str, Any]) -> Counter[str]:
        return Counter(
            "isometry" if arm in ISOMETRY else "comparison"
            for (_, _, _, arm), stage in trainings(Plan(config, "results")).items()
            if stage in ("chains", "arms")
        )

    pilot, main = counted(PILOT_RUNS)["comparison"], counted(MAIN_RUNS)["comparison"]
    assert f"| pilot, three rates | {pilot} |" in PAGE
    assert f"| pilot, 0.1 as well | {counted(AT_0_1)['comparison'] - pilot} more |" in PAGE
    assert f"| main | {main} |" in PAGE
    later, main_later = counted(LATER)["comparison"], counted(MAIN_LATER)["comparison"]
    assert f"| round 10, pilot, three rates | {later - pilot} more |" in PAGE
    both = counted(LATER_AT_0_1)["comparison"] - counted(AT_0_1)["comparison"]
    more = f"0.1 as well, since it was run for round 7 | {both - (later - pilot)} more |"
    assert f"| round 10, pilot, {more}" in PAGE
    assert f"| round 10, main, at the same rates | {main_later - main} more |" in PAGE
    assert f"| isometry | {counted(WITH_ISOMETRY)['isometry']} |" in PAGE


def test_the_page_names_every_arm() -> None:
    assert set(re.findall(r"\| `([a-z-]+)` \|", PAGE)) == ARMS | {"imp"}


# --- benchmarks/comparison.py ---------------------------------------------------------------------


def made_up(script: Any, best: float, gain: float = 0.0) -> pd.DataFrame:
    """Accuracies that are best at one rate; IMP is `gain` above all others on the main seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for study, rate in script.RATES.items():
        for arm in script.ARMS:
            name, rounds = ("imp", [0]) if arm == "dense" else (arm, [7, 10])
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


def test_the_pilots_test_accuracies_choose_nothing_and_are_not_printed(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = made_up(script, 0.01)
    pilot = table[table["seed"].isin(PILOT)].assign(test_accuracy=0.87654)
    pilot.to_csv(tmp_path / "pilot.csv", index=False)
    script.main(tmp_path / "pilot.csv")
    printed = capsys.readouterr().out
    assert "imp round 7" in printed and "87.65" not in printed and "IMP wins" not in printed
    table[table["seed"].isin(MAIN)].to_csv(tmp_path / "main.csv", index=False)
    script.main(tmp_path / "pilot.csv", tmp_path / "main.csv")
    assert "not decided" in capsys.readouterr().out


def test_without_0_1_the_pilot_is_judged_unless_it_asks_for_it(script: Any) -> None:
    def three_rates(best: float) -> pd.DataFrame:
        table = made_up(script, best)
        dense = table["round"] == 0
        table = pd.concat(
            [
                table[~dense],
                *(table[dense].assign(arm="dense", round=at) for at in (7, 10)),
            ]
        )
        table["rate"] = table["study"].map(script.RATES)
        return table[table["rate"] < 0.1]

    assert set(script.chosen(three_rates(0.01)).values()) == {0.01}
    only = three_rates(0.01)
    assert {at for _, at in script.chosen(only[only["round"] == 7])} == {7}
    with pytest.raises(ValueError, match=r"0\.1 has 108 runs; expected 144"):
        script.chosen(three_rates(0.1))


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
    one = of_imp & (table["seed"] == 100) & (table["study"] == "comparison-rate-0-03")
    with pytest.raises(ValueError, match=r"0\.01, 0\.03 has 107 runs; expected 108"):
        judged(script, table[~one], tmp_path)
    rival = (table["seed"] == 17) & (table["arm"] == "shuffle-layer")
    with pytest.raises(ValueError, match="main seeds are missing"):
        judged(script, table[~rival], tmp_path)


def test_round_7_is_judged_before_round_10_is_made(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = made_up(script, 0.01, 0.02)
    of_pilot = table["seed"].isin(PILOT)
    first = table["round"] <= 7
    for name, kept in {"pilot": of_pilot, "main": ~of_pilot}.items():
        table[kept].to_csv(tmp_path / f"{name}-both.csv", index=False)
        table[kept & first].to_csv(tmp_path / f"{name}.csv", index=False)

    def printed(*names: str) -> str:
        script.main(*(tmp_path / f"{name}.csv" for name in names))
        return capsys.readouterr().out

    assert "imp round 10" not in printed("pilot") and "imp round 10" in printed("pilot-both")
    for names in (("pilot", "main"), ("pilot-both", "main"), ("pilot", "main-both")):
        text = printed(*names)
        assert text.count("IMP wins") == 3 and "described: round 10" not in text
    assert "described: round 10" in printed("pilot-both", "main-both")


def test_the_file_of_contrasts_has_both_outcomes_and_verdicts_of_one(
    script: Any, tmp_path: Path
) -> None:
    table = made_up(script, 0.01, 0.02)
    for name, seeds in {"pilot": PILOT, "main": MAIN}.items():
        table[table["seed"].isin(seeds)].to_csv(tmp_path / f"{name}.csv", index=False)
    script.main(*(tmp_path / f"{name}.csv" for name in ("pilot", "main", "contrasts")))
    found = pd.read_csv(tmp_path / "contrasts.csv")
    assert len(found) == 2 * 2 * 5 and set(found["imp minus"]) == set(script.ARMS) - {"imp"}
    judged = found[found["verdict"].notna()]
    assert set(zip(judged["round"], judged["quantity"], strict=True)) == {(7, "test_accuracy")}
    assert list(judged["imp minus"]) == list(script.PRIMARY)
    assert found["mean"].between(1.8, 2.2).all()
    assert (found["low"] < found["mean"]).all() and (found["mean"] < found["high"]).all()


# --- docs/comparison-pilot.csv --------------------------------------------------------------------


@pytest.mark.parametrize("path", [KEPT, LATER_KEPT], ids=["round 7", "round 10"])
def test_the_pilots_files_hold_planned_runs_once_and_no_test_accuracy(path: Path) -> None:
    table = pd.read_csv(path)
    keys = ["study", "seed", "round", "arm"]
    assert list(table.columns) == [*keys, "validation_accuracy"]
    assert not table.duplicated(keys).any() and table["validation_accuracy"].between(0.1, 1).all()
    planned = {
        key
        for config in (PILOT_RUNS, AT_0_1, LATER)
        for key, stage in trainings(Plan(config, "results")).items()
        if stage in ("chains", "arms")
    }
    assert set(table[keys].itertuples(index=False, name=None)) <= planned


def test_the_page_shows_what_the_pilots_file_says(script: Any) -> None:
    found = script.runs(KEPT)
    found = found[found["round"] == script.DECIDES]
    groups = found.groupby(["arm", "rate"])["validation_accuracy"]
    means, numbers = 100 * groups.mean(), groups.size()
    for arm in script.ARMS:
        cells = [
            f"{means[arm, rate]:.2f}" if numbers.get((arm, rate)) == len(PILOT) else "–"
            for rate in script.RATES.values()
        ]
        assert f"| {arm} | {' | '.join(cells)} |" in PAGE


def test_the_page_shows_round_10_of_the_pilot_as_far_as_it_is(script: Any) -> None:
    found = script.runs(LATER_KEPT)
    groups = found.groupby(["arm", "rate"])["validation_accuracy"]
    assert set(found["round"]) == {script.DESCRIBED} and set(groups.size()) == {len(PILOT)}
    means = 100 * groups.mean().unstack()
    assert list(means.columns) == list(script.FIRST)
    for arm in ARMS | {"imp"}:
        assert f"| {arm} | {' | '.join(f'{mean:.2f}' for mean in means.loc[arm])} |" in PAGE
    assert set(means.loc[sorted(ARMS)].idxmax(axis=1)) == {min(script.FIRST)}
    assert means.loc[sorted(ARMS), min(script.FIRST)].min() > means.loc["imp"].max()


def test_the_page_names_the_rates_that_the_pilot_chose(script: Any) -> None:
    choice = script.chosen(script.runs(KEPT))
    by_rate: dict[float, list[str]] = {}
    for arm in script.ARMS:
        by_rate.setdefault(choice[arm, script.DECIDES], []).append(arm)
    for rate, arms in by_rate.items():
        assert f"**{rate:g}**: {', '.join(arms)}" in PAGE


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ("comparison-rate-0-03", "chains at 0.03 to round 7 of seeds"),
        ("comparison-rate-0-01", "chains at 0.01 to round 7 of seeds"),
    ],
)
def test_the_page_names_the_main_runs_that_are_in_the_bank(study: str, words: str) -> None:
    held = (REPOSITORY / "resources/tickets" / study).glob("seed*.h5")
    seeds = {int(path.stem.removeprefix("seed")) for path in held} - PILOT
    done = merged("comparison", "comparison/main", "comparison/main-bank")
    assert set(done["studies"][study]["seeds"]) == seeds
    listed = ", ".join(map(str, sorted(seeds)))
    assert re.search(rf"{words} {listed}[.;]", PAGE)

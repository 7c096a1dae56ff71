"""What the page of the comparison at each arm's own best rate says, from its own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import benchmark_tools
from ticketlens.figures import own_rates
from ticketlens.files.csv_tables import read_table
from ticketlens.pages.results_page import render
from ticketlens.verdicts.inference import t_interval
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "comparison"
ACCURACY = read_table(FOLDER / "tables" / "accuracy.csv")
CONTRASTS = read_table(FOLDER / "tables" / "contrasts.csv")
PILOT = REPOSITORY / "docs" / "comparison-pilot.csv"
LAST, BEST = "test_accuracy", "test_accuracy_best_validation"
RIVALS = list(own_rates.TITLES)[1:]


@pytest.fixture(scope="module")
def script() -> Any:
    return benchmark_tools.script("comparison")


def of(quantity: str) -> pd.DataFrame:
    return CONTRASTS[CONTRASTS["quantity"] == quantity].set_index("imp minus").loc[RIVALS]


def values(arm: str, column: str) -> pd.Series:
    rows = ACCURACY[(ACCURACY["arm"] == arm) & (ACCURACY["round"] == own_rates.ROUND)]
    return rows[rows["study"] == "comparison-rate-0-03"].set_index("seed")[column]


def test_the_page_is_rendered_from_its_tables() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_the_contrasts_are_those_of_the_published_accuracies(script: Any, tmp_path: Path) -> None:
    script.main(PILOT, FOLDER / "tables" / "accuracy.csv", tmp_path / "contrasts.csv")
    again = read_table(tmp_path / "contrasts.csv")
    pd.testing.assert_frame_equal(again, CONTRASTS, rtol=1e-4)
    assert script.DECIDES == own_rates.ROUND
    assert set(script.ARMS) == set(own_rates.TITLES) and list(script.PRIMARY) == RIVALS[:3]


def test_all_runs_that_decide_are_there_once_and_none_diverged(script: Any) -> None:
    at_round = ACCURACY[ACCURACY["round"] == script.DECIDES]
    keys = at_round[at_round["study"] == "comparison-rate-0-03"][["arm", "seed"]]
    arms = set(script.ARMS) - {"dense"}
    assert {tuple(key) for key in keys.to_numpy()} == {(a, s) for a in arms for s in script.MAIN}
    dense = ACCURACY[(ACCURACY["round"] == 0) & (ACCURACY["study"] == "comparison-rate-0-01")]
    assert sorted(dense["seed"]) == list(script.MAIN)
    assert not ACCURACY.duplicated(["study", "arm", "round", "seed"]).any()
    assert not ACCURACY["diverged"].any()


def test_what_the_page_says_of_the_last_epoch() -> None:
    last = of(LAST)
    assert set(last["verdict"][:3]) == {"IMP wins"} and last["verdict"][3:].isna().all()
    assert (last["low"] > 0).all()
    at_own = ACCURACY.query("study == 'comparison-rate-0-03' and round == @own_rates.ROUND")
    losses = at_own.groupby("arm")["test_loss"].mean()
    assert losses.idxmax() == "imp", "the ticket's test loss is the highest"
    order = losses.drop("imp").sort_values().index
    assert (order[0], order[-1]) == ("magnitude-at-init", "imp-sign-redrawn")
    signs = values("imp-sign-redrawn", LAST)
    for arm in ("shuffle-layer", "uniform-matched"):
        gap = t_interval(signs - values(arm, LAST))
        assert gap.lower < 0 < gap.upper, "not told apart"


def test_the_lead_over_the_dense_network_comes_with_the_higher_rate() -> None:
    at = ACCURACY[ACCURACY["arm"] == "imp"].set_index(["study", "round", "seed"])[LAST].sort_index()
    slow, fast = ("comparison-rate-0-01", "comparison-rate-0-03")
    lead = {study: t_interval(at[study, 7] - at[study, 0]) for study in (slow, fast)}
    assert lead[slow].lower < 0 < lead[slow].upper and lead[fast].lower > 0
    assert t_interval(at[fast, 7] - at[slow, 7]).lower > 0
    assert t_interval(at[fast, 0] - at[slow, 0]).upper < 0


def test_what_the_page_says_of_the_best_epoch() -> None:
    best = of(BEST)
    assert best["verdict"].isna().all()
    for ahead in ("dense", "magnitude-at-init"):
        assert best.loc[ahead, "low"] > 0
    for level in ("shuffle-layer", "uniform-matched", "imp-sign-redrawn"):
        assert best.loc[level, "low"] < 0 < best.loc[level, "high"]


def test_what_the_first_page_says_of_it() -> None:
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert "The dense network's is 0.01, that of the ticket and all rivals 0.03." in text
    own = of(LAST)
    assert own.loc["dense", "rate"] == 0.01 and set(own["rate"][1:]) == {0.03}
    assert set(own["imp_rate"]) == {0.03} and set(own["p_holm"][:3] < 0.05) == {True}


# --- The figure -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("study", "expected"),
    [("comparison-rate-0-003", 0.003), ("comparison-rate-0-1", 0.1), ("fcnet-normal-rate-1", 1.0)],
)
def test_the_rate_of_a_study_is_in_its_name(study: str, expected: float) -> None:
    assert own_rates.rate(study) == expected


def test_the_figure_shows_the_tables() -> None:
    pilot = read_table(PILOT)
    figure = own_rates.own_rates(pilot, ACCURACY, CONTRASTS)
    _, last, best = figure.axes
    for axis, quantity in ((last, LAST), (best, BEST)):
        rows = of(quantity)
        drawn = [float(each.lines[0].get_ydata()[0]) for each in axis.containers]
        assert drawn == pytest.approx(rows["mean"].tolist())
        seeds = [
            line for line in axis.lines if line.get_marker() == "_" and len(line.get_xdata()) == 8
        ]
        assert [line.get_ydata().mean() for line in seeds[: len(RIVALS)]] == pytest.approx(
            rows["mean"].tolist(), abs=1e-4
        )
    filled = {
        line.get_label(): float(line.get_xdata()[0])
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 1
    }
    assert list(filled) == list(own_rates.TITLES.values())
    chosen = [0.01 if arm == "dense" else 0.03 for arm in own_rates.TITLES]
    assert list(filled.values()) == pytest.approx(chosen, rel=0.2), "moved apart by less"

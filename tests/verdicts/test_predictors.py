"""Predictors: tau by seed and round, its null band, and what is left out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from ticketlens.figures.arms import predictors as figure_of
from ticketlens.study.catalogue import tables
from ticketlens.verdicts.predictors import (
    MIN_ARMS,
    PROPERTIES,
    independence_band,
    predictors,
    values,
)

ARMS = ("imp", "a", "b", "c", "d", "e")


def accuracies(seeds: int, arms: tuple[str, ...] = ARMS) -> pd.DataFrame:
    """Accuracy falls in the order of the arms; by best validation epoch it rises."""
    return pd.DataFrame(
        {"study": "s", "seed": seed, "round": 3, "density": 0.5, "arm": arm,
         "test_accuracy": 0.5 - 0.01 * i, "test_accuracy_best_validation": 0.5 + 0.01 * i}
        for seed in range(seeds)
        for i, arm in enumerate(arms)
    )  # fmt: skip


def q_of(seeds: int, order: dict[int, list[int]] | None = None) -> pd.DataFrame:
    """q per layer: shallow layers say the opposite of deep ones, as does the trained state."""
    rows = []
    for seed, (i, arm), layer, state in itertools.product(
        range(seeds), enumerate(ARMS), (1, 2, 3, 4), ("init", "trained")
    ):
        rank = (order or {}).get(seed, list(range(len(ARMS))))[i]
        sign = 1 if layer > 2 and state == "init" else -3
        rows.append({"study": "s", "seed": seed, "round": 3, "density": 0.5, "arm": arm,
                     "state": state, "layer": layer, "q": 1 - sign * 0.1 * rank})  # fmt: skip
    return pd.DataFrame(rows)


def test_tau_is_per_seed_of_deep_layers_of_the_untrained_ticket() -> None:
    swapped = [1, 0, 2, 3, 4, 5]
    table = predictors(accuracies(3), {"qmap": q_of(3, {2: swapped})}).set_index("quantity")
    last, best = table.loc["test_accuracy"], table.loc["test_accuracy_best_validation"]
    one_swap = 1 - 4 / (6 * 5)
    assert last["mean"] == pytest.approx((1 + 1 + one_swap) / 3)
    assert best["mean"] == pytest.approx(-last["mean"])
    assert last["lower"] < last["mean"] and last["upper"] == 1
    assert (last["ranked"], last["seeds"], last["property"]) == (6, 3, "q")
    assert (last["along"], last["round"]) == ("arms", 3)


def chain(seeds: int, accuracy: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tickets of the IMP arm whose q falls from round to round, beside one arm at round 1."""
    runs = [
        {"study": "s", "seed": seed, "round": number, "density": 0.8**number, "arm": arm,
         "state": "init", "layer": 1, "q": 0.9**number, "test_accuracy": value,
         "test_accuracy_best_validation": 1 - value}
        for seed in range(seeds)
        for number, value in enumerate(accuracy)
        for arm in ("imp", *(("a",) if number == 1 else ()))
    ]  # fmt: skip
    found = pd.DataFrame(runs)
    return found.drop(columns=["state", "layer", "q"]), found


def test_along_a_chain_the_rounds_of_imp_are_ranked_and_density_says_what_sparsity_alone_does():
    accuracy, q = chain(2, [0.1, 0.2, 0.4, 0.3])
    table = predictors(accuracy, {"qmap": q})
    assert set(table["along"]) == {"chain"}, "two arms are too few for a ranking"
    assert table["round"].isna().all() and table["density"].isna().all()
    last = table[table["quantity"] == "test_accuracy"].set_index("property")
    assert last["mean"].to_dict() == pytest.approx({"density": -4 / 6, "q": -4 / 6})
    assert (last["ranked"] == 4).all(), "the arm of round 1 is no round of the chain"
    axis = figure_of(table, {"s": "Study"}).axes[0]
    assert axis.get_title() == "Study, along the chain, 2\u00a0seeds"
    assert "4 rounds" in axis.get_xlabel() and not axis.patches


def test_values_that_differ_by_rounding_are_ties() -> None:
    """Shuffled values have the std of their source; the sums differ in the last bits."""
    rows = q_of(1).assign(q=lambda t: 1.0 + 1e-13 * t.index)
    with pytest.raises(ValueError, match="no property"):
        predictors(accuracies(1), {"qmap": rows})


def test_across_arms_density_is_no_property() -> None:
    densities = accuracies(1).assign(density=lambda t: 0.5 + 1e-6 * t.index)
    assert set(predictors(densities, {"qmap": q_of(1)})["property"]) == {"q"}


def test_all_tables_that_hold_properties_are_asked_for_and_no_other() -> None:
    held = {own.table for own in PROPERTIES.values()} - {"accuracy"}
    assert held == set(tables.PREDICTORS)


def test_one_seed_has_no_interval() -> None:
    table = predictors(accuracies(1), {"qmap": q_of(1)})
    assert table[["lower", "upper"]].isna().all(axis=None) and set(table["seeds"]) == {1}


def test_what_does_not_vary_or_has_too_few_arms_is_left_out() -> None:
    constant = q_of(2).assign(q=1.0)
    few = q_of(2)
    few = few[few["arm"].isin(ARMS[: MIN_ARMS - 1])]
    for table in (constant, few):
        with pytest.raises(ValueError, match=r"add arms, or kinds to measure\.arms"):
            predictors(accuracies(2), {"qmap": table})
    found = predictors(
        accuracies(2), {"qmap": q_of(2), "chi": q_of(2).assign(chi_frobenius=1.0, slope=1.0)}
    )
    assert set(found["property"]) == {"q"}


def test_the_readout_is_no_hidden_layer() -> None:
    table = q_of(1).rename(columns={"q": "std_scaled"})
    table["name"] = np.where(table["layer"] == 4, "readout", "hidden")
    assert values(table, PROPERTIES["weight_std"])["value"].notna().all()
    table.loc[table["name"] == "readout", "std_scaled"] = 99.0
    assert values(table, PROPERTIES["weight_std"])["value"].max() < 99


@pytest.mark.parametrize("arms", [3, 4, 5, 6, 7])
def test_the_band_is_the_exact_5_percent_level(arms: int) -> None:
    """Against scipy's exact p values of all permutations."""
    taus = {
        round(found.statistic, 9): found.pvalue
        for order in itertools.permutations(range(arms))
        if (found := kendalltau(range(arms), order, method="exact")).statistic > 0
    } if arms < 6 else {}  # fmt: skip
    if arms >= 6:  # one permutation per number of inversions will do
        for k in range(arms * (arms - 1) // 4 + 1):
            order, left = list(range(arms)), k
            while left:
                i = next(i for i in range(arms - 1) if order[i] < order[i + 1])
                order[i], order[i + 1], left = order[i + 1], order[i], left - 1
            found = kendalltau(range(arms), order, method="exact")
            taus[round(found.statistic, 9)] = found.pvalue
    rare = [tau for tau, p in taus.items() if p <= 0.05]
    assert independence_band(arms) == pytest.approx(min(rare, default=float("nan")), nan_ok=True)


def test_the_figure_has_a_panel_per_study_and_a_line_per_property() -> None:
    chi = q_of(3).rename(columns={"q": "chi_frobenius"}).assign(slope=lambda t: t["chi_frobenius"])
    table = predictors(accuracies(3), {"qmap": q_of(3), "chi": chi})
    axis = figure_of(table, {"s": "Study", "other": "not in the table"}).axes[0]
    assert len(axis.get_yticklabels()) == 4 and axis.get_title() == "Study, 3\u00a0seeds"
    assert "6 arms" in axis.get_xlabel()


def test_the_figure_shows_for_each_round_its_own_level() -> None:
    chi = q_of(3).rename(columns={"q": "chi_frobenius"}).assign(slope=lambda t: t["chi_frobenius"])
    few = predictors(accuracies(3), {"qmap": q_of(3), "chi": chi}).assign(band=0.8)
    many = few.assign(round=few["round"] + 1, band=0.3)
    axis = figure_of(pd.concat([few, many]), {"s": "Study"}).axes[0]
    widths = [bar.get_width() for bar in axis.patches if bar.get_width() > 0]
    assert sorted(widths) == pytest.approx(4 * [0.6] + 4 * [1.6])

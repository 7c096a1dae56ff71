"""Claims: each branch of each verdict, from synthetic tables; nothing is judged without data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_tables import (
    BACKWARD,
    BEAT,
    BEST,
    BIMODAL,
    CHI,
    EPOCH,
    LAST,
    LAYERS,
    LOSE,
    MATCH,
    MEAN,
    NAIVE,
    PLAN,
    Q_PEAK_3,
    SEEDS,
    SELECTION,
    SIGNS,
    STD,
    SUFFICES,
    WINS,
    Q,
    judged,
    losing,
    spread,
    steps,
    tables,
)
from ticketlens.pages.claims_page import page
from ticketlens.verdicts import claims
from ticketlens.verdicts import judging as claim_judges
from ticketlens.verdicts.claims import CLAIMS, case_rows, judge_claims
from ticketlens.verdicts.inference import t_interval
from ticketlens.verdicts.judging import Judgement, above, below, below_in_most, few, within
from ticketlens.verdicts.study_values import Study


def verdict(claim: str, case: str, **effects: object) -> str:
    found = {row.verdict for row in judged(claim, **effects)[case]}
    assert len(found) == 1, "a case has one verdict"
    return found.pop()


def ranked(sign: int) -> dict[tuple[str, int], float]:
    """Arms whose accuracy rises (1), falls (−1) with their gradient, or goes neither way (0)."""
    order = {1: [-4, -3, -2, -1], -1: [4, 3, 2, 1], 0: [-1, 1, 2, -2]}[sign]
    return {(f"arm{i}", 7): float(value) for i, value in enumerate(order)}


def branches(*losses: float) -> list[dict]:
    """Effects of an arm's losses; the last of them drowns in the spread between seeds."""
    clear = [{"arms": losing(loss, 0)} for loss in losses[:-1]]
    return [*clear, {"arms": losing(losses[-1], 0), "points": 1.0}]


FLAT = steps({0: 1.0})
# Claim, case, effects that support it, effects that contradict it, and effects that do neither.
BRANCHES: list[tuple[str, str, dict, dict, dict]] = [
    (MATCH, LAST, {"gain": -0.2}, {"gain": -0.8}, {"gain": -0.5}),
    (MATCH, BEST, {"gain_best": 0.2}, {"gain_best": -0.8}, {"gain_best": -0.4}),
    (BEAT, LAST, {"gain": 0.3}, {"gain": -0.3}, {"gain": 0.1}),
    (BEAT, BEST, {"gain_best": 0.3}, {"gain_best": -0.3}, {"gain": 0.3}),
    (MEAN, "round 7", {}, {"ratio": 0.06}, {"ratio": 0.0505}),
    (MEAN, "round 15", {}, {"ratio": 0.06}, {"ratio": 0.0505}),
    (MEAN, "round 7, z", {}, {"share": 2}, {"share": 1}),
    (STD, "", {}, {"std": -0.1}, {"std": 0.01}),
    (STD, "beyond selection", {}, {"selection": 0.6}, {"selection": 0.5}),
    (Q, "", {}, {"q": [1, 1, 1, 0.9, 0.8, *[0.7] * 11]}, {"late_seed": 1}),
    (NAIVE, "", {"naive": steps({0: 1, 3: 2})}, {"naive": steps({0: 1, 5: 2})}, {}),
    (BIMODAL, "kept theta_0", {}, {"gap": [0.9] * 6 + [0.1] * 2}, {"gap": [0.9] * 5 + [0.1] * 3}),
    (BIMODAL, "trained", {"gap": [0.1] * 6 + [0.9] * 2}, {"gap": [0.9] * 8}, {"gap_spread": 2.0}),
    *[
        (LOSE, f"round {number}, {weights}", *branches(-1, 1, -0.3))
        for number in (4, 7)
        for weights in (LAST, BEST)
    ],
    (SELECTION, "", {"gap": [-0.1] * LAYERS}, {}, {"gap_spread": 2.0}),
    (CHI, "", {}, {"chi": (1.01, 1.3)}, {"chi": (1.05, 0.5)}),
    (SIGNS, "", {"redraw": steps({0: 1, 3: 0.7})}, {"redraw": steps({0: 1, 3: 1.4})}, {}),
    *[
        (SUFFICES, f"rival, round 7, {weights}", *branches(*losses))
        for weights in (LAST, BEST)
        for losses in [(0.0, -0.9, -0.45), (2.0, -2.0, -0.4)]
    ],
    (EPOCH, "", {"gain": 1.0}, {"gain": -1.0}, {"gain": 0.2}),
    (BACKWARD, "", {"backward": 1.0}, {"backward": -1.0}, {"backward": 0.05}),
    *[
        (WINS, weights, {"arms": ranked(1)}, {"arms": ranked(-1)}, {"arms": ranked(0)})
        for weights in (LAST, BEST)
    ],
]  # fmt: skip
# What leaves these undecided takes more words.
NOISE: dict[tuple[str, str], dict] = {
    (NAIVE, ""): {"naive": steps({0: 1, 3: 2}), "late_seed": 1},
    (SIGNS, ""): {"redraw": steps({0: 1, 3: 0.9}), "q_spread": 0.2},
}


@pytest.mark.parametrize(("claim", "case", "supporting", "contradicting", "neither"), BRANCHES)
def test_each_claim_meets_each_branch(
    claim: str, case: str, supporting: dict, contradicting: dict, neither: dict
) -> None:
    assert verdict(claim, case, **supporting) == "supported"
    assert verdict(claim, case, **contradicting) == "contradicted"
    neither = NOISE.get((claim, case), neither)
    assert verdict(claim, case, **neither) == "inconclusive"


@pytest.mark.parametrize("order", [(-3, -4, -1, -2), (3, 4, 1, 2)])
def test_a_ranking_of_arms_that_chance_gives_is_none_though_all_seeds_share_it(
    order: tuple,
) -> None:
    """Of five arms abs(tau) reaches 0.6 with p = 0.23; the interval over seeds excludes 0."""
    effects = {"arms": {(f"arm{i}", 7): float(value) for i, value in enumerate(order)}}
    for case in (LAST, BEST):
        (row,) = judged(WINS, **effects)[case]
        assert row.lower > 0.5 or row.upper < -0.5
        assert row.verdict == "inconclusive"


@pytest.mark.parametrize(("large", "own"), [(0, True), (2, True), (5, None), (12, False)])
def test_large_z_are_judged_by_their_count_over_seeds_and_layers(large: int, own: object) -> None:
    """Of 8 × 8 layers; a share per seed would need a thousand seeds to decide."""
    from scipy.stats import binomtest

    flags = np.zeros(64, bool)
    flags[:large] = True
    found = few(pd.DataFrame(flags.reshape(8, 8)), 0.0455, 0.15)(pd.Series(np.zeros(8)))
    assert (found.supports, found.contradicts) == (own is True, own is False)
    interval = binomtest(large, 64).proportion_ci()
    assert found.supports == (interval.high < 0.15) and found.contradicts == (interval.low > 0.0455)


def test_all_claims_are_in_the_branches() -> None:
    assert {claim for claim, *_ in BRANCHES} == set(CLAIMS)


@pytest.mark.parametrize(
    ("q", "own"),
    [
        ([1, 0.99, 0.98, 0.97, 0.96, *[0.5] * 11], "contradicted supported contradicted"),
        ([*Q_PEAK_3[:5], *[3.0] * 11], "supported contradicted contradicted"),
        ([1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, *[0.1] * 9], "supported supported contradicted"),
    ],
)
def test_any_failure_of_rise_fall_or_peak_contradicts_the_claim_about_q(q: list, own: str) -> None:
    rows = judged(Q, q=q)[""]
    assert {row.verdict for row in rows} == {"contradicted"}
    assert " ".join(row.own_verdict for row in rows) == own


def test_a_peak_elsewhere_in_one_seed_leaves_the_claim_about_q_open() -> None:
    rows = judged(Q, late_seed=1, q=[*Q_PEAK_3[:10], *[0.01] * 6])
    assert [row.own_verdict for row in rows[""]][2] == "inconclusive"
    assert rows[""][2].remark == "in 2–4 in 3 of 4 seeds"


@pytest.mark.parametrize("chi", [(1.2, 0.5), (0.8, 0.5), (1.01, 1.2)])
def test_chi_is_contradicted_by_its_start_or_by_its_growth(chi: tuple[float, float]) -> None:
    assert verdict(CHI, "", chi=chi) == "contradicted"


def test_a_theory_that_never_departs_contradicts_and_names_the_seeds() -> None:
    (row,) = judged(NAIVE, naive=FLAT)[""]
    assert row.verdict == "contradicted"
    assert np.isnan(row.number) and np.isnan(row.lower)
    assert row.remark == "in 2–4 in 0 of 4 seeds; never in seed 0, 1, 2, 3"


def test_only_the_last_half_of_the_layers_and_the_same_images_enter_q_and_chi() -> None:
    """The tables hold other values in early layers, and in the other mode."""
    rise, fall, peak = judged(Q)[""]
    assert rise.number == pytest.approx(np.log(1.3))
    assert fall.number == pytest.approx(np.log(0.1 / 1.3))
    assert peak.number == 3
    start, growth = judged(CHI, chi_spread=0.0)[""]
    assert start.number == pytest.approx(0.01)
    assert growth.number == pytest.approx(np.log(0.5 / 1.01))
    (row,) = judged(SIGNS, redraw=steps({0: 2, 3: 1}))[""]
    assert row.number == pytest.approx(np.log(2)), "round 0 is subtracted"
    (row,) = judged(NAIVE, naive=steps({0: 5, 4: 6.5}))[""]
    assert row.number == 4, "round 0 is subtracted"


def test_the_readout_is_no_layer() -> None:
    """Its density at 0 over the peak is 9 in the tables."""
    (row,) = judged(BIMODAL, gap_spread=0.0)["kept theta_0"]
    assert row.number == pytest.approx(0.1)
    assert row.remark.startswith("U < 0.5 in 8 and L > 0.5 in 0 of 8 layers; no spread")


def test_intervals_are_over_seeds_and_paired() -> None:
    (row,) = judged(BEAT, gain=0.3)[LAST]
    expected = t_interval(0.3 + 0.1 * spread(SEEDS))
    assert (row.number, row.lower, row.upper) == pytest.approx(
        (expected.mean, expected.lower, expected.upper)
    )
    assert row.n == SEEDS
    assert row.figure == "accuracy.png"
    assert judged(BEAT, gain=0.1)[LAST][0].n_needed >= 2
    assert row.n_needed is None, "a verdict needs no more seeds"


def test_an_arm_of_fewer_seeds_is_paired_with_imp_at_these_seeds() -> None:
    found = tables(arms=losing(-2, -2))
    accuracy = found["accuracy"]
    found["accuracy"] = accuracy[(accuracy["arm"] != "rival") | accuracy["seed"].isin([1, 3])]
    rows, _ = judge_claims(found, PLAN, ["s"])
    fewer = rows["quantity"].str.contains("rival")
    assert set(rows[fewer]["n"]) == {2} and set(rows[~fewer]["n"]) == {SEEDS}
    last = rows["case"] == f"round 7, {LAST}"
    assert rows[fewer & last]["number"].item() == pytest.approx(2 - 0.1), "seeds 1 and 3 lose less"
    found["accuracy"] = accuracy[(accuracy["arm"] == "rival") | (accuracy["seed"] < 3)]
    with pytest.raises(ValueError, match="bimodal random nets lose"):
        judge_claims(found, PLAN, ["s"])


def test_one_seed_decides_nothing() -> None:
    rows, _ = judge_claims(tables(seeds=1, gain=3.0, arms=losing(-3, -3)), PLAN, ["s"])
    assert set(rows["verdict"]) == {"inconclusive"}
    assert rows["lower"].isna().all() and rows["upper"].isna().all()
    assert (rows["n"] == 1).all() and rows["number"].notna().sum() >= len(rows) - 1
    assert set(rows["remark"]) == {"one seed: no interval"}


def test_what_a_study_lacks_is_left_out_with_the_reason() -> None:
    found = tables(last=6)
    weights = found["weight_statistics"]
    found["weight_statistics"] = weights.assign(selection_std_scaled=np.nan)[
        weights["state"] == "init"
    ]
    plan = dataclasses.replace(PLAN, std=3, bimodal=3, mean=(3, 7), planned=())
    rows, left_out = judge_claims(found, plan, ["s"])
    reasons = left_out.set_index(["claim", "case"])["reason"].to_dict()
    assert reasons[MATCH, LAST] == "needs round 7; the study's last is 6"
    assert reasons[MEAN, "round 7"] == "needs round 7; the study's last is 6"
    assert reasons[Q, ""] == "needs round 15; the study's last is 6"
    assert "not Gaussian" in reasons[STD, "beyond selection"]
    assert reasons[BIMODAL, "trained"] == "no trained networks: the tickets come from the bank"
    assert reasons[LOSE, f"round 4, {LAST}"] == "arm rival is not trained at round 4"
    assert reasons[SUFFICES, ""] == "no arm is planned for it in the config"
    judged_cases = set(zip(rows["claim"], rows["case"], strict=True))
    assert {(MEAN, "round 3"), (STD, ""), (BIMODAL, "kept theta_0"), (NAIVE, "")} <= judged_cases
    assert not judged_cases & set(reasons)


@pytest.mark.parametrize("last", [0, 1])
def test_a_study_of_few_rounds_leaves_claims_out_and_stops_nothing(last: int) -> None:
    rows, left_out = judge_claims(tables(last=last), PLAN, ["s"])
    assert rows.empty
    assert set(left_out["claim"]) == set(CLAIMS)
    text = page(rows, left_out, PLAN, {"s": "S"})
    assert all(f"- {claim}" in text for claim in CLAIMS)
    assert "## S\n" in text
    assert left_out["reason"].str.startswith("needs round").all()


def test_a_seed_without_a_value_decides_nothing() -> None:
    found = tables()
    chi = found["chi"]
    chi.loc[(chi["seed"] == 2) & (chi["layer"] == 7) & (chi["round"] == 15), "chi_frobenius"] = 0.0
    rows = case_rows("s", CHI, next(CLAIMS[CHI].cases(Study("s", found), PLAN)))
    assert rows[0].own_verdict == "supported"
    chi.loc[(chi["seed"] == 2) & (chi["round"] == 15), "chi_frobenius"] = 0.0
    rows = case_rows("s", CHI, next(CLAIMS[CHI].cases(Study("s", found), PLAN)))
    assert rows[1].remark == "no value in seed 2"
    assert rows[1].verdict == "inconclusive" and np.isnan(rows[1].lower)


def test_seeds_that_cannot_be_paired_are_named() -> None:
    found = tables()
    accuracy = found["accuracy"]
    found["accuracy"] = accuracy[~((accuracy["seed"] == 2) & (accuracy["round"] == 7))]
    with pytest.raises(ValueError, match=r"s, claim 'tickets match.*\[0, 1, 3\] against \[0, 1, 2"):
        judge_claims(found, PLAN, ["s"])


VALUES = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=6)


@settings(max_examples=50, deadline=None)
@given(VALUES, st.floats(-1, 1, width=32))
def test_judges_follow_the_interval_and_exclude_each_other(values: list, threshold: float) -> None:
    series = pd.Series(values)
    interval = t_interval(series)
    up, down = above(threshold)(series), below(threshold)(series)
    assert up.supports == down.contradicts == (interval.lower > threshold)
    assert up.contradicts == down.supports == (interval.upper < threshold)
    assert not (up.supports and up.contradicts)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6) | st.just(np.inf), min_size=2, max_size=5))
def test_a_window_needs_all_seeds_for_support_and_one_to_escape_contradiction(seeds: list) -> None:
    found = within(2, 4)(pd.Series(seeds, dtype=float))
    inside = [2 <= value <= 4 for value in seeds]
    assert found.supports == all(inside) and found.contradicts == (not any(inside))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.data())
def test_three_quarters_of_the_layers_decide(layers: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, layers))
    one_seed = np.array([0.1] * low + [0.9] * (layers - low))
    column = pd.DataFrame([one_seed + shift for shift in (0.0, 0.01, 0.02)])
    found = below_in_most(column, 0.5)(column.mean(axis=1))
    assert found.supports == (low >= 0.75 * layers)
    assert found.contradicts == (layers - low >= 0.75 * layers)


@given(st.lists(st.sampled_from([(True, False), (False, True), (False, False)]), min_size=1))
def test_a_case_needs_all_of_its_numbers_and_one_can_contradict_it(numbers: list) -> None:
    found = claim_judges.verdict(Judgement(*number) for number in numbers)
    if any(contradicts for _, contradicts in numbers):
        assert found == "contradicted"
    elif all(supports for supports, _ in numbers):
        assert found == "supported"
    else:
        assert found == "inconclusive"


def test_the_largest_mean_by_chance_is_that_of_normal_draws() -> None:
    errors = np.array([0.01, 0.02, 0.02])
    draws = np.abs(np.random.default_rng(0).standard_normal((200_000, 3)) * errors).max(axis=1)
    assert claims._largest_by_chance(errors) == pytest.approx(draws.mean(), rel=0.01)
    share = (np.abs(np.random.default_rng(1).standard_normal(200_000)) > claims.LARGE_Z).mean()
    assert pytest.approx(share, abs=0.002) == claims.BY_CHANCE

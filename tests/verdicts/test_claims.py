"""Claims: each branch of each verdict, from synthetic tables; nothing is judged without data."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from ticketlens.pages.claims_page import page, write_claims
from ticketlens.study.arms import arm_rounds
from ticketlens.study.catalogue import figures
from ticketlens.study.claim_plan import Plan
from ticketlens.study.config import ConfigError, checked, schema
from ticketlens.study.studies import rounds
from ticketlens.verdicts import claims
from ticketlens.verdicts import judging as claim_judges
from ticketlens.verdicts.claims import CLAIMS, case_rows, judge_claims
from ticketlens.verdicts.inference import t_interval
from ticketlens.verdicts.judging import Judgement, above, below, below_in_most, few, within
from ticketlens.verdicts.rival_claims import NULLS
from ticketlens.verdicts.study_values import Study

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS, LAYERS, SEEDS = range(16), 8, 4
PLAN = Plan(planned=("rival", "other"), bimodal_arm="rival")
Q_PEAK_3 = [1.0, 1.1, 1.2, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


def spread(seeds: int) -> np.ndarray:
    """What makes seeds differ: ±1, of mean zero over an even number of them."""
    return np.where(np.arange(seeds) % 2, 1.0, -1.0)


def steps(values: dict[int, float], before: float = 0.0) -> list[float]:
    """A value per round, each holding until the next one."""
    found = []
    for number in ROUNDS:
        before = values.get(number, before)
        found.append(before)
    return found


def tables(
    seeds: int = SEEDS,
    last: int = 15,
    gain: float = 0.0,
    gain_best: float = 0.0,
    arms: dict[tuple[str, int], float] | None = None,
    points: float = 0.1,
    ratio: float = 0.01,
    share: int = 0,
    ratio_spread: float = 0.001,
    std: float = 0.5,
    selection: float = 0.4,
    std_spread: float = 0.01,
    q: Iterable[float] = tuple(Q_PEAK_3),
    q_spread: float = 0.0,
    naive: Iterable[float] = tuple(steps({0: 1.0})),
    redraw: Iterable[float] = tuple(steps({0: 1.0})),
    late_seed: int | None = None,
    gap: Iterable[float] = (0.1,) * LAYERS,
    gap_spread: float = 0.01,
    chi: tuple[float, float] = (1.01, 0.5),
    chi_spread: float = 0.01,
    backward: float = 1.0,
) -> dict[str, pd.DataFrame]:
    """The six tables of one study: what `claims` reads, with the effects that are asked for."""
    differ, numbers = spread(seeds), range(last + 1)
    dense_by_seed = 50 + np.random.default_rng(0).standard_normal(seeds)
    q, naive, redraw, gap = (list(values) for values in (q, naive, redraw, gap))
    rows: dict[str, list[dict]] = {name: [] for name in claims.TABLES}
    for seed, number in itertools.product(range(seeds), numbers):
        own = {"study": "s", "seed": seed, "round": number, "density": 0.8**number}
        at = {**own, "arm": "imp", "state": "init"}
        dense, pruned = dense_by_seed[seed], float(number > 0)
        last_epoch = dense + pruned * (gain + points * differ[seed])
        best = dense + pruned * (gain_best - points * differ[seed])
        rows["accuracy"].append(accuracy_row(own, "imp", last_epoch, best))
        for (arm, round_), loss in (arms or {}).items():
            if round_ == number:
                shift = loss + points * differ[seed]
                rows["accuracy"].append(
                    accuracy_row(own, arm, last_epoch + shift, best + loss - points * differ[seed])
                )
        names = {"ticket": backward, **dict.fromkeys(NULLS, 0.0)}
        rows["gradients"] += [
            {**at, "layer": 1, "network": name, "log_loss": value + 0.1 * differ[seed] * value}
            | ({"log_loss": value + 0.1 * differ[seed]} if name == "ticket" else {})
            for name, value in names.items()
        ]
        rows["gradients"] += [
            {**at, "arm": arm, "layer": 1, "network": "ticket", "log_loss": float(rank)}
            for rank, (arm, round_) in enumerate(arms or {}, start=-9)
            if round_ == number
        ]
        delay = 6 if seed == late_seed else 0
        shifted = max(0, number - delay)
        growth = np.exp(number / 15 * (std + std_spread * differ[seed]))
        for layer in range(1, LAYERS + 2):
            name = "readout" if layer > LAYERS else f"hidden{layer}"
            mean = growth * (ratio + ratio_spread * differ[seed])
            weights = {
                **at, "layer": layer, "name": name, "mean": (-1) ** layer * mean, "std": growth,
                "mean_standard_error": abs(mean) / (3 if layer <= share else 1),
                "std_scaled": growth * 1.4,
                "selection_std_scaled": 1.4 * np.exp(number / 15 * selection),
                "density_at_zero_over_peak": (gap[layer - 1] if layer <= LAYERS else 9.0)
                + gap_spread * differ[seed],
            }  # fmt: skip
            rows["weight_statistics"] += [weights, {**weights, "state": "trained"}]
            if layer > LAYERS:
                continue
            # Layers below the last half would spoil every mean that they enter.
            deep = 1.0 if layer > LAYERS // 2 else 1000.0 * (number + 1)
            noise = np.exp(q_spread * differ[seed] * number) * deep
            here = {**at, "layer": layer}
            rows["qmap"].append({**here, "q": q[shifted] * noise})
            for rung, mode, value in (
                ("measured", "measured", noise),
                ("naive", "free", naive[shifted]),
                ("sign_redraw", "free", redraw[shifted]),
                ("naive", "layerwise", 77.0),
            ):
                rows["ladder"].append({**here, "rung": rung, "mode": mode, "q": value})
            if layer > 1:
                value = chi[0] + (chi[1] - chi[0]) * number / 15 + chi_spread * differ[seed]
                rows["chi"].append({**here, "chi_frobenius": deep * value})
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def accuracy_row(own: dict, arm: str, last: float, best: float) -> dict:
    values = {"test_accuracy": last / 100, "test_accuracy_best_validation": best / 100}
    return {**own, "arm": arm, **values}


def judged(claim: str, plan: Plan = PLAN, **effects: object) -> dict[str, list[claims.Row]]:
    """The rows of a claim's cases."""
    cases = CLAIMS[claim].cases(Study("s", tables(**effects)), plan)
    return {case.name: case_rows("s", claim, case) for case in cases}


def verdict(claim: str, case: str, **effects: object) -> str:
    found = {row.verdict for row in judged(claim, **effects)[case]}
    assert len(found) == 1, "a case has one verdict"
    return found.pop()


def losing(first: float, second: float) -> dict[tuple[str, int], float]:
    """Accuracy of the arm `rival` minus imp's at rounds 7 and 10; `other` equals imp."""
    rival = {("rival", 7): first, ("rival", 10): second, ("rival", 4): first}
    return rival | {("other", 7): 0.0, ("other", 10): 0.0}


def ranked(sign: int) -> dict[tuple[str, int], float]:
    """Arms whose accuracy rises (1), falls (−1) with their gradient, or goes neither way (0)."""
    order = {1: [-4, -3, -2, -1], -1: [4, 3, 2, 1], 0: [-1, 1, 2, -2]}[sign]
    return {(f"arm{i}", 7): float(value) for i, value in enumerate(order)}


def branches(*losses: float) -> list[dict]:
    """Effects of an arm's losses; the last of them drowns in the spread between seeds."""
    clear = [{"arms": losing(loss, 0)} for loss in losses[:-1]]
    return [*clear, {"arms": losing(losses[-1], 0), "points": 1.0}]


MATCH, BEAT, MEAN, STD, Q, NAIVE, BIMODAL, SELECTION, LOSE, CHI, *OTHERS = CLAIMS
SIGNS, SUFFICES, EPOCH, BACKWARD, WINS = OTHERS
LAST, BEST = "last epoch", "best validation"
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


@cache
def two_studies() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Findings of study s, and of a study t of one seed and few rounds."""
    first, second = tables(gain=0.1, arms=losing(0, 0)), tables(seeds=1, last=7)
    both = {name: pd.concat([first[name], second[name].assign(study="t")]) for name in first}
    return judge_claims(both, PLAN, ["s", "t"])


def test_the_table_begins_with_the_agreed_columns_and_keeps_all_digits(tmp_path: Path) -> None:
    rows, left_out = two_studies()
    output = type("Output", (), {"table": tmp_path / "claims.csv", "page": tmp_path / "claims.md"})
    write_claims(output, rows, page(rows, left_out, PLAN, {"s": "S", "t": "T"}))
    found = pd.read_csv(output.table)
    agreed = ["study", "claim", "number", "lower", "upper", "n", "verdict", "figure"]
    assert list(found.columns)[:8] == agreed
    np.testing.assert_array_equal(found["number"], rows["number"])
    assert set(found["verdict"]) <= {"supported", "contradicted", "inconclusive"}
    for claim in (MATCH, BEAT):
        cases = found[(found["claim"] == claim) & (found["study"] == "s")]["case"]
        assert list(cases) == [LAST, BEST]


def test_the_page_states_rules_verdicts_intervals_and_what_is_left_out() -> None:
    rows, left_out = two_studies()
    text = page(rows, left_out, PLAN, {"s": "Study S", "t": "Study T"})
    for name in CLAIMS:
        assert f"| {name} | " in text
    assert "| tickets match the dense network | L > −0.5 points | U < −0.5 points |" in text
    assert "## Study S, 4 seeds" in text and "## Study T, 1 seed\n" in text
    assert "One seed: no interval" in text.split("## Study T")[1]
    assert "- q* rises, then falls: needs round 15; the study's last is 7" in text
    beat = [line for line in text.splitlines() if "tickets beat" in line and "round 7" in line]
    assert re.search(r"\| 0\.10 \| \[−0\.08, 0\.28\] \| 4 \|  \| inconclusive \|", beat[0])
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if "| q*" in line}
    assert widths == {4, 10}, "no cell breaks its table"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a|b", r"a\|b"),
        ("*a* `b` _c_ [d](e)", r"\*a\* \`b\` \_c\_ \[d\](e)"),
        ("<script>x</script> & y", "&lt;script&gt;x&lt;/script&gt; &amp; y"),
        (r"$\sigma_w|=1$, a_b", r"$\sigma_w\|=1$, a\_b"),
        (r"# 5$ \n", r"\# 5$ \\n"),
        ("FCNet (4 × 64, 6 epochs)", "FCNet (4 × 64, 6 epochs)"),
    ],
)
def test_titles_are_text_in_markdown(title: str, shown: str) -> None:
    rows, left_out = two_studies()
    text = page(rows, left_out, PLAN, {"s": title, "t": "T"})
    assert f"## {shown}, 4 seeds" in text and f"| claim | {shown} | T |" in text


def test_the_page_says_how_many_seeds_are_missing() -> None:
    (row,) = judged(BEAT, points=0.5)[LAST]
    rows = pd.DataFrame([dataclasses.asdict(row)])
    nothing = pd.DataFrame(columns=["study", "claim", "case", "reason"])
    assert row.n_needed > SEEDS
    text = page(rows, nothing, PLAN, {"s": "S"})
    assert f"| {SEEDS} | {row.n_needed} | inconclusive |" in text


def merged(*names: str, overlay: str = "{}") -> dict:
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    for name in names:
        text = (REPOSITORY / "config" / name).read_text(encoding="utf-8")
        update_config(config, yaml.safe_load(text))
    update_config(config, yaml.safe_load(overlay))
    return config


def test_plan_schema_and_config_have_the_same_rounds() -> None:
    own = {field.name for field in dataclasses.fields(Plan)} - {
        "margin",
        "planned",
        "planned_round",
    }
    assert set(schema()["properties"]["claims"]["properties"]) == own
    for name, value in merged()["claims"].items():
        default = getattr(Plan, name)
        assert (list(default) if isinstance(default, tuple) else default) == value


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("bimodal_arm: unifrom-bimodal", "did you mean 'uniform-bimodal'?"),
        ("q_peak: [4, 2]", "claims.q_peak is [4, 2]; allowed: [first, last]"),
        ("naive: [4]", "claims.naive is [4]; allowed: 2 or more entries"),
        ("q_rise: 15", "claims.q_rise is 15; allowed: less than claims.q_fall (15)"),
        ("match: 0", "claims.match is 0; allowed: at least 1"),
        ("matched: 3", "unknown key claims.matched; did you mean 'match'?"),
    ],
)
def test_a_bad_plan_is_named_before_anything_runs(overlay: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        checked(merged(overlay=f"claims: {{{overlay}}}"))


def test_a_config_may_leave_the_bimodal_arm_or_all_claims_out() -> None:
    checked(merged(overlay="claims: {bimodal_arm: null}"))
    config = merged()
    del config["claims"]
    checked(config)


@pytest.mark.parametrize("name", ["config.yaml", "quick.yaml", "cpu.yaml"])
def test_a_study_of_each_shipped_config_has_the_rounds_of_all_claims(name: str) -> None:
    config = checked(merged(name))
    numbers = [
        number
        for value in config["claims"].values()
        for number in (value if isinstance(value, list) else [value])
        if isinstance(number, int)
    ]
    assert max(numbers) <= max(rounds(config, study) for study in config["studies"])
    for arm in config["contrasts"]["arms"]:
        made = [arm_rounds(config, arm, study) for study in config["studies"]]
        assert any(set(config["claims"]["suffices"]) <= set(found) for found in made), arm


def test_every_figure_that_a_claim_names_is_in_the_catalogue() -> None:
    rows, _ = judge_claims(tables(arms=losing(0, 0)), PLAN, ["s"])
    named = {figures.key(name.removesuffix(".png")) for name in rows["figure"]}
    assert named <= set(figures.FIGURES) and len(named) == 11

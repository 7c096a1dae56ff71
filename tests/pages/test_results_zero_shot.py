"""The published runs of zero-shot masks: whole, paired with IMP, and as their page says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import Interval
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "zero-shot"
NUMBERS = Numbers(FOLDER)
RUNS = NUMBERS.table("accuracy")
ARMS = RUNS[RUNS["arm"] != "imp"]
LAYERS = [name for name in RUNS.columns if name.startswith("density_")]
SIZES = {
    name: {"density_hidden1": 3072 * 256, "density_readout": 256 * 10}.get(name, 256 * 256)
    for name in LAYERS
}


def kept(row: pd.Series, layers: list[str]) -> float:
    """Return the number of weights that a ticket keeps in layers."""
    return float(sum(row[name] * SIZES[name] for name in layers))


def test_the_page_is_what_its_template_and_tables_give() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


def test_every_arm_has_three_seeds_that_trained_all_epochs() -> None:
    for _, runs in ARMS.groupby(["study", "round", "arm"]):
        assert sorted(runs["seed"]) == [0, 1, 2]
        assert set(runs["epochs"]) == {50} and not runs["diverged"].any()


def test_every_arm_has_as_many_weights_as_the_ticket_of_its_seed() -> None:
    imp = RUNS[RUNS["arm"] == "imp"].set_index(["study", "round", "seed"])
    hidden = [name for name in LAYERS if name != "density_readout"]
    for _, row in ARMS.iterrows():
        own = imp.loc[(row["study"], row["round"], row["seed"])]
        for layers in (hidden, ["density_readout"]):
            assert kept(row, layers) == pytest.approx(kept(own, layers), rel=1e-4)


def test_a_shuffle_has_the_layer_densities_of_its_mask() -> None:
    of = ARMS.set_index(["study", "round", "seed", "arm"])[LAYERS]
    for study, number, seed, arm in of.index:
        if (shuffled := (study, number, seed, f"{arm}-shuffled")) in of.index:
            np.testing.assert_allclose(of.loc[shuffled], of.loc[study, number, seed, arm])


def test_the_contrasts_are_the_table_of_accuracies_less_imp() -> None:
    for row in NUMBERS.table("contrasts").itertuples():
        found = NUMBERS.estimate(
            "accuracy", row.quantity, row.round, study=row.study, arm=row.arm, minus="imp"
        )
        assert 100 * found.mean == pytest.approx(row.mean, abs=1e-3)
        assert 100 * found.lower == pytest.approx(row.lower, abs=2e-3)
        assert not row.planned


STUDIES = ("fcnet-normal", "fcnet-normal-rate-0-03")


def gaps(study: str, column: str) -> dict[str, Interval]:
    """Return arm - IMP at round 7, as shares, by arm."""
    return {
        arm: NUMBERS.estimate("accuracy", column, 7, study=study, arm=arm, minus="imp")
        for arm in NUMBERS.arms(7, study)
    }


def test_every_planned_arm_is_there_at_both_rates() -> None:
    masks = ("magnitude-at-init", "one-shot", "snip", "grasp", "synflow", "erk")
    for study in STUDIES:
        assert set(NUMBERS.arms(7, study)) == {*masks, *(f"{mask}-shuffled" for mask in masks)}


@pytest.mark.parametrize("study", STUDIES)
def test_in_the_last_epoch_no_mask_lies_above_the_ticket(study: str) -> None:
    """The page: "no mask here lies above the IMP ticket"; three are not told apart, one equals."""
    found = gaps(study, "test_accuracy")
    near = {"erk", "snip-shuffled", "one-shot-shuffled", "synflow-shuffled"}
    assert {arm for arm, gap in found.items() if gap.upper >= 0} == (
        near if study == "fcnet-normal" else set()
    )
    assert not [arm for arm, gap in found.items() if gap.lower > 0]
    others = {arm: gap.mean for arm, gap in found.items() if arm != "synflow-shuffled"}
    assert max(others.values()) < 0


def test_random_places_with_the_layer_densities_of_synflow_equal_the_ticket_at_one_rate() -> None:
    equal = {
        (study, arm)
        for study in STUDIES
        for arm in NUMBERS.arms(7, study)
        if NUMBERS.equivalence(
            NUMBERS.by_seed("accuracy", "test_accuracy", 7, study, arm),
            NUMBERS.by_seed("accuracy", "test_accuracy", 7, study),
        ).equivalent
    }
    assert equal == {("fcnet-normal", "synflow-shuffled")}


@pytest.mark.parametrize("study", STUDIES)
def test_snip_is_the_best_of_the_masks_that_choose_layer_densities(study: str) -> None:
    found = gaps(study, "test_accuracy")
    own = {
        arm: gap.mean for arm, gap in found.items() if arm in ("snip", "grasp", "synflow", "erk")
    }
    assert max(own, key=lambda arm: own[arm]) == "snip"


def test_at_the_best_validation_epoch_six_lie_above_the_ticket_at_the_lower_rate_alone() -> None:
    low, high = (gaps(study, "test_accuracy_best_validation") for study in STUDIES)
    assert {arm for arm, gap in low.items() if gap.lower > 0} == {
        "snip", "synflow", "erk", "erk-shuffled", "grasp-shuffled", "synflow-shuffled"
    }  # fmt: skip
    assert max(low, key=lambda arm: low[arm].mean) == "synflow-shuffled"
    assert not [arm for arm, gap in high.items() if gap.lower > 0]
    assert high["snip"].upper > 0 and high["one-shot"].upper > 0


def test_snip_takes_weights_from_the_first_layer() -> None:
    first, second = (
        NUMBERS.estimate("accuracy", f"density_hidden{layer}", 7, arm="snip", minus="imp")
        for layer in (1, 2)
    )
    assert first.upper < 0 < second.lower


@pytest.mark.parametrize("study", STUDIES)
def test_no_mask_is_better_than_its_own_shuffle_and_two_are_worse(study: str) -> None:
    found = NUMBERS.arms(7, study)
    against = {
        arm: NUMBERS.estimate(
            "accuracy", "test_accuracy", 7, study=study, arm=arm, minus=f"{arm}-shuffled"
        )
        for arm in found
        if f"{arm}-shuffled" in found
    }
    assert set(against) == {"magnitude-at-init", "one-shot", "snip", "erk", "grasp", "synflow"}
    assert not [arm for arm, gap in against.items() if gap.lower > 0]
    worse = {arm for arm, gap in against.items() if gap.upper < 0}
    assert worse == {"grasp", "synflow"}


def test_at_the_best_validation_epoch_only_places_of_one_shot_at_the_high_rate_are_better() -> None:
    column = "test_accuracy_best_validation"
    better = []
    for study in STUDIES:
        found = NUMBERS.arms(7, study)
        for arm, own in ((arm, f"{arm}-shuffled") for arm in found):
            if own in found:
                gap = NUMBERS.estimate("accuracy", column, 7, study=study, arm=arm, minus=own)
                better += [(study, arm)] if gap.lower > 0 else []
    assert better == [(STUDIES[1], "one-shot")]


def test_grasp_is_the_farthest_below_the_ticket() -> None:
    last, best = (gaps(STUDIES[1], f"test_accuracy{which}") for which in ("", "_best_validation"))
    assert min(last, key=lambda arm: last[arm].mean) == "grasp"
    low = gaps(STUDIES[0], "test_accuracy")
    assert min(low, key=lambda arm: low[arm].mean) == "grasp"
    others = [gap.mean for arm, gap in best.items() if arm != "grasp"]
    assert best["grasp"].upper < -0.02 < min(others) and max(others) < 0.02

"""What the page of the reference results says of runs of other folders, checked by their tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from conclusions import BEST, LAST, NORMAL, PAGE, PUBLISHED, registering
from ticketlens.verdicts.inference import Interval, t_interval

ZERO, OWN, GPU = (NORMAL.part(name) for name in ("zero-shot", "comparison", "gpu-variants"))
COSINE = "comparison-rate-0-01"

CONCLUSIONS: dict[str, Callable[[], bool]] = {}
conclusion = registering(CONCLUSIONS)


def gain(numbers: object, column: str, round_: int, study: str = "fcnet-normal") -> Interval:
    """Return the ticket of a round minus the dense network, paired by seed."""
    return numbers.estimate("accuracy", column, round_, study=study, minus=0)


@conclusion("At constant 0.01 every planned rival is worse at the last epoch;")
def _() -> bool:
    rows = NORMAL.table("contrasts").query("round == 7 and quantity == @LAST")
    return set(rows["verdict"]) == {"worse"} and rows["planned"].sum() == 6


@conclusion("random masks with SynFlow's layer densities, found later, are not.")
def _() -> bool:
    pair = [ZERO.by_seed("accuracy", LAST, 7, arm=arm) for arm in ("synflow-shuffled", "imp")]
    return ZERO.equivalence(*pair).equivalent


@conclusion(
    "All others lie below it in the mean; at 0.01 three of them are not told apart from it."
)
def _() -> bool:
    rows = ZERO.table("contrasts").query("round == 7 and quantity == @LAST")
    others = rows[rows["arm"] != "synflow-shuffled"]
    apart = others[others["upper"] < 0]["study"].value_counts()
    return bool((others["mean"] < 0).all()) and apart.to_dict() == {
        "fcnet-normal": 11 - 3,
        "fcnet-normal-rate-0-03": 11,
    }


def at_own_rates(rival: str, quantity: str) -> pd.Series:
    where = {"imp minus": rival, "round": 7, "quantity": quantity}
    return OWN.row("contrasts", **where)


@conclusion(
    "With each at its own best rate (cosine schedule, round 7) they still do, and at the last "
    "epoch they also beat random masks with their values shuffled, and pruning by abs(theta_0)."
)
def _() -> bool:
    rows = [at_own_rates(arm, LAST) for arm in ("dense", "shuffle-layer", "magnitude-at-init")]
    return all(row["verdict"] == "IMP wins" for row in rows)


@conclusion(
    "At the best validation epoch a random mask with its values shuffled is better than the ticket "
    "at constant 0.01, and not told apart from it at own rates."
)
def _() -> bool:
    row = NORMAL.row("contrasts", arm="shuffle-layer", round=7, quantity=BEST)
    own = at_own_rates("shuffle-layer", BEST)
    at_001 = bool(row["verdict"] == "better" and row["planned"])
    return at_001 and bool(own["low"] < 0 < own["high"])


@conclusion("With a cosine and both at 0.01 no lead is left there.")
def _() -> bool:
    cosine = [gain(OWN, column, 7, COSINE) for column in (LAST, BEST)]
    constant = [gain(NORMAL, column, 7) for column in (LAST, BEST)]
    return all(g.lower < 0 < g.upper for g in cosine) and all(g.lower > 0 for g in constant)


@conclusion("across arms the gradient's rank goes with accuracy no more than by chance")
def _() -> bool:
    rows = NORMAL.table("claims").query("claim == 'back-propagation makes them win'")
    taus = NORMAL.table("predictors").query("along == 'arms' and round == 7")
    band = taus.query("study == 'fcnet-normal'")["band"].max()
    inside = rows[["lower", "upper"]].abs().to_numpy().max() < band
    return len(rows) == 2 and bool(inside) and set(rows["verdict"]) == {"inconclusive"}


@conclusion("Within rate 0.01 it is the other way round:")
def _() -> bool:
    share = [
        NORMAL.part("rates").layers(
            "mask_overlap", "overlap", "kept",
            study="fcnet-normal", round=round_, network="largest theta_0",
        )
        for round_ in (3, 7, 10)
    ]  # fmt: skip
    gains = [gain(NORMAL, LAST, round_).mean for round_ in (3, 7, 10)]
    return bool(np.all(np.diff(share) < 0) and np.all(np.diff(gains) < 0))


@conclusion("as the other dense networks never reach it")
def _() -> bool:
    curves = NORMAL.table("training_curves").query("study == 'fcnet-normal' and arm == 'imp'")
    reached = curves.query("round == 0").groupby("seed")["train_accuracy"].max() >= 0.95
    fit = NORMAL.row("equal_fit", study="fcnet-normal", round=7, rival="dense", level=0.95)
    return bool(reached.sum() == fit["n"] == 5 and len(reached) == 8)


@conclusion(
    "Over rivals three seeds show no lead at 70 %; at 95 % two of the three intervals exclude 0."
)
def _() -> bool:
    rows = NORMAL.table("equal_fit").query("study == 'fcnet-normal' and round == 7")
    rows = rows[rows["rival"].isin(["shuffle-layer", "imp-matched", "uniform-matched"])]
    low, high = (rows[rows["level"] == level]["lower"] for level in (0.7, 0.95))
    return len(low) == 3 and not (low > 0).any() and (high > 0).sum() == 2


@conclusion("With a cosine schedule all arms fit them, and the ticket [still leads]")
def _() -> bool:
    runs = OWN.table("accuracy").query("round == 7 or (round == 0 and study == @COSINE)")
    ahead = [at_own_rates(arm, LAST)["low"] > 0 for arm in OWN.table("contrasts")["imp minus"]]
    return runs["train_accuracy"].min() > 0.9999 and all(ahead)


@conclusion("Fitting them all is not enough: one-shot pruning does, too, and ends")
def _() -> bool:
    fitted = ZERO.by_seed("accuracy", "train_accuracy", 7, arm="one-shot")
    gap = ZERO.by_seed("accuracy", LAST, 7, arm="one-shot") - ZERO.by_seed("accuracy", LAST, 7)
    return fitted.min() > 0.99995 and t_interval(gap).upper < 0


@conclusion(
    "with all eight, four verdicts of round 7's best epoch are other: two arms are *better* there "
    "that were *not worse*, two *not worse* that were *inconclusive*."
)
def _() -> bool:
    three = NORMAL.table("contrasts").query("study == 'fcnet-normal' and planned")
    eight = NORMAL.part("planned-seeds").table("contrasts").query("of == 'all seeds'")
    before, after = (
        rows.query("round == 7 and quantity == @BEST").set_index("arm")["verdict"]
        for rows in (three, eight)
    )
    changes = sorted((before[arm], after[arm]) for arm in before.index if before[arm] != after[arm])
    return changes == 2 * [("inconclusive", "not worse")] + 2 * [("not worse", "better")]


@conclusion(
    "the gain in the last epoch includes 0 in every round, that at the best epoch excludes 0"
)
def _() -> bool:
    last, best = (
        [gain(GPU, column, r, "resnet-fc-normal").lower > 0 for r in range(1, 15)]
        for column in (LAST, BEST)
    )
    return not any(last) and [r for r, excludes in enumerate(best, 1) if excludes] == [
        11,
        12,
        13,
        14,
    ]


@pytest.mark.parametrize("sentence", CONCLUSIONS, ids=lambda sentence: sentence[:60])
def test_a_conclusion_about_other_runs_is_what_their_tables_say(sentence: str) -> None:
    assert sentence in PAGE, "the page no longer says this: mend or remove its check"
    assert CONCLUSIONS[sentence]()


def test_tickets_of_rounds_1_and_2_gain_in_the_chains_of_the_stability_page() -> None:
    page = (PUBLISHED / "stability" / "README.md").read_text(encoding="utf-8")
    assert "fits from round 2 on" in page
    assert all(gain(GPU, LAST, round_).lower > 0 for round_ in (1, 2, 3, 5))


def test_denser_tickets_lead_with_a_cosine_at_rate_0_01() -> None:
    page = (PUBLISHED / "comparison" / "README.md").read_text(encoding="utf-8")
    assert "Denser tickets lead at 0.01 as well in the last epoch" in page
    assert [r for r in range(1, 8) if gain(OWN, LAST, r, COSINE).lower > 0] == [1, 2, 3]


@pytest.mark.parametrize("arm", ["isometric-random", "isometric-orthogonal"])
def test_isometric_weights_off_the_mask_are_not_told_apart_from_the_dense_network(arm: str) -> None:
    numbers, study = NORMAL.part("isometry"), "fcnet-normal-rate-0-03"
    page = (PUBLISHED / "isometry" / "README.md").read_text(encoding="utf-8")
    gap = numbers.by_seed("accuracy", LAST, 7, study, arm) - numbers.by_seed(
        "accuracy", LAST, 0, study
    )
    found = t_interval(gap)
    assert (
        found.lower < 0 < found.upper and "they are not told apart from the dense network" in page
    )

"""What the page of the reference results concludes of accuracy in words, checked by its tables.

Numbers on the page are looked up when it is rendered; counts and comparisons within a sentence are
written by hand. Each of those stands here with what the tables must show for it to be true.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from conclusions import BEST, LAST, NORMAL, PAGE, RATES, accuracy, registering
from ticketlens.verdicts.inference import Interval, t_quantile

RIVALS_AT_THE_HIGH_RATE = ("imp-matched", "uniform-matched", "shuffle-layer", "imp-sign-redrawn")
FULL_WIDTH_AT_CHI_1 = {"uniform-density", "uniform-degree", "imp-degree"}

CONCLUSIONS: dict[str, Callable[[], bool]] = {}
conclusion = registering(CONCLUSIONS)


def gaps(round_: int, column: str) -> dict[str, float]:
    """Return the mean of arm − IMP in points, of all arms compared at a round."""
    rows = NORMAL.table("contrasts").query("study == 'fcnet-normal'")
    rows = rows[(rows["round"] == round_) & (rows["quantity"] == column)]
    return dict(zip(rows["arm"], rows["mean"], strict=True))


def leads(round_: int, column: str) -> list[Interval]:
    """Return the ticket's lead over its rivals at the high rate."""
    return [
        Interval(-gap.mean, -gap.upper, -gap.lower, gap.n)
        for arm in RIVALS_AT_THE_HIGH_RATE
        for gap in [accuracy(column, round_, "0.03", arm=arm, minus="imp")]
    ]


def first_fully_fitted(share: float) -> dict[int, float]:
    """Return the epoch by which every seed's training loss is below a share of a nat, by round."""
    rows = NORMAL.table("training_curves")
    rows = rows[(rows["study"] == "fcnet-normal") & (rows["arm"] == "imp")]
    is_fitted = rows[rows["train_loss"] < share]
    by_seed = is_fitted.groupby(["round", "seed"])["epoch"].min()
    return by_seed.groupby("round").max().to_dict()


@conclusion("In the last epoch the ticket falls below the dense network at round 12")
def _() -> bool:
    below = [r for r in range(1, 16) if accuracy(LAST, r, minus=0).upper < 0]
    return below[0] == 12


@conclusion("from round 3 to 12 all training images stay fitted")
def _() -> bool:
    return all(accuracy("train_accuracy", r).mean > 0.9995 for r in range(3, 13))


@conclusion("and there is no fall down to a density of")
def _() -> bool:
    best = np.array([accuracy(BEST, r).mean for r in range(16)])
    peaks = [int(np.argmax(best[: r + 1])) for r in range(16)]
    return all(accuracy(BEST, r, minus=peaks[r]).upper >= 0 for r in range(16))


@conclusion("At the best validation epoch no gain shows at round 7")
def _() -> bool:
    return accuracy(BEST, 7, minus=0).lower > 0 >= _orthogonal_gain().lower


def _orthogonal_gain() -> Interval:
    return NORMAL.estimate("accuracy", BEST, 7, minus=0, study="fcnet-orthogonal")


@conclusion("(the lowest of the 8 seeds)")
def _() -> bool:
    return _dense(LAST).idxmin() == 0


@conclusion("the worst of the eight at 45,000")
def _() -> bool:
    return _dense(LAST).idxmin() == 0 and len(_dense(LAST)) == 8


def _dense(column: str) -> pd.Series:
    return NORMAL.runs(0, "fcnet-normal").set_index("seed")[column]


@conclusion("the higher the rate, the more they gain")
def _() -> bool:
    return all(
        np.all(np.diff([accuracy(column, 7, rate, minus=0).mean for rate in RATES]) > 0)
        for column in (LAST, BEST)
    )


@conclusion("and no gain shows, by neither epoch")
def _() -> bool:
    return all(
        accuracy(c, r, "0.003", minus=0).lower <= 0 for c in (LAST, BEST) for r in (3, 5, 7, 10)
    )


@conclusion("and tickets of round 7 and later gain more than at 0.01")
def _() -> bool:
    return all(
        accuracy(c, r, "0.03", minus=0).mean > accuracy(c, r, minus=0).mean
        for c in (LAST, BEST)
        for r in (7, 8, 9, 10)
    )


@conclusion(
    "by the last epoch those of 0.01 at round 3 and of 0.03 at round 7 lie above the dense "
    "networks of all three rates, by the best epoch those of 0.03 from round 7 on do"
)
def _() -> bool:
    dense = {
        column: max(accuracy(column, 0, rate).mean for rate in RATES) for column in (LAST, BEST)
    }
    tickets = [accuracy(LAST, 3), accuracy(LAST, 7, "0.03")]
    best = [accuracy(BEST, r, "0.03") for r in (7, 8, 9, 10)]
    return all(own.mean > dense[LAST] for own in tickets) and all(
        own.mean > dense[BEST] for own in best
    )


@conclusion(
    "By the last epoch the ticket leads by some three points, and its rivals end a point above "
    "the dense network at round 7 and beside it at round 10"
)
def _() -> bool:
    leading = [100 * lead.mean for r in (7, 10) for lead in leads(r, LAST)]
    above = {
        r: [
            100 * (accuracy(LAST, r, "0.03", arm=arm).mean - accuracy(LAST, 0, "0.03").mean)
            for arm in RIVALS_AT_THE_HIGH_RATE
        ]
        for r in (7, 10)
    }
    return (
        2.4 < min(leading) < max(leading) < 3.8
        and 0.5 < np.mean(above[7]) < 1.5
        and abs(np.mean(above[10])) < 0.5
    )


@conclusion("It is also the only one that has fitted the training images by then")
def _() -> bool:
    fitted = partial(accuracy, "train_accuracy", 7, "0.03")
    rivals = [fitted(arm=arm).mean for arm in RIVALS_AT_THE_HIGH_RATE]
    return fitted().mean > 0.999 and max(rivals) < 0.96


@conclusion("By the best epoch all four rivals share most of the gain at round 7")
def _() -> bool:
    dense, ticket = (accuracy(BEST, r, "0.03").mean for r in (0, 7))
    rivals = [accuracy(BEST, 7, "0.03", arm=arm).mean for arm in RIVALS_AT_THE_HIGH_RATE]
    return all(rival - dense > 0.5 * (ticket - dense) for rival in rivals)


@conclusion("leads them by 1 to 1.6 points in the mean, and two of the four intervals exclude 0")
def _() -> bool:
    found = leads(10, BEST)
    means = sorted(round(100 * lead.mean, 1) for lead in found)
    return (means[0], means[-1]) == (1.0, 1.6) and sum(lead.lower > 0 for lead in found) == 2


@conclusion("tickets of rounds 5 to 12 are best after their first epoch")
def _() -> bool:
    firsts = [r for r in range(16) if (NORMAL.runs(r, "resnet-fc-normal")["best_epoch"] == 1).all()]
    return firsts == list(range(5, 13))


@conclusion("By weights of the last epoch every rival ends below the IMP ticket in the mean")
def _() -> bool:
    rounds = NORMAL.table("contrasts").query("study == 'fcnet-normal'")["round"].unique()
    return all(gap < 0 for r in rounds for gap in gaps(r, LAST).values())


@conclusion(
    "The IMP ticket is the only one of the table that has fitted all training images by then."
)
def _() -> bool:
    rivals = [accuracy("train_accuracy", 7, arm=arm).mean for arm in NORMAL.arms(7)]
    return accuracy("train_accuracy", 7).mean > 0.9999 > max(rivals)


@conclusion("the arms at sigma_w = 1.4 (chi")
def _() -> bool:
    found = gaps(3, BEST)
    ahead = {"imp-sign-kept", "imp-other-seed"}
    return min(found[arm] for arm in ahead) > max(
        gap for arm, gap in found.items() if arm not in ahead
    )


@conclusion("are the worst of full width at round 7")
def _() -> bool:
    full_width = {a: gap for a, gap in gaps(7, BEST).items() if not a.startswith("small-")}
    ranked = sorted(full_width, key=full_width.__getitem__)
    return set(ranked[: len(FULL_WIDTH_AT_CHI_1)]) == FULL_WIDTH_AT_CHI_1


@conclusion("tickets of rounds 4 to 9 have a training loss near zero after 25 to 30 epochs")
def _() -> bool:
    reached = first_fully_fitted(0.02)
    return all(25 <= reached[r] <= 30 for r in range(4, 10))


@conclusion("at its best after one epoch, loses some two points and regains half of them")
def _() -> bool:
    rows = NORMAL.table("training_curves").query("study == 'fcnet-normal' and arm == 'imp'")
    rows = rows[(rows["round"] == 7) & rows["seed"].isin([0, 1, 2])]  # the seeds of all arms
    course = 100 * rows.groupby("epoch")["validation_accuracy"].mean()
    loss, regained = course[1] - course.min(), course.iloc[-1] - course.min()
    return course.max() - course[1] < 0.5 and 1.5 < loss < 2.5 and 0.4 < regained / loss < 0.6


@conclusion("With two seeds a 95 % interval reaches 12.7 standard errors to either side")
def _() -> bool:
    return round(t_quantile(1, 0.975), 1) == 12.7


@pytest.mark.parametrize("sentence", CONCLUSIONS, ids=lambda sentence: sentence[:60])
def test_a_conclusion_in_words_is_what_the_tables_say(sentence: str) -> None:
    assert sentence in PAGE, "the page no longer says this: mend or remove its check"
    assert CONCLUSIONS[sentence]()

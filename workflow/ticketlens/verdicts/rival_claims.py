"""Claims about rivals: arms against IMP, by the verdicts of contrasts.csv, and backward signals.

An arm's accuracy has one verdict, that of `contrasts`; a claim about it says that verdict in other
words. What goes backward is compared with the nulls, and over arms with the accuracy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.contrasts import SUFFICIENT, WORSE, contrasts, verdicts_of
from ticketlens.verdicts.inference import Interval
from ticketlens.verdicts.judging import Case, Judge, Judgement, Number, above, beyond
from ticketlens.verdicts.predictors import independence_band
from ticketlens.verdicts.study_values import Study, minus

WEIGHTS = {"last epoch": "test_accuracy", "best validation": "test_accuracy_best_validation"}
NULLS = ("random-mask", "rewired", "shuffled-values", "sign-redrawn", "fresh-matched", "fresh")
MIN_ARMS = 5  # fewer rankings than that are never beyond chance
KEYS = ["seed", "arm", "log_loss"]
Rows = Mapping[tuple[str, int, str, str], Mapping[str, Any]]


def _contrasts(study: Study, plan: Plan) -> Rows:
    """Return the rows of contrasts.csv of a study by (study, round, arm, quantity)."""
    accuracy = study.tables["accuracy"]
    if set(accuracy["arm"]) <= {"imp"}:
        return {}
    rows = contrasts(accuracy, plan.planned, plan.planned_round, plan.margin)
    return verdicts_of(rows)


def _against_imp(
    study: Study, found: Rows, arm: str, round_: int, column: str, sign: int = 1
) -> tuple[pd.Series, Any, Interval | None]:
    """Return the differences per seed, the arm's row of contrasts.csv and its interval."""
    values = sign * study.against_imp(column, round_, arm)
    row = found.get((study.name, round_, arm, column)) if len(values) else None
    if row is None:
        return values, {"verdict": "", "planned": False, "n_needed": None}, None
    ends = sorted(sign * row[end] for end in ("lower", "upper"))
    interval = Interval(sign * row["mean"], ends[0], ends[1], row["n"])
    return values, row, interval if np.isfinite(ends[0]) else None


def bimodal_nets_lose(study: Study, plan: Plan) -> Iterator[Case]:
    """Random masks with weights from the tickets' own law train worse than the tickets."""
    arm, verdicts = cast(str, plan.bimodal_arm), _contrasts(study, plan)
    for round_ in plan.bimodal_accuracy if arm is not None else ():
        for weights, column in WEIGHTS.items():
            loss, row, interval = _against_imp(study, verdicts, arm, round_, column, sign=-1)
            word = row["verdict"]
            number = Number(
                f"test accuracy, imp − {arm} (points)", loss,
                cast(Judge, lambda _, word=word: Judgement(
                    word == WORSE, word in SUFFICIENT, f"{arm}: {word}"
                )),
                study.absence(round_, arm=arm), interval=interval, planned=row["planned"],
                n_needed=cast(Callable[[], int | None], lambda row=row: row["n_needed"]),
            )  # fmt: skip
            yield Case(f"round {round_}, {weights}", "zero_shot", [number])


def property_suffices(study: Study, plan: Plan) -> Iterator[Case]:
    """A rival ticket trains no worse than IMP's: the verdicts of contrasts.csv, and no others."""
    verdicts = _contrasts(study, plan)
    cases = itertools.product(plan.planned, WEIGHTS.items(), plan.suffices)
    for arm, (weights, column), round_ in cases:
        values, row, interval = _against_imp(study, verdicts, arm, round_, column)
        word = row["verdict"]
        number = Number(
            f"test accuracy, {arm} − imp, round {round_} (points)", values,
            cast(Judge, lambda _, word=word: Judgement(word in SUFFICIENT, word == WORSE, word)),
            study.absence(round_, arm=arm), interval=interval, planned=row["planned"],
            n_needed=cast(Callable[[], int | None], lambda row=row: row["n_needed"]),
        )  # fmt: skip
        yield Case(f"{arm}, round {round_}, {weights}", "zero_shot", [number])


def backward_better(study: Study, plan: Plan) -> Iterator[Case]:
    """More of the loss's gradient reaches layer 1 than in any null of the same seed."""
    round_, numbers = plan.backward, []
    ticket = study.gradients("log_loss", round_, "ticket")
    for name in NULLS:
        gap = minus(ticket, study.gradients("log_loss", round_, name))
        text = f"ln G_1 of the loss, ticket − {name}, round {round_}"
        absent = study.absence(round_)
        if gap.empty and round_ <= study.last:
            absent = "no gradients are measured, or no null applies"
        numbers.append(Number(text, gap, above(0), absent, planned=False))
    applicable = [number for number in numbers if not number.is_absent]
    yield Case("", "gradients", applicable or numbers[:1])


def backward_wins(study: Study, plan: Plan) -> Iterator[Case]:
    """The more of the gradient reaches layer 1, the better an arm trains: tau over arms.

    Seeds share their arms, so the interval over seeds is narrow however arms rank: a verdict asks
    for a tau that is rare among unrelated rankings of as many arms (`independence_band`).
    """
    from scipy.stats import kendalltau  # 0.6 s to import

    round_, table = plan.backward, study.tables["gradients"]
    gradients = table[
        (table["round"] == round_) & (table["network"] == "ticket")
        & (table["layer"] == 1) & (table["state"] == "init")
    ]  # fmt: skip
    absent = study.absence(round_)
    if round_ <= study.last:
        absent = f"gradients of fewer than {MIN_ARMS} arms are measured at round {round_}"
    for weights, column in WEIGHTS.items():
        runs = study.tables["accuracy"]
        both = runs[runs["round"] == round_].merge(
            gradients[["seed", "arm", "log_loss"]], on=["seed", "arm"]
        )
        taus = {
            seed: float(kendalltau(group["log_loss"], group[column]).statistic)
            for seed, group in both.groupby("seed")
            if len(group) >= MIN_ARMS
        }
        ranked = int(both.groupby("seed").size()[list(taus)].min()) if taus else MIN_ARMS
        band = independence_band(ranked)
        text = (
            f"Kendall's tau over arms, ln G_1 of the loss and accuracy, round {round_} "
            f"({ranked} unrelated arms: up to {band:.2f})"
        )
        number = Number(
            text, pd.Series(taus, dtype=float), beyond(band), absent, null=0.0, planned=False
        )
        yield Case(weights, "predictors", [number])

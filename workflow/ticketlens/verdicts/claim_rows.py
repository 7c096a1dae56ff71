"""Rows of claims.csv: a judged case in numbers, with what its interval covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from ticketlens.verdicts.inference import Interval, t_interval
from ticketlens.verdicts.judging import INCONCLUSIVE, Case, judged, verdict

PLANNED = {True: "planned", False: "post hoc"}
COVERS = "other seeds; the same images"
ACCURACY_COVERS = "other seeds; the same test images, whose choice adds 0.5 points a run"


@dataclass(frozen=True)
class Row:
    """One line of claims.csv. `own_verdict` is what the number would say without its case."""

    study: str
    claim: str
    number: float
    lower: float
    upper: float
    n: int
    verdict: str
    figure: str
    case: str
    quantity: str
    own_verdict: str
    null: float
    n_needed: int | None
    remark: str
    planned: str
    covers: str


def case_rows(study: str, claim: str, case: Case) -> list[Row]:
    """Return one row per number of a case, all with the case's verdict."""
    judgements = [judged(number) for number in case.numbers]
    overall = verdict(judgements)
    rows = []
    for number, judgement in zip(case.numbers, judgements, strict=True):
        finite = number.values[np.isfinite(number.values)]
        interval = number.interval or (t_interval(finite) if len(finite) else None)
        complete = interval is not None and len(finite) == len(number.values)
        of_number = verdict([judgement])
        remarks = [judgement.remark]
        if complete and cast(Interval, interval).lower == cast(Interval, interval).upper:
            remarks.append("no spread between seeds, so no width")
        rows.append(
            Row(
                study=study,
                claim=claim,
                number=interval.mean if interval else np.nan,
                lower=cast(Interval, interval).lower if complete else np.nan,
                upper=cast(Interval, interval).upper if complete else np.nan,
                n=len(number.values),
                verdict=overall,
                figure=f"{case.figure}.png",
                case=case.name,
                quantity=number.quantity,
                own_verdict=of_number,
                null=number.null,
                n_needed=number.n_needed() if of_number == INCONCLUSIVE else None,
                remark="; ".join(filter(None, remarks)),
                planned=PLANNED[number.planned],
                covers=ACCURACY_COVERS if "accuracy" in number.quantity else COVERS,
            )
        )
    return rows

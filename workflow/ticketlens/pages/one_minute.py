"""The table that a reader sees first: a question a row, answered in three words and one number."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketlens.pages.numbers import number

HEADING = "## In one minute"
VERDICT = re.compile(r",? \*(supported|contradicted|inconclusive)\*")
UNIT = re.compile(r" \((points|nats)\)$")
OPEN = "open"


@dataclass(frozen=True)
class Row:
    """An answer: `number` with its interval as text, of `seeds`; `figure` shows it.

    `quantity` says what the number is.
    """

    question: str
    answer: str
    number: str
    seeds: str
    figure: str = ""
    quantity: str = ""


@dataclass(frozen=True)
class Question:
    """A question that a claim of claims.csv answers; `which` of the claim's numbers is shown."""

    text: str
    claim: str
    yes: str
    no: str
    case: str = ""
    which: int = 0


QUESTIONS = (
    Question("do tickets win?", "tickets beat the dense network", "yes", "no", "last epoch"),
    Question("does std grow?", "std grows with sparsity", "more than by selection",
             "less than by selection", "beyond selection"),
    Question("does theory follow q?", "naive theory departs near 0.51", "departs near 0.51",
             "departs elsewhere"),
    Question("does chi fall?", "chi falls from 1", "yes", "no", which=1),
    Question("does a property suffice?", "new: property X suffices", "yes", "no"),
    Question("do gradients pass?", "tickets back-propagate better than every null", "yes", "no"),
    Question("is that why they win?", "back-propagation makes them win", "yes", "no",
             "last epoch"),
)  # fmt: skip


def of_claims(claims: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the answers of the first study that has claims, from the rows of claims.csv.

    A question whose claim was left out is not asked. Of several cases the first that is decided
    speaks, and its case is named.
    """
    first = claims[0]["study"] if claims else None
    answers = []
    for question in QUESTIONS:
        cases: dict[str, list[Mapping[str, Any]]] = {}
        for row in claims:
            if (row["study"], row["claim"]) == (first, question.claim):
                cases.setdefault(row.get("case", ""), []).append(row)
        if question.case:
            cases = {name: rows for name, rows in cases.items() if name == question.case}
        if cases:
            answers.append(_answer(question, cases))
    return answers


def _answer(question: Question, cases: Mapping[str, Sequence[Mapping[str, Any]]]) -> Row:
    order = ("supported", "contradicted")
    decided = [name for word in order for name, rows in cases.items() if rows[0]["verdict"] == word]
    case = decided[0] if decided else next(iter(cases))
    rows = cases[case]
    row = rows[min(question.which, len(rows) - 1)]
    answers = {"supported": question.yes, "contradicted": question.no}
    answer = answers.get(row["verdict"], OPEN)
    if case and not question.case and decided:
        answer += f": {case}"
    text = number(row["number"])
    if row["lower"] and row["lower"] != row["upper"]:
        text += f" [{number(row['lower'])}, {number(row['upper'])}]"
    quantity = row.get("quantity", "")
    if unit := UNIT.search(quantity):
        text += f" {unit[1]}"
    figure = row.get("figure", "").removesuffix(".png")
    return Row(question.text, answer, text, row["n"], figure, quantity)


def of_page(text: str) -> list[Row]:
    """Return the rows of the table below "In one minute" of a Markdown page.

    Words of a verdict after a number go: the answer says it.
    Raises ValueError if there is no such table of five columns.
    """
    lines = iter(text.partition(HEADING)[2].partition("\n## ")[0].splitlines())
    rows = [_cells(line) for line in lines if line.startswith("|")][2:]
    if not rows or any(len(row) != 5 for row in rows):
        raise ValueError(f"no table of five columns below {HEADING!r}")
    return [Row(*map(_plain, row[:4])) for row in rows]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _plain(cell: str) -> str:
    """Return Markdown without emphasis and links."""
    return re.sub(r"\[([^][]*)\]\([^()]*\)", r"\1", VERDICT.sub("", cell)).replace("*", "")


def rehearsal(config: Mapping[str, Any]) -> str:
    """Return what makes a run a rehearsal, in words; empty if it is a study of its own.

    The embedded images are there to try the workflow: too few to train on in earnest.
    """
    if config["dataset"]["source"] != "embedded":
        return ""
    seeds = {len(study["seeds"]) for study in config["studies"].values()}
    return f"embedded images, {_most(seeds)}"


def _most(seeds: Iterable[int]) -> str:
    most = max(seeds)
    return "one seed each" if most == 1 else f"at most {most} seeds"


def shown_first(config: Mapping[str, Any], reference: str) -> list[str]:
    """Return page and figure of the folder `reference` for a rehearsal; none where they are not."""
    files = [f"{reference}/{name}" for name in ("README.md", "figures/accuracy.png")]
    return files if rehearsal(config) and all(map(os.path.isfile, files)) else []

"""The page of the reference results, its tables, and a register of what it concludes in words."""

from __future__ import annotations

from collections.abc import Callable

from ticketlens.pages.results_page import Numbers
from ticketlens.verdicts.inference import Interval
from workflow_tools import REPOSITORY

PUBLISHED = REPOSITORY / "docs" / "results"
PAGES = [(PUBLISHED / name).read_text(encoding="utf-8") for name in ("README.md", "details.md")]
PAGE = " ".join(" ".join(PAGES).split())
NORMAL = Numbers(PUBLISHED)
HIGH, LOW = NORMAL.part("high-rate"), NORMAL.part("low-rate")
RATES = {
    "0.003": (LOW, "fcnet-normal-rate-0-003"),
    "0.01": (NORMAL, "fcnet-normal"),
    "0.03": (HIGH, "fcnet-normal-rate-0-03"),
}

LAST, BEST = "test_accuracy", "test_accuracy_best_validation"


def registering(
    conclusions: dict[str, Callable[[], bool]],
) -> Callable[[str], Callable[[Callable[[], bool]], Callable[[], bool]]]:
    """Return the decorator that adds to these what must hold for a sentence of the page."""

    def conclusion(sentence: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
        """Register what must hold for a sentence of the page to be true."""

        def register(check: Callable[[], bool]) -> Callable[[], bool]:
            conclusions[sentence] = check
            return check

        return register

    return conclusion


def accuracy(column: str, round_: int, rate: str = "0.01", **where: object) -> Interval:
    """Return an accuracy over seeds, as a share."""
    part, study = RATES[rate]
    return part.estimate("accuracy", column, round_, study=study, **where)

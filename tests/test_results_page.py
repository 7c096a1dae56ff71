"""The page of the reference results: each number is the tables', with its interval."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ticketlens.results_page import Numbers, render
from workflow_tools import REPOSITORY

PUBLISHED = REPOSITORY / "docs" / "results"


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    rows = [
        ("s", "imp", 7, "test_accuracy", 4, 0.485, 0.004),
        ("s", "imp", 7, "q", 1, -0.25, np.nan),
    ]
    columns = ["study", "arm", "round", "quantity", "n", "mean", "sd"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "reference.csv", index=False)
    return Numbers(tmp_path)


def test_a_mean_comes_with_its_t_interval_and_accuracies_in_percent(numbers: Numbers) -> None:
    half = 100 * 0.004 * stats.t.ppf(0.975, 3) / 2
    assert numbers.mean("test_accuracy", 7, "s") == f"48.50 ± {half:.2f}"
    assert numbers.mean("q", 7, "s") == "−0.25"  # one seed: no interval
    assert numbers.seeds("s", round=7) == 4


def test_a_number_that_is_not_there_is_an_error_and_not_a_gap(numbers: Numbers) -> None:
    with pytest.raises(LookupError, match=r"reference has 0 rows with .*'round': 8"):
        numbers.mean("test_accuracy", 8, "s")


def test_intervals_have_signs_where_differences_do_and_no_minus_zero() -> None:
    write = Numbers(Path()).interval
    assert write(1.24, -0.04, 2.5, signed=True) == "+1.2 [+0.0, +2.5]"
    assert write(-1.24, np.nan, np.nan) == "−1.2"


def test_the_committed_page_is_what_the_committed_tables_say() -> None:
    assert (PUBLISHED / "README.md").read_text(encoding="utf-8") == render(PUBLISHED)


@pytest.mark.parametrize("name", ["README.md", "claims.md"])
def test_the_committed_pages_link_to_what_is_there(name: str) -> None:
    page = (PUBLISHED / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([\w./-]+)\)", page)
    assert len(links) > 8
    assert [link for link in links if not (PUBLISHED / link).exists()] == []

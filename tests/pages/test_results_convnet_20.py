"""The first rounds of the ConvNet of 20 epochs: the page says what tables and bank hold."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from ticketlens import bank
from workflow_tools import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
FOLDER = RESULTS / "convnet-20-epochs"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
STUDIES = {"ConvNet": (FOLDER, "convnet-20-epochs-normal"), "FCNet": (RESULTS, "fcnet-normal")}
COLUMNS = {"q": ("qmap", "q"), "chi": ("chi", "chi_frobenius")}
CELLS = ((0, "init"), (1, "init"), (2, "init"), (0, "trained"), (1, "trained"))


def test_the_table_has_the_means_over_layers_2_to_8() -> None:
    rows = re.findall(r"^\| (\w+)(?: \([^)]*\))?, (q|chi) \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 4
    for network, quantity, text in rows:
        (folder, study), (name, column) = STUDIES[network], COLUMNS[quantity]
        table = pd.read_csv(folder / "tables" / f"{name}.csv")
        table = table[(table["study"] == study) & (table["arm"] == "imp") & (table["layer"] > 1)]
        means = table.groupby(["round", "state"])[column].mean()
        for cell, stated in zip(CELLS, text.split(" | "), strict=True):
            digits = len(stated.partition(".")[2])
            assert f"{means[cell]:.{digits}f}" == stated


@pytest.mark.parametrize(
    ("row", "quantity"),
    [
        ("test accuracy, last epoch", "final_test_accuracy"),
        ("test accuracy, best epoch", "final_test_accuracy_best_validation"),
        ("training accuracy, last epoch", "final_train_accuracy"),
    ],
)
def test_the_accuracies_are_those_of_the_bank(row: str, quantity: str) -> None:
    chain = bank.chain("convnet-20-epochs-normal", 0)
    assert chain.rounds == len(chain.histories) == 2  # else the page has to say more
    dense, ticket = (100 * float(history[quantity][0]) for history in chain.histories)
    (line,) = re.findall(rf"^\| {row}.*$", PAGE, flags=re.MULTILINE)
    assert line.endswith(f"| {dense:.1f} % | {ticket:.1f} % | {ticket - dense:+.1f} |")
    if "best" in row:
        first, second = (int(history["best_epoch"][0]) for history in chain.histories)
        assert f"({first} and {second} of 20)" in line

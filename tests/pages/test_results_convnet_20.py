"""The first round of the ConvNet of 20 epochs: the page says what tables and bank hold."""

from __future__ import annotations

import re

import pandas as pd

from ticketlens import bank
from workflow_tools import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
FOLDER = RESULTS / "convnet-20-epochs"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
STUDIES = {"ConvNet": (FOLDER, "convnet-20-epochs-normal"), "FCNet": (RESULTS, "fcnet-normal")}
COLUMNS = {"q": ("qmap", "q"), "chi": ("chi", "chi_frobenius")}
CELLS = ((0, "init"), (1, "init"), (0, "trained"))


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


def test_the_accuracies_are_those_of_the_bank() -> None:
    chain = bank.chain("convnet-20-epochs-normal", 0)
    last, best = (
        float(chain.histories[0][f"final_test_accuracy{which}"][0])
        for which in ("", "_best_validation")
    )
    assert f"{100 * last:.1f} % of the test images right in the last epoch" in PAGE
    assert f"{100 * best:.1f} % in its best one by validation" in PAGE
    assert chain.rounds == len(chain.histories) == 1  # else the page has to say more

"""The first rounds of the ConvNet of 20 epochs: the page says what tables and bank hold."""

from __future__ import annotations

import math

import pytest

from ticketlens import bank
from ticketlens.figures import variants
from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import t_interval
from workflow_tools import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
FOLDER = RESULTS / "convnet-20-epochs"
OWN, FCNET = Numbers(FOLDER), Numbers(RESULTS)
STUDY = "convnet-20-epochs-normal"
QUANTITIES = {
    "test_accuracy": "final_test_accuracy",
    "test_accuracy_best_validation": "final_test_accuracy_best_validation",
    "train_accuracy": "final_train_accuracy",
}
CHAIN = bank.chain(STUDY, 0)


def test_the_page_is_rendered_from_its_tables() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


@pytest.mark.parametrize("column", QUANTITIES)
def test_the_accuracies_are_those_of_the_bank(column: str) -> None:
    rows = OWN.table("accuracy").set_index("round")
    assert list(rows.index) == list(range(len(CHAIN.histories))) and set(rows["epochs"]) == {20}
    for number, history in enumerate(CHAIN.histories):
        assert math.isclose(
            rows.loc[number, column], float(history[QUANTITIES[column]][0]), rel_tol=1e-5
        )


def test_all_rounds_are_measured_before_training_and_one_more_ticket() -> None:
    end = len(CHAIN.histories) - 1
    for table in ("qmap", "chi"):
        rows = OWN.table(table)
        states = {state: set(group["round"]) for state, group in rows.groupby("state")}
        assert states == {"init": set(range(end + 2)), "trained": set(range(end + 1))}
    for table in ("ladder", "gradients", "ntk", "isometry", "degrees", "weight_statistics"):
        assert set(OWN.table(table)["round"]) == set(range(end + 1))


def test_what_the_page_says_of_them() -> None:
    end = len(CHAIN.histories) - 1
    for column in ("test_accuracy", "test_accuracy_best_validation"):
        gains = [OWN.estimate("accuracy", column, r, minus=0, study=STUDY).mean
                 for r in range(1, end + 1)]  # fmt: skip
        assert min(gains) > 0
    fitted = [float(OWN.runs(r, STUDY)["train_accuracy"].iloc[0]) for r in range(end + 1)]
    assert fitted[0] < 0.9 and min(fitted[1:]) > 0.98
    steps = {rung: float(text.replace("−", "-")) for rung, text in OWN.steps(end, STUDY).items()}
    assert max(abs(steps[rung]) for rung in ("degree", "empirical_law", "sign_redraw")) < 0.01
    assert steps["second_moment"] < 0 < steps["measured"]
    q = [OWN.estimate("qmap", "q", r, study=STUDY).mean for r in (0, end)]
    naive, counted = (
        [OWN.estimate("ladder", "q", r, study=STUDY, rung=rung).mean for r in (0, end)]
        for rung in ("naive", "second_moment")
    )
    assert q[0] < q[1] and naive[0] < naive[1] and counted[0] > counted[1]
    chi = [OWN.estimate("chi", "chi_frobenius", r, study=STUDY).mean for r in range(end + 2)]
    assert chi == sorted(chi, reverse=True)
    assert chi[-1] < OWN.estimate("chi", "chi_second_moment", end + 1, study=STUDY).mean


def test_the_figure_joins_both_networks_up_to_the_rounds_of_the_chain() -> None:
    tables = [variants.beside_published(RESULTS, FOLDER, n) for n in ("accuracy", "qmap", "chi")]
    assert all(set(table["study"]) == set(variants.NETWORKS) for table in tables)
    end = len(CHAIN.histories) - 1
    assert [table["round"].max() for table in tables] == [end, end + 1, end + 1]
    gain, q, chi = variants.networks(*tables).axes
    assert len(gain.containers) == 4 and len(q.containers) == len(chi.containers) == 2
    rows = FCNET.by_seed("accuracy", "test_accuracy", 2)
    found = t_interval(100 * (rows - FCNET.by_seed("accuracy", "test_accuracy", 0)))
    drawn = {one.get_label(): one.lines[0].get_ydata() for one in gain.containers}
    assert math.isclose(drawn["FCNet, 50 epochs, last epoch"][2], found.mean, rel_tol=1e-6)

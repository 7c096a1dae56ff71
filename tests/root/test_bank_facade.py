"""`ticketlens.bank`: tickets of the shipped bank by name, and what is said where there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ticketlens import bank, checkpoint
from workflow_tools import REPOSITORY


@pytest.fixture(scope="module")
def ticket():
    return bank.load("fcnet-normal", seed=0, round=7)


def test_a_ticket_of_the_bank_is_a_valid_checkpoint_of_its_round(ticket):
    checkpoint.check(ticket)
    assert (ticket.study, ticket.seed, ticket.round, ticket.arm) == ("fcnet-normal", 0, 7, "imp")
    assert ticket.layers[0].density == pytest.approx(0.8**7, abs=1e-4)
    assert [layer.name for layer in ticket.layers][-1] == "readout"


def test_round_0_is_dense_and_holds_the_same_weights(ticket):
    dense = bank.load("fcnet-normal", seed=0)
    assert dense.density == 1
    for kept, full in zip(ticket.layers, dense.layers, strict=True):
        assert np.array_equal(kept.weight, np.where(kept.mask, full.weight, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("fcnet-norml", 0, 7),
            r"no ticket of study 'fcnet-norml', seed 0; in .*fcnet-normal \(se",
        ),
        (("fcnet-normal", 99, 7), r"study 'fcnet-normal', seed 99; in .*\(seeds 0-7\)"),
        (("fcnet-normal", 0, 40), "holds rounds 0 to [0-9]+, not 40"),
        (("../fcnet-normal", 0, 7), "no ticket of study"),
    ],
)
def test_what_is_not_shipped_is_refused_with_what_is(arguments, message):
    with pytest.raises(bank.BankError, match=message):
        bank.load(*arguments)


def test_an_installed_package_says_where_the_bank_is(tmp_path):
    with pytest.raises(bank.BankError, match="comes with a clone of the repository"):
        bank.load("fcnet-normal", folder=tmp_path)


def test_all_that_is_shipped_is_listed():
    folder = REPOSITORY / "resources/tickets"
    files = {(path.parent.name, path.name) for path in folder.glob("*/*.h5")}
    assert {(s, f"seed{n}.h5") for s, seeds in bank.shipped().items() for n in seeds} == files


def test_tickets_and_banks_print_on_a_screen(ticket):
    for thing in (ticket, ticket.layers[0], bank.chain("fcnet-normal")):
        lines = repr(thing).splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 140
    chain = bank.chain("fcnet-normal")
    assert repr(chain).endswith(f"theta_0 {chain.theta_0_sha256[:12]}…)")
    assert "round 7" in repr(ticket) and "(256, 3072), density 0.2097" in repr(ticket)


def test_the_readme_example_runs():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["ticket"].density < 0.25

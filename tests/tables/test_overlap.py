"""Overlap of masks: with |theta_0|, other rates, seeds and rounds, against what must come out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ticketlens import bank
from ticketlens.checkpoint import Checkpoint
from ticketlens.measure.graph import largest
from ticketlens.tables.overlap import Key, rows
from ticketlens.tickets.bank import ticket


def test_of_tickets_of_the_bank() -> None:
    tickets: dict[Key, Checkpoint] = {}
    dense = {}
    for study, seeds in (("fcnet-normal", (0, 1)), ("fcnet-normal-rate-0-03", (0,))):
        for seed in seeds:
            chain = bank.chain(study, seed)
            dense[study, seed] = ticket(chain, 0)
            tickets |= {(study, seed, number): ticket(chain, number) for number in (3, 7)}
    table = pd.DataFrame(rows(tickets, dense)).query("name != 'readout'")
    means = table.groupby(["study", "round", "network"])[["overlap", "chance"]].mean()
    at = means["overlap"]
    assert (at[:, 7, "round 3"] == 1).all(), "pruned weights never come back"
    np.testing.assert_allclose(means["chance"][:, 7, "round 3"], 0.8**3, atol=1e-3)
    seeds = means.loc["fcnet-normal", :, "next seed"]
    np.testing.assert_allclose(seeds["overlap"], seeds["chance"], atol=0.01)
    own, fast = (
        at[study, 7, "largest theta_0"] for study in ("fcnet-normal", "fcnet-normal-rate-0-03")
    )
    assert 0.21 < fast < own, "the higher rate departs further from |theta_0|"
    assert own < at["fcnet-normal", 7, "largest theta_0 of round 3"], "among fewer it is easier"
    assert ("fcnet-normal", 7, "rate 0.01") not in at.index
    assert at["fcnet-normal-rate-0-03", 7, "rate 0.01"] > 0.21


def test_the_largest_of_none_and_of_all() -> None:
    values = np.arange(6.0).reshape(2, 3)
    assert not largest(values, 0).any() and largest(values, 6).all()
    np.testing.assert_array_equal(largest(values, 2), values > 3)

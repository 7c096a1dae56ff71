"""Figures across rates and at equal fit: drawn from the published tables."""

from __future__ import annotations

import pandas as pd
import pytest

from ticketlens.figures import rates
from workflow_tools import REPOSITORY

PUBLISHED = REPOSITORY / "docs" / "results"


def test_a_gain_is_paired_by_seed_and_zero_for_the_dense_network() -> None:
    rows = [("s", seed, r, 0.8**r, "imp", 0.4 + 0.01 * seed + 0.02 * r)
            for seed in (0, 1) for r in (0, 1)]  # fmt: skip
    columns = ["study", "seed", "round", "density", "arm", "test_accuracy"]
    found = rates.gains(pd.DataFrame(rows, columns=columns))
    assert found.loc[found["round"] == 0, "gain"].tolist() == [0, 0]
    assert found.loc[found["round"] == 1, "gain"].tolist() == pytest.approx([2, 2])


def test_across_rates_tickets_that_win_keep_fewer_of_the_largest_initial_weights() -> None:
    """The page's sentence: at 0.03 tickets win most and are farthest from |theta_0|'s mask."""
    accuracy, tables = rates.published(PUBLISHED)
    overlap = tables["mask_overlap"]
    own = overlap[(overlap["round"] == 7) & (overlap["network"] == "largest theta_0")]
    kept = own[own["name"] != "readout"].groupby("study")["overlap"].mean()
    gain = rates.gains(accuracy).query("round == 7").groupby("study")["gain"].mean()
    order = ["fcnet-normal-rate-0-003", "fcnet-normal", "fcnet-normal-rate-0-03"]
    assert kept[order].is_monotonic_decreasing and gain[order].is_monotonic_increasing
    chance = own.groupby("study")["chance"].mean()
    assert (kept > 2 * chance).all(), "far from random all the same"
    others = overlap[(overlap["network"] == "next seed") & (overlap["name"] != "readout")]
    seeds = others.groupby("round")[["overlap", "chance"]].mean()
    assert (seeds["overlap"] - seeds["chance"]).abs().max() < 0.005, "masks of two seeds: chance"


def test_properties_are_drawn_against_the_gain_at_shared_rounds() -> None:
    accuracy, tables = rates.published(PUBLISHED)
    figure = rates.gain_by_property(accuracy, tables, rates.RATES)
    drawn = [axis.get_xlabel() for axis in figure.axes]
    assert drawn == [wanted.label for wanted in rates.SHOWN.values()]

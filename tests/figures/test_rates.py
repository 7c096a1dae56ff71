"""Figures across rates and at equal fit: drawn from the published tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ticketlens.figures import masks, rates
from ticketlens.files.csv_tables import read_table
from ticketlens.tables.ramanujan import rows as ramanujan_rows
from ticketlens.tickets import bank
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


def test_points_of_gain_and_property_are_the_tables_means() -> None:
    accuracy, tables = rates.published(PUBLISHED)
    figure = rates.gain_by_property(accuracy, tables, rates.RATES)
    chi = next(axis for axis in figure.axes if axis.get_xlabel() == rates.SHOWN["chi"].label)
    drawn = sorted(
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in chi.lines
        if np.size(line.get_xdata()) == 1 and line.get_marker() in ("o", "s", "^")
    )
    gain = rates.gains(accuracy).set_index(["study", "seed", "round"])["gain"]
    rows = tables["chi"].query("arm == 'imp' and state == 'init' and layer >= 5 and layer <= 8")
    own = rows.groupby(["study", "seed", "round"])["chi_frobenius"].mean()
    joined = pd.concat([own, gain], axis=1, join="inner").query("round in (3, 7, 10)")
    means = joined.groupby(["study", "round"])[["chi_frobenius", "gain"]].mean()
    assert len(drawn) == 9
    np.testing.assert_allclose(drawn, sorted(means.itertuples(index=False)), rtol=1e-12)


def test_points_at_equal_fit_are_the_table_s_and_stand_in_the_band_of_their_level() -> None:
    table = read_table(PUBLISHED / "tables" / "equal_fit.csv").query("study == 'fcnet-normal'")
    axis = rates.equal_fit(table, {}, "fcnet-normal").axes[0]
    bands = [float(label.get_text()) / 100 for label in axis.get_xticklabels()]
    found = {}
    for container, rival in zip(axis.containers, rates.RIVALS, strict=True):
        for x, y in zip(*container.lines[0].get_data(), strict=True):
            found[rival, round(bands[round(x)], 6)] = y
    rows = table[table["rival"].isin(rates.RIVALS)]
    expected = {(row.rival, round(row.level, 6)): row.mean for row in rows.itertuples()}
    assert found == expected


def test_shares_of_masks_are_those_of_all_hidden_weights_together() -> None:
    """Pooled by hand over layers, of one seed; and what the figure draws are means over seeds."""
    _, tables = rates.published(PUBLISHED)
    overlap = tables["mask_overlap"]
    own = overlap.query(
        "study == 'fcnet-normal' and seed == 2 and round == 7 and name != 'readout'"
        " and network == 'largest theta_0'"
    )
    share = (own["overlap"] * own["kept"]).sum() / own["kept"].sum()
    pooled = masks.pooled(overlap).set_index(["study", "network", "seed", "round"])
    row = pooled.loc["fcnet-normal", "largest theta_0", 2, 7]
    assert row["overlap"] == pytest.approx(share)
    assert row["chance"] == pytest.approx(row["density"], rel=1e-4)
    ramanujan = read_table(PUBLISHED / "tables" / "ramanujan.csv")
    axes = masks.masks(overlap, ramanujan, rates.RATES).axes
    drawn = np.asarray(axes[0].containers[1].lines[0].get_ydata(), dtype=float)
    means = pooled.loc["fcnet-normal", "largest theta_0"]["overlap"].groupby("round").mean()
    np.testing.assert_allclose(drawn, means.to_numpy(dtype=float))
    ratios = np.asarray(axes[3].containers[0].lines[0].get_ydata(), dtype=float)
    tickets = ramanujan[ramanujan["network"] == "ticket"]
    np.testing.assert_allclose(ratios, tickets.groupby("round")["ramanujan_ratio"].mean())


def test_the_published_ramanujan_ratios_are_those_of_the_bank_s_masks() -> None:
    """One ticket again, its random mask too: the command that makes the table is known."""
    chain = bank.read_bank(REPOSITORY / "resources" / "tickets" / "fcnet-normal" / "seed2.h5")
    table = read_table(PUBLISHED / "tables" / "ramanujan.csv").query("seed == 2 and round == 7")
    found = pd.DataFrame(ramanujan_rows(bank.ticket(chain, 7)))
    np.testing.assert_allclose(
        found["ramanujan_ratio"], table["ramanujan_ratio"].to_numpy(), rtol=1e-5
    )
    assert found["network"].tolist() == table["network"].tolist()

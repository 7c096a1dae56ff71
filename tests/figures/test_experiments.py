"""The slides' experiments: the law behind bimodal weights, and the figures of arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from arm_tools import chain, material
from config_tools import merged
from ticketlens.architecture import READOUT
from ticketlens.figures.experiments import (
    ACCURACIES,
    Shown,
    accuracy_of_arms,
    std_experiment,
)
from ticketlens.figures.experiments import bimodal_law as draw_bimodal_law
from ticketlens.study.arms import arm_labels, shown_arms
from ticketlens.study.config import checked
from ticketlens.tables.bimodal import bimodal_law
from ticketlens.tickets.construction import construct
from ticketlens.tickets.mask_sources import SMALL

ARMS: dict[str, Shown] = {
    "imp": {"title": "IMP ticket", "mask": "imp", "law": "rewind"},
    "wide": {"title": "$\\sigma_w = 2.24$ | wide", "mask": "imp", "law": "scaled 2.24"},
    "random": {"title": "random mask", "mask": "uniform", "law": "scaled 2.24"},
}


def runs(seeds: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of accuracy and of training curves: imp at all rounds, arms at rounds 4 and 7."""
    rng, rows, curves = np.random.default_rng(0), [], []
    for seed in range(seeds):
        for round_ in range(9):
            for place, arm in enumerate([*ARMS, "not-shown"]):
                if arm != "imp" and round_ not in (4, 7):
                    continue
                density = 1.0 if arm == "random" else 0.8**round_  # as a small dense network has
                keys = {"study": "s", "seed": seed, "round": round_, "density": density, "arm": arm}
                value = 0.5 - 0.01 * place + 0.001 * rng.standard_normal()
                rows.append(keys | dict.fromkeys(ACCURACIES, value))
                curves += [
                    keys | {"epoch": epoch, "validation_accuracy": value * epoch / 5}
                    for epoch in range(1, 6)
                ]
    return pd.DataFrame(rows), pd.DataFrame(curves)


def test_the_law_is_a_density_whose_cdf_ends_at_1_and_the_arm_follows_it() -> None:
    source = material(seed=3, mask="uniform", weights="inverse-cdf", source_round=3)
    arm = construct("bimodal", source)
    table = pd.DataFrame(bimodal_law(source.survivors, arm))
    assert set(table["layer"]) == {1, 2, 3} and set(table["arm"]) == {"bimodal"}
    for _, rows in table.groupby("layer"):
        width = rows["right"] - rows["left"]
        for column in ("density_weight", "drawn_density_weight"):
            assert (rows[column] * width).sum() == pytest.approx(1)
        assert rows["cdf"].is_monotonic_increasing and rows["cdf"].iloc[-1] == pytest.approx(1)
        assert np.allclose(np.cumsum(rows["density_weight"] * width), rows["cdf"])
        empty = rows["density_weight"] == 0
        assert not rows.loc[empty, "drawn_density_weight"].any(), "a weight where no survivor is"


def test_the_law_of_a_small_network_is_in_units_of_its_own_fan_in() -> None:
    source = material(seed=3, mask=SMALL, weights="inverse-cdf")
    table = pd.DataFrame(bimodal_law(source.survivors, construct("small", source)))
    found = (table["drawn_density_weight"] * (table["right"] - table["left"])).groupby(
        table["layer"]
    )
    assert np.allclose(found.sum(), 1), "drawn weights lie outside of the survivors' range"
    assert READOUT not in set(table["layer"])


def test_the_figure_of_the_law_has_a_line_per_layer_in_each_panel() -> None:
    arm = construct("bimodal", material(mask="uniform", weights="inverse-cdf"))
    figure = draw_bimodal_law(pd.DataFrame(bimodal_law(chain(arm.spec, 0), arm)), "Study")
    histogram, cdf, inverse = figure.axes[:3]
    assert len(cdf.lines) == len(inverse.lines) == 3
    for one, other in zip(cdf.lines, inverse.lines, strict=True):
        assert np.array_equal(one.get_xdata(), other.get_ydata())
        assert one.get_ydata()[0] == 0 and one.get_ydata()[-1] == pytest.approx(1)
    assert "rewound survivors of round 3" in histogram.get_title()


def test_labels_of_arms_are_title_mask_and_law() -> None:
    config = checked(merged())
    labels = arm_labels(config, shown_arms(config, "std_experiment"))
    assert labels["imp"]["title"] == "IMP ticket"
    assert labels["imp-wide"]["law"] == "scaled 2.24" != labels["imp-fresh"]["law"]
    assert labels["uniform-wide"]["mask"] == "uniform"


@pytest.mark.parametrize("seeds", [1, 3])
def test_curves_have_the_colour_of_their_law_and_the_line_of_their_mask(seeds: int) -> None:
    accuracy, curves = runs(seeds)
    figure = std_experiment(curves, accuracy, ARMS, "s", "Study", 7)
    left, right = figure.axes
    imp, wide, random = left.lines
    assert wide.get_color() == random.get_color() != imp.get_color()
    assert wide.get_linestyle() == imp.get_linestyle() != random.get_linestyle()
    assert [label.get_text() for label in right.get_yticklabels()] == [
        arm["title"] for arm in ARMS.values()
    ]
    means = accuracy[(accuracy["round"] == 7) & (accuracy["arm"] == "wide")]
    assert wide.get_ydata()[-1] == pytest.approx(100 * means["test_accuracy"].mean())


def test_imp_is_drawn_over_the_seeds_of_its_rivals_alone() -> None:
    accuracy, curves = runs(3)
    lone = accuracy["seed"].isin([1, 2]) & (accuracy["arm"] != "imp")
    fewer = accuracy[~lone]
    figure = std_experiment(curves, fewer, ARMS, "s", "Study", 7)
    assert figure.axes[0].get_title().startswith("Study, 1\u00a0seed")
    (bars, *_) = accuracy_of_arms(fewer, ARMS, "s", "Study").axes[0].containers
    imp = fewer[(fewer["arm"] == "imp") & (fewer["round"] == 4) & (fewer["seed"] == 0)]
    assert bars.lines[0].get_ydata()[0] == pytest.approx(100 * imp["test_accuracy"].iloc[0])


def test_arms_stand_in_the_band_of_the_imp_ticket_s_density() -> None:
    """A small dense network has density 1, and its rival a ticket of another density."""
    accuracy, _ = runs()
    figure = accuracy_of_arms(accuracy, ARMS, "s", "Study")
    limits = {axis.get_ylim() for axis in figure.axes}
    assert len(limits) == 1, "both panels show test accuracy"
    for axis in figure.axes:
        containers = {bars.get_label(): bars.lines[0] for bars in axis.containers}
        assert set(containers) == {arm["title"] for arm in ARMS.values()}
        for line in containers.values():
            assert list(np.round(line.get_xdata())) == [0, 1], "one band a round, none between"
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0.41", "0.21"]

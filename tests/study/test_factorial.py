"""The factorial: which cells make sense, which are arms already, what the table says."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from arm_tools import counts, made, material
from ticketlens.architecture import FAMILIES, fully_connected
from ticketlens.figures.arms import factorial as heat_map
from ticketlens.study import factorial
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.factorial import Cell, cells, with_factorial
from ticketlens.tickets.construction import construct
from ticketlens.tickets.recipe import Arm
from ticketlens.verdicts.factorial import contrasts

CONFIG = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "config" / "config.yaml").read_text("utf-8")
)


def config(**table: object) -> dict:
    changed = copy.deepcopy(CONFIG)
    changed["factorial"] = {
        "rounds": [7], "masks": ["uniform"], "weights": ["rewind"], **table
    }  # fmt: skip
    return changed


# --- the shuffle of an arm's own mask ------------------------------------------------------------


@pytest.mark.parametrize("mask", ["erk", "one-shot", "magnitude-at-init"])
def test_a_shuffled_arm_has_its_own_masks_layer_counts_and_other_places(mask: str) -> None:
    own, shuffled = (made(mask=mask, weights="fresh", shuffle=value) for value in (False, True))
    assert counts(own) == counts(shuffled)
    same = [
        np.array_equal(a.mask, b.mask) for a, b in zip(own.layers, shuffled.layers, strict=True)
    ]
    assert not any(same[:-1])
    assert "arm_shuffle" not in own.extra and shuffled.extra["arm_shuffle"] is True


def test_the_shuffle_is_of_the_mask_that_the_source_gives() -> None:
    """Also for sources that need torch, which `construct` gets from outside."""
    source = material(mask="synflow", weights="rewind", shuffle=True)
    blocks = tuple(np.sort(x.mask.ravel()).reshape(x.mask.shape) for x in source.ticket.layers)
    ticket = construct("arm", source, lambda *_: blocks)
    for layer, block in zip(ticket.layers, blocks, strict=True):
        assert np.count_nonzero(layer.mask) == np.count_nonzero(block)
        assert not np.array_equal(layer.mask, block)


def test_a_shuffle_that_would_have_no_effect_is_an_error_of_the_config() -> None:
    arms = {"x": {"mask": "uniform", "weights": "rewind", "shuffle": True}}
    with pytest.raises(ConfigError, match=r"arms\.x\.shuffle has no effect with mask 'uniform'"):
        checked(CONFIG | {"arms": CONFIG["arms"] | arms})


# --- the cells -----------------------------------------------------------------------------------


def test_every_combination_is_a_cell_and_only_those_that_make_sense_are_arms() -> None:
    found = cells(checked(CONFIG))
    table = CONFIG["factorial"]
    assert len(found) == len(table["masks"]) * len(table["weights"])
    left_out = {(cell.mask, cell.weights) for cell in found if cell.reason}
    assert ("imp", "rewind") in left_out
    assert left_out - {("imp", "rewind")} == {
        (mask, "shuffled-values")
        for mask in table["masks"]
        if mask.split("-")[0] in ("uniform", "erk", "snip", "grasp", "synflow")
    }
    reason = next(cell.reason for cell in found if cell.mask == "erk" and cell.reason)
    assert reason.startswith("weights 'shuffled-values' need as many places")


def test_a_cell_whose_recipe_is_an_arm_is_that_arm_where_it_is_made() -> None:
    table = config(masks=["imp"], weights=["sign-kept"], rounds=[7, 8])
    assert [cell.arm for cell in cells(checked(table))] == [
        "imp-sign-kept", "f-imp-x-sign-kept",
    ]  # fmt: skip
    assert list(with_factorial(checked(table))["arms"])[-1] == "f-imp-x-sign-kept"
    table["arms"]["imp-sign-kept"]["seeds"] = [0]
    assert {cell.arm for cell in cells(checked(table))} == {"f-imp-x-sign-kept"}


def test_controls_are_shuffles_and_the_arms_of_the_config_stay_as_they_are() -> None:
    table = checked(config(masks=["synflow", "synflow-shuffled"]))
    added = with_factorial(table)
    assert {name: added["arms"][name] for name in table["arms"]} == table["arms"]
    arm = Arm.from_config(added["arms"]["f-synflow-shuffled-x-rewind"])
    assert arm == Arm("synflow", "rewind", shuffle=True)


def test_the_study_is_the_first_fully_connected_one_and_rounds_it_lacks_are_left() -> None:
    table = config(rounds=[7, 99])
    table["studies"] = {"convnet-normal": table["studies"]["convnet-normal"]}
    table["arms"] = {"imp": table["arms"]["imp"]}
    for key in ("contrasts", "experiments", "claims"):
        table.pop(key, None)
    assert factorial.factorial_study(checked(table)) is None and cells(checked(table)) == []
    assert {cell.round for cell in cells(checked(config(rounds=[7, 99])))} == {7}


def test_a_family_is_fully_connected_by_its_layers_not_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, "own", fully_connected)
    table = config()
    table["networks"]["fcnet"]["family"] = "own"
    assert factorial.factorial_study(checked(table)) == "fcnet-normal"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"masks": ["unifrom"]}, "factorial.masks has 'unifrom'.*did you mean 'uniform'"),
        ({"masks": ["rewire-shuffled"]}, "factorial.masks has 'rewire-shuffled'"),
        ({"weights": ["gaussian"]}, "factorial.weights has 'gaussian'; allowed: rewind"),
        ({"study": "convnet-normal"}, "is of family 'convolutional'; allowed: studies of fully"),
        ({"study": "resnet-fc-normal"}, "is of family 'resnet-fc'; allowed: studies of fully"),
        ({"study": "fcnet"}, "factorial.study is 'fcnet', which studies does not define"),
    ],
)
def test_a_bad_factorial_gets_a_clear_message(table: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(config(**table))


def test_an_arm_cannot_have_the_name_of_a_cell() -> None:
    table = config()
    table["arms"]["f-uniform-x-rewind"] = {"mask": "uniform", "weights": "fresh"}
    with pytest.raises(ConfigError, match="a cell of the factorial has this name"):
        checked(table)


# --- the table and the figure --------------------------------------------------------------------

TABLE = [
    Cell(7, "imp", "rewind", "imp", factorial.ITSELF),
    Cell(7, "uniform", "rewind", "f-uniform-x-rewind"),
    Cell(7, "uniform", "shuffled-values", "f-uniform-x-shuffled-values", "no such places"),
]


def runs(seeds: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"study": "s", "seed": seed, "round": 7, "density": 0.2, "arm": arm,
         "test_accuracy": 0.5 + shift + 0.01 * seed,
         "test_accuracy_best_validation": 0.6 + 2 * shift}
        for seed in range(seeds)
        for arm, shift in (("imp", 0.0), ("f-uniform-x-rewind", -0.02 - 0.001 * seed))
    )  # fmt: skip


def test_cells_are_compared_with_imp_by_seed() -> None:
    by_seed, means = contrasts(runs(3), TABLE, "s")
    last = by_seed[by_seed["quantity"] == "test_accuracy"]
    assert last["difference"].to_numpy() == pytest.approx([-2.0, -2.1, -2.2])
    assert list(last["seed"]) == [0, 1, 2]
    row = means[(means["quantity"] == "test_accuracy") & (means["n"] > 0)].squeeze()
    assert row["mean"] == pytest.approx(-2.1) and row["n"] == 3
    assert row["lower"] < -2.2 < -2.0 < row["upper"]
    assert set(means.loc[means["n"] == 0, "reason"]) == {factorial.ITSELF, "no such places"}


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_heat_map_says_mean_interval_and_number_of_seeds(seeds: int) -> None:
    table = contrasts(runs(seeds), TABLE, "s")[1]
    order = ["uniform", "imp", "rewind", "shuffled-values"]
    axis = heat_map(table, {"s": "Study"}, order).axes[0]
    texts = {text.get_text() for text in axis.texts}
    mean = {1: "\u22122.0", 3: "\u22122.1\n±0.2"}[seeds]
    assert texts == {"IMP", "–", mean}
    assert f"n = {seeds} seed" in axis.get_title()
    assert [label.get_text() for label in axis.get_yticklabels()] == ["uniform", "imp"]

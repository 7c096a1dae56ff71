"""The page of the stability to the order of the data: what its tables hold, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from ticketlens.figures import variants
from ticketlens.pages.results_page import Numbers, render
from ticketlens.verdicts.inference import t_interval
from workflow_tools import REPOSITORY

FOLDER = REPOSITORY / "docs" / "results" / "stability"
NUMBERS = Numbers(FOLDER)
GPU = NUMBERS.part("../gpu-variants")
TABLES = [path.stem for path in sorted((FOLDER / "tables").glob("stability*.csv"))]
KEYS = ["seed", "round", "part"]


def barriers(round_: int, part: str) -> np.ndarray:
    """Return the barriers of the seeds, as shares."""
    return NUMBERS.by_seed("stability_gpu", "barrier", round_, part=part).to_numpy()


def test_the_page_is_what_its_template_and_tables_give() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == render(FOLDER)


@pytest.mark.parametrize("name", TABLES)
def test_the_barrier_is_the_highest_point_of_the_line_above_its_ends(name: str) -> None:
    for _, line in NUMBERS.table(name).groupby(KEYS):
        errors = line.sort_values("along")["error"].to_numpy()
        assert len(errors) == 11 and (line["order"] != line["other_order"]).all()
        expected = errors.max() - (errors[0] + errors[-1]) / 2
        np.testing.assert_allclose(line["barrier"], expected, atol=2e-6)


def test_three_seeds_have_two_orders_at_five_rounds() -> None:
    table = NUMBERS.table("stability_gpu")
    found = table.groupby("round")["seed"].unique().map(sorted)
    assert found.to_dict() == {number: [0, 1, 2] for number in (0, 1, 2, 3, 5)}


def test_the_ends_of_a_line_are_the_trainings_of_both_orders() -> None:
    table = NUMBERS.table("stability_gpu")
    for place, arm in ((0, "order-1"), (1, "order-2")):
        ends = table[(table["along"] == place) & (table["part"] == "test")]
        for row in ends.itertuples():
            accuracy = GPU.by_seed("accuracy", "test_accuracy", row.round, arm=arm)[row.seed]
            # Evaluated in float32 here, in TF32 at the end of training: a few of 10,000 images.
            assert 1 - row.error == pytest.approx(accuracy, abs=1e-3)


def test_the_barrier_falls_from_nearly_half_of_the_training_images_to_none() -> None:
    dense, first, second = (barriers(number, "train") for number in (0, 1, 2))
    assert (dense > 0.4).all() and (dense < 0.45).all()
    assert first.max() < 0.05 and second.max() < 0.01
    assert not np.concatenate([barriers(number, "train") for number in (3, 5)]).any()
    tests = [barriers(number, "test").mean() for number in (0, 1, 2, 3, 5)]
    assert tests[0] == max(tests) and tests[-1] == min(tests)


def test_the_tickets_that_gain_are_the_stable_ones() -> None:
    dense = GPU.by_seed("accuracy", "test_accuracy", 0)
    gains = {
        number: t_interval((GPU.by_seed("accuracy", "test_accuracy", number) - dense)[:3])
        for number in (1, 2, 3, 5)
    }
    assert [number for number, gain in gains.items() if gain.lower > 0] == [3, 5]


def test_tickets_end_nearer_to_the_pruned_network_with_every_round() -> None:
    columns = ("distance_to_pruned", "distance")
    pruned, twin = (
        [NUMBERS.by_seed("stability_gpu", column, r, part="test").mean() for r in (1, 2, 3, 5)]
        for column in columns
    )
    assert pruned == sorted(pruned, reverse=True)
    assert all(p > t for p, t in zip(pruned[1:], twin[1:], strict=True))


def test_the_figure_draws_the_barriers_of_the_table() -> None:
    figure = variants.stability({"GPU chains": NUMBERS.table("stability_gpu")})
    lines = [c for c in figure.axes[0].containers if c.get_label() == "barrier, GPU chains"]
    means = [100 * barriers(number, "train").mean() for number in (0, 1, 2, 3, 5)]
    shown = np.asarray(lines[0].lines[0].get_ydata(), dtype=float)
    np.testing.assert_allclose(shown, means, atol=1e-9)


def test_what_the_bank_has_in_two_orders_has_no_barrier_on_training_images() -> None:
    table = NUMBERS.table("stability")
    assert set(table["round"]) == {7, 10, 15}
    trained = table[table["part"] == "train"]
    assert (trained.loc[trained["round"] < 15, "barrier"] == 0).all()
    for _, line in trained[trained["round"] == 15].groupby("seed"):
        errors = line.set_index("along")["error"]
        assert errors.max() == errors[[0, 1]].max() and errors[0.5] < errors[[0, 1]].min()
    assert table["distance_to_pruned"].isna().all()


def test_rounded_weights_of_the_bank_give_the_barriers_of_the_page() -> None:
    keys = ["seed", "round", "part", "along"]
    exact, rounded = (
        NUMBERS.table(name).set_index(keys).sort_index()
        for name in ("stability", "stability_float16")
    )
    assert set(rounded.index.unique("round")) == {7, 10}
    exact = exact.loc[rounded.index]
    apart = (rounded[["error", "barrier"]] - exact[["error", "barrier"]]).abs()
    assert apart.xs("train", level="part").max().max() == 0
    assert apart["barrier"].max() <= 0.00025 and apart["error"].max() <= 0.0004
    assert (rounded["distance"] - exact["distance"]).abs().max() < 1e-5
    said = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "at most 0.025 points on test images and 0 on training images" in said

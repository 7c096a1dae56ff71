"""Tables: tidy, key columns first, no digit lost."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.checkpoint import read_summary, write
from ticketlens.files.csv_tables import concatenated, write_csv, write_rows
from ticketlens.tables.runs import accuracy, training_curves

FLOATS = st.floats(allow_nan=False)


@pytest.fixture(scope="module")
def runs(make_ticket, make_trained, tmp_path_factory):
    """Return summaries of three runs, out of order."""
    folder, found = tmp_path_factory.mktemp("runs"), []
    for seed, round_, density in ((1, 0, 1.0), (0, 10, 0.3), (0, 9, 0.5)):
        trained = make_trained(make_ticket(density, seed=seed, round_=round_), seed=round_)
        path = folder / f"{seed}-{round_}.h5"
        write(path, replace(trained, extra={"device": "cpu"}))
        found.append(read_summary(path))
    return found


# --- files ---------------------------------------------------------------------------------------


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_floats_are_read_back_to_the_same_bits(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    write_csv(path, pd.DataFrame({"seed": range(len(values)), "value": values}))
    with open(path, newline="") as file:
        found = [float(row["value"]) for row in csv.DictReader(file)]
    assert np.array_equal(np.array(found).view(np.uint64), np.array(values).view(np.uint64))
    write_rows(path, [{"seed": 0, "value": value} for value in values])
    again = concatenated([path])["value"].to_numpy(float)
    assert np.array_equal(again.view(np.uint64), np.array(values).view(np.uint64))


def test_key_columns_come_first_and_sort_the_rows_as_numbers(tmp_path):
    table = pd.DataFrame(
        {
            "value": [1, 2, 3, 4],
            "arm": ["imp", "imp", "imp", "imp"],
            "round": [10, 9, 0, 0],
            "density": [0.1, 0.2, 1.0, 1.0],
            "seed": [0, 0, 10, 9],
            "study": ["b", "b", "a", "a"],
        }
    )
    write_csv(tmp_path / "table.csv", table)
    found = pd.read_csv(tmp_path / "table.csv")
    assert list(found) == ["study", "seed", "round", "density", "arm", "value"]
    assert found["value"].tolist() == [4, 3, 2, 1]


def test_equal_keys_keep_their_order(tmp_path):
    table = pd.DataFrame({"study": ["a"] * 50, "value": range(50)})
    write_csv(tmp_path / "table.csv", table)
    assert pd.read_csv(tmp_path / "table.csv")["value"].tolist() == list(range(50))


def test_missing_values_are_empty(tmp_path):
    table = pd.DataFrame({"seed": [0, 1], "loss": [math.nan, 0.5]})
    write_csv(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_text() == "seed,loss\n0,\n1,0.5\n"
    write_rows(
        tmp_path / "rows.csv", [{"seed": 0, "q": math.nan}, {"seed": 1, "chi": np.float32(2)}]
    )
    assert (tmp_path / "rows.csv").read_text() == "seed,q,chi\n0,,\n1,,2.0\n"


@pytest.fixture
def measured(tmp_path):
    """Two files of a measurement in their places; the numbers have many digits."""
    paths = [tmp_path / f"qmap/tiny/seed{seed}/round00/imp/init.csv" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        keys = {"study": "tiny", "seed": seed, "round": 0, "arm": "imp", "state": "init"}
        write_rows(path, [{**keys, "layer": n, "q": n / 7, "error": n / 70} for n in (1, 2, 3)])
    return paths


def test_a_table_that_is_cut_short_within_a_line_is_never_read_as_another(measured):
    content = measured[1].read_bytes()
    for size in range(len(content)):
        measured[1].write_bytes(content[:size])
        if content[:size].count(b"\n") > 1 and content[:size].endswith(b"\n"):
            continue  # whole rows are missing: that nothing in a table of its own can tell
        with pytest.raises(ValueError, match=r"seed1/.*/init\.csv: not the table that was written"):
            concatenated(measured)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",", ";", "rows without study, seed, round, arm"),
        ("0.1428", '"0,1428"', "q holds '0,1428"),
        ("0.0142", "1e5x", "error holds '1e5x"),
        ("tiny", "\0\xff", "not the table"),
    ],
    ids=["semicolons", "decimal commas", "no number", "no text"],
)
def test_a_table_that_another_program_has_saved_is_refused_by_name(measured, old, new, said):
    text = measured[0].read_text().replace(old, new, 1 if old != "," else -1)
    measured[0].write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"seed0/.*/init\.csv: not the table") as caught:
        concatenated(measured)
    assert said in str(caught.value) and "copied or moved" not in str(caught.value)


def test_a_failed_write_leaves_the_older_table(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"table\.csv: nothing was measured"):
        write_rows(path, [])
    with pytest.raises(OSError, match="no space left"):
        write_csv(path, pd.DataFrame({"study": ["a"], "x": [1]}))
    assert path.read_text() == "old"


# --- accuracy ------------------------------------------------------------------------------------


def test_accuracy_has_one_row_per_run_with_its_results(runs):
    table = accuracy(runs)
    assert list(table.columns[:5]) == ["study", "seed", "round", "density", "arm"]
    assert len(table) == 3
    for (_, row), run in zip(table.iterrows(), runs, strict=True):
        assert (row["study"], row["seed"], row["round"], row["arm"]) == (
            run.study, run.seed, run.round, run.arm
        )  # fmt: skip
        for part in ("train", "validation", "test"):
            for name in (f"{part}_accuracy", f"{part}_loss"):
                assert row[name] == run.history[f"final_{name}"][0]
                best = run.history[f"final_{name}_best_validation"][0]
                assert row[f"{name}_best_validation"] == best
        assert row["untrained_accuracy"] == run.history["untrained_accuracy"][0]
        assert (row["best_epoch"], row["epochs"], row["diverged"]) == (1, 3, False)


def test_densities_are_over_all_weights_and_per_layer(runs):
    table = accuracy(runs)
    layers = ["hidden1", "hidden2", "readout"]
    sizes = np.array([108 * 8, 8 * 8, 8 * 3])
    per_layer = table[[f"density_{name}" for name in layers]].to_numpy()
    assert np.allclose(per_layer @ sizes / sizes.sum(), table["density"], rtol=1e-12)
    assert table["density"][0] == 1 and 0.2 < table["density"][1] < 0.4


def test_a_diverged_run_is_flagged(runs):
    history = {**runs[0].history, "diverged": np.array([1.0])}
    table = accuracy([replace(runs[0], history=history), runs[1]])
    assert table["diverged"].tolist() == [True, False]


def test_runs_of_different_depth_share_a_table(runs):
    shallow = replace(runs[0], study="other", kept={"readout": (5, 24)})
    table = accuracy([runs[0], shallow])
    assert table["density_hidden1"].isna().tolist() == [False, True]


# --- training curves -----------------------------------------------------------------------------


def test_training_curves_have_one_row_per_run_and_epoch_from_1(runs):
    table = training_curves(runs)
    assert len(table) == 3 * 3
    assert table["epoch"].tolist() == [1, 2, 3] * 3
    for number, run in enumerate(runs):
        rows = table.iloc[3 * number : 3 * number + 3]
        assert (rows["seed"] == run.seed).all() and (rows["round"] == run.round).all()
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            assert np.array_equal(rows[name], run.history[name])

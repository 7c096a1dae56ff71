"""A file stands where it says it does: copies in other places are refused by name."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ticketlens.checkpoint import CheckpointError, read, read_summary, write
from ticketlens.files import places
from ticketlens.files.csv_tables import concatenated, write_csv, write_rows
from ticketlens.files.dataset import DatasetError, open_prepared
from ticketlens.files.places import Place, place_of
from ticketlens.measure.weights import Histogram
from ticketlens.tables.histograms import histogram_table, write_histograms
from ticketlens.tables.runs import training_curves

CHAIN = "results/checkpoints/tiny-normal/seed1/round02/imp"


def test_a_path_of_the_layout_is_read():
    assert place_of(f"/x/{CHAIN}/ticket.h5") == Place("tiny-normal", 1, 2, "imp", "ticket")
    path = "results/measurements/qmap/a/seed10/round00/uniform-fresh/trained.csv"
    assert place_of(path) == Place("a", 10, 0, "uniform-fresh", "trained")
    assert place_of(path).state == "trained" and place_of(path).kind == "trained"
    assert place_of(f"{CHAIN}/theta_k.h5").kind == "trained"
    assert place_of(f"{CHAIN}/init.csv").kind is None


@pytest.mark.parametrize(
    "path",
    ["ticket.h5", "seed1/round02/imp.h5", "a/seed-1/round02/imp/ticket.h5",
     "a/seed1/round2/imp/ticket.h5", "a/seed1/round02/imp/ticket.txt", "a/seedx/round02/imp/t.h5"],
)  # fmt: skip
def test_a_path_of_another_form_says_nothing(path):
    assert place_of(path) is None
    assert places.differences(path, {"study": "another"}) == ""


@pytest.fixture
def chain(make_ticket, make_trained, tmp_path):
    """Return the folder of a ticket and its trained network, in their place."""
    folder = tmp_path / CHAIN
    folder.mkdir(parents=True)
    ticket = make_ticket(0.5, seed=1, round_=2)
    trained = make_trained(ticket)
    write(folder / "ticket.h5", ticket)
    write(folder / "trained.h5", trained)
    return folder


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("tiny-normal/seed0/round02/imp/trained.h5", r"seed 1 \(its path says 0\)"),
        ("tiny-normal/seed1/round03/imp/trained.h5", r"round 2 \(its path says 3\)"),
        ("other/seed1/round02/imp/trained.h5", r"study 'tiny-normal' \(its path says 'other'\)"),
        ("tiny-normal/seed1/round02/rewire/trained.h5", r"arm 'imp' \(its path says 'rewire'\)"),
        ("tiny-normal/seed1/round02/imp/ticket.h5", r"kind 'trained' \(its path says 'ticket'\)"),
        ("tiny-normal/seed1/round02/imp/mask.h5", r"kind 'trained' \(its path says 'mask'\)"),
    ],
)
def test_a_checkpoint_in_anothers_place_is_refused_by_every_reader(chain, place, said):
    path = chain.parents[3] / place
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(chain / "trained.h5", path)
    for reader in (read, read_summary):
        with pytest.raises(
            CheckpointError, match=rf"{path}: holds {said}: .*put it back"
        ) as caught:
            reader(path)
        assert "delete" not in str(caught.value) and "damaged" not in str(caught.value)


def test_a_checkpoint_in_its_own_place_or_in_none_is_read(chain, tmp_path):
    shutil.copy(chain / "ticket.h5", tmp_path / "sent-by-mail.h5")
    assert read(chain / "ticket.h5").seed == read(tmp_path / "sent-by-mail.h5").seed == 1
    assert read_summary(chain / "trained.h5").round == 2


def test_a_checkpoint_is_not_written_to_anothers_place(make_ticket, tmp_path):
    with pytest.raises(CheckpointError, match=r"seed 3 \(its path says 1\)"):
        write(tmp_path / CHAIN / "ticket.h5", make_ticket(0.5, seed=3, round_=2))
    assert not (tmp_path / CHAIN).exists()


# --- data sets -----------------------------------------------------------------------------------


def test_a_data_set_under_anothers_name_is_refused(prepared, tmp_path):
    (tmp_path / "resources").mkdir()
    shutil.copy(prepared.path, tmp_path / "resources" / "tiny.h5")
    assert open_prepared(tmp_path / "resources" / "tiny.h5").name == "tiny"
    shutil.copy(prepared.path, tmp_path / "resources" / "cifar10.h5")
    with pytest.raises(DatasetError, match=r"cifar10\.h5: holds the data set 'tiny'"):
        open_prepared(tmp_path / "resources" / "cifar10.h5")


# --- measurements --------------------------------------------------------------------------------


def rows_of(seed=1, state="init"):
    row = {"study": "tiny-normal", "seed": seed, "round": 2, "density": 0.5, "arm": "imp",
           "state": state, "layer": 1, "q": 0.7}  # fmt: skip
    return [row, {**row, "layer": 2}]


def test_measurements_of_another_checkpoint_than_their_paths_are_refused(tmp_path):
    first, second = (
        tmp_path / f"qmap/tiny-normal/seed{seed}/round02/imp/init.csv" for seed in (1, 2)
    )
    write_rows(first, rows_of(1))
    write_rows(second, rows_of(2))
    assert len(concatenated([first, second])) == 4
    shutil.copy(first, second)
    with pytest.raises(ValueError, match=r"seed2/.*init\.csv: holds seed 1 \(its path says 2\)"):
        concatenated([first, second])
    write_rows(second, rows_of(2, state="trained"))
    with pytest.raises(ValueError, match=r"holds state 'trained' \(its path says 'init'\)"):
        concatenated([first, second])


def test_histograms_of_another_checkpoint_than_their_paths_are_refused(chain, tmp_path):
    ticket = read(chain / "ticket.h5")
    edges = np.array([0.0, 1.0, 2.0])
    found = {"hidden1": Histogram(edges, np.array([1, 2]), below=0, above=0, not_a_number=0)}
    for seed in (1, 2):
        path = tmp_path / f"histograms/tiny-normal/seed{seed}/round02/imp/init.h5"
        write_histograms(path, ticket, edges, found)
    paths = sorted(tmp_path.glob("histograms/**/init.h5"))
    assert len(histogram_table(paths[:1])) == 2
    with pytest.raises(ValueError, match=r"seed2/.*holds seed 1 \(its path says 2\)"):
        histogram_table(paths)


# --- keys ----------------------------------------------------------------------------------------


def test_two_rows_about_the_same_are_refused_whatever_their_values(tmp_path):
    table = pd.DataFrame(rows_of(1))
    write_csv(tmp_path / "table.csv", table)
    double = pd.concat([table, table.assign(q=[0.1, 0.2], density=0.4).tail(1)])
    with pytest.raises(ValueError, match=r"1 of 3 rows have the keys .* seed 1, .*layer 2; every"):
        write_csv(tmp_path / "double.csv", double)
    assert not (tmp_path / "double.csv").exists()
    write_csv(tmp_path / "two.csv", pd.concat([table.assign(rung="naive"), table.assign(rung="x")]))


def test_a_run_that_stands_for_another_is_no_second_run(chain):
    summary = read_summary(chain / "trained.h5")
    table = training_curves([summary, replace(summary, seed=2)])
    write_csv(chain / "curves.csv", table)
    with pytest.raises(ValueError, match="have the keys of another row"):
        write_csv(chain / "curves.csv", training_curves([summary, summary]))

"""A tiny study from images to figures: files, tickets, tables, the bank, late rewinding."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ticketlens import checkpoint
from ticketlens.figures.saving import MAX_PIXELS
from ticketlens.files.csv_tables import KEYS, read_table
from ticketlens.files.dataset import open_prepared
from ticketlens.spec import Spec
from ticketlens.tickets.pruning import removed_count
from workflow_tools import (
    copy_run,
    failing_snakemake,
    finished_run,
    overlay,
    shared,
    snakemake,
    tiny_clone,
)

pytestmark = pytest.mark.workflow
ACCURACY = "results/tables/accuracy.csv"
TINY = {"fcnet-normal": 1, "convnet-normal": 0}  # rounds by study, one seed each
CHAINS = {"fcnet-normal": 2, "convnet-normal": 1}
LONGER = {"studies": {study: {"pruning": {"rounds": last}} for study, last in CHAINS.items()}}
RUNS = [(study, round_) for study, last in CHAINS.items() for round_ in range(last + 1)]
PRUNED = [(study, round_) for study, round_ in RUNS if round_]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything of the tiny config."""
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def chains(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer chains, in the ticket bank, with their accuracies; grown from the finished run."""

    def build(folder: Path) -> None:
        copy_run(finished, folder)
        longer = overlay(folder, LONGER)
        snakemake(folder, "bank", ACCURACY, "--cores", "2", overlays=longer)

    return shared(tmp_path_factory, "chains", build)


def file_of(root: Path, study: str, round_: int, kind: str) -> Path:
    return root / f"results/checkpoints/{study}/seed0/round{round_:02d}/imp/{kind}.h5"


def layers(root: Path, study: str, round_: int, kind: str) -> tuple[checkpoint.Layer, ...]:
    return checkpoint.read(file_of(root, study, round_, kind), kind=kind).layers


def test_the_chain_leaves_its_files_and_nothing_else(chains: Path) -> None:
    expected = {file_of(chains, *run, kind) for run in RUNS for kind in ("ticket", "trained")}
    expected |= {file_of(chains, study, r, "mask") for study, r in PRUNED}
    found = set(chains.glob("results/checkpoints/*/*/*/imp/*"))
    assert found == expected
    assert (chains / "resources/tiny.h5").is_file()


@pytest.mark.parametrize(("study", "round_"), RUNS)
def test_every_file_says_what_it_is(chains: Path, study: str, round_: int) -> None:
    data = open_prepared(chains / "resources/tiny.h5")
    for kind in ("ticket", "trained", *["mask"] * (round_ > 0)):
        found = checkpoint.read(file_of(chains, study, round_, kind), kind=kind)
        assert (found.study, found.seed, found.round, found.arm) == (study, 0, round_, "imp")
        assert found.attrs["format"] == "ticketlens"
        spec = Spec.from_json(found.attrs["spec"])
        assert found.attrs["spec_sha256"] == spec.sha256
        assert spec.dataset == data.spec
        assert (spec.training.epochs, spec.network.hidden_layers) == (2, 2)
        family = "convolutional" if study == "convnet-normal" else "fully-connected"
        assert spec.network.family == family
        if kind == "trained":
            assert all(len(found.history[name]) == 2 for name in ("train_loss", "validation_loss"))
            assert len(found.best_validation) == len(found.layers)


def test_params_of_jobs_are_values_whose_changes_snakemake_sees(finished: Path) -> None:
    """Snakemake 9.27 does not see another NumPy float32, integer or array in `params`."""
    records = list((finished / ".snakemake/metadata").rglob("*"))
    found = [json.loads(path.read_text("utf-8")) for path in records if path.is_file()]
    texts = {text for record in found for text in record["params"]}
    assert len({record["rule"] for record in found}) > 20 and len(texts) > 20
    assert not [text for text in texts if re.search(r"\bnp\.|numpy|\barray\(", text)]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("qmap", {"images": 15}),
        ("ladder", {"images": 15}),
        ("isometry", {"isometry_images": 15}),  # there are 4 images for spectra
        ("spectra", {}),
    ],
)
def test_a_table_says_on_how_many_images_where_there_were_fewer_than_asked_for(
    finished: Path, table: str, columns: dict[str, int]
) -> None:
    found = read_table(finished / f"results/tables/{table}.csv")
    found = found[found["study"] == "fcnet-normal"]
    said = {name: set(found[name]) for name in found.columns if name.endswith("images")}
    assert said == {name: {number} for name, number in columns.items()}


@pytest.mark.parametrize(("study", "round_"), PRUNED)
def test_a_ticket_of_the_chain_is_the_mask_times_theta_0_bit_for_bit(
    chains: Path, study: str, round_: int
) -> None:
    theta, ticket = (layers(chains, study, r, "ticket") for r in (0, round_))
    for dense, layer in zip(theta, ticket, strict=True):
        wanted = np.where(layer.mask, dense.weight, np.float32(0))
        assert layer.weight.tobytes() == wanted.tobytes()
        assert layer.bias.tobytes() == dense.bias.tobytes()


@pytest.mark.parametrize(("study", "round_"), PRUNED)
def test_each_round_removes_the_smallest_trained_weights_in_exact_number(
    chains: Path, study: str, round_: int
) -> None:
    before = layers(chains, study, round_ - 1, "trained")
    after = layers(chains, study, round_, "mask")
    for old, new in zip(before, after, strict=True):
        rate = 0.1 if old.name == "readout" else 0.2
        kept = np.count_nonzero(old.mask)
        assert np.count_nonzero(new.mask) == kept - removed_count(kept, rate)
        assert not (new.mask & ~old.mask).any()
        removed = np.abs(old.weight[old.mask & ~new.mask])
        assert removed.max() <= np.abs(old.weight[new.mask]).min()


@pytest.mark.parametrize(("study", "round_"), RUNS)
def test_training_moves_kept_weights_only(chains: Path, study: str, round_: int) -> None:
    ticket, trained = (layers(chains, study, round_, kind) for kind in ("ticket", "trained"))
    for before, after in zip(ticket, trained, strict=True):
        assert np.array_equal(before.mask, after.mask)
        assert not after.weight[~after.mask].any()
        assert (after.weight[after.mask] != before.weight[after.mask]).mean() > 0.9


def test_every_table_starts_with_its_keys_in_order(finished: Path) -> None:
    tables = sorted(finished.glob("results/**/*.csv"))
    assert tables
    for path in tables:
        columns = list(pd.read_csv(path).columns)
        keys = [key for key in KEYS if key in columns]
        assert keys == columns[: len(keys)], path.name


def test_the_accuracy_table_has_one_row_per_run_and_the_promised_columns(chains: Path) -> None:
    table = pd.read_csv(chains / ACCURACY)
    runs = table[table["arm"] == "imp"]
    assert sorted(zip(runs["study"], runs["round"], strict=True)) == sorted(RUNS)
    promised = {"test_accuracy", "test_accuracy_best_validation", "validation_accuracy"}
    promised |= {"train_accuracy", "untrained_accuracy", "test_loss", "train_loss", "diverged"}
    assert promised <= set(table.columns)
    for study, round_ in RUNS:
        row = runs[(runs["study"] == study) & (runs["round"] == round_)].iloc[0]
        path = file_of(chains, study, round_, "trained")
        found = checkpoint.read(path)
        assert row["density"] == found.density
        assert row["test_accuracy"] == found.history["final_test_accuracy"]
        for layer in found.layers:
            assert row[f"density_{layer.name}"] == layer.density


def test_figures_come_as_png_that_fits_the_report_and_as_pdf(finished: Path) -> None:
    figures = sorted(finished.glob("results/*.png"))
    assert {path.stem for path in figures} >= {"accuracy", "training_curves"}
    for path in figures:
        with Image.open(path) as image:
            assert 300 <= image.width <= MAX_PIXELS, path.name
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_the_front_page_links_to_files_that_are_there(finished: Path) -> None:
    results = finished / "results"
    text = (results / "index.html").read_text(encoding="utf-8")
    links = set(re.findall(r'(?:href|src)="([^"#:]+)"', text))
    assert {path.name for path in results.glob("*.png")} < links
    # report.html is made by `snakemake --report`, when someone asks for it.
    assert [link for link in links - {"report.html"} if not (results / link).is_file()] == []


def test_no_temporary_file_stays_behind(finished: Path) -> None:
    assert [path for path in finished.rglob("*") if ".tmp" in path.name] == []
    assert list(finished.rglob("*.partial*")) == []


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(finished, "-n", "all")


def test_the_scheduler_does_not_look_at_ready_jobs_while_nothing_ends(
    finished: Path, tmp_path: Path
) -> None:
    # Snakemake's rate limiter would: in vain, and the more often the more jobs have ended.
    folder = copy_run(finished, tmp_path / "run")
    forced = ("-R", "measure_degrees", "--cores", "1", "--verbose")
    output = snakemake(folder, "results/in_degree.png", *forced)
    assert output.count("Finished jobid") >= 4
    assert "Selected jobs: 0" not in output


def test_the_bank_rebuilds_tickets_and_tables_elsewhere_and_only_for_the_same_settings(
    chains: Path, tmp_path: Path
) -> None:
    folder = tiny_clone(tmp_path / "elsewhere")
    shutil.copytree(chains / "resources/tickets", folder / "resources/tickets")
    shutil.rmtree(folder / "images")
    studies = {study: {"tickets": "bank", **LONGER["studies"][study]} for study in CHAINS}
    banked = overlay(tmp_path, {"studies": studies})
    tickets = [str(file_of(Path(), *run, "ticket")) for run in RUNS]
    output = snakemake(folder, *tickets, ACCURACY, "--cores", "1", overlays=banked)
    assert set(re.findall(r"^(?:local)?rule (\w+):$", output, flags=re.MULTILINE)) == {
        "rebuild",
        "tabulate_accuracy",
    }
    for run in RUNS:
        ours, theirs = (checkpoint.read(file_of(d, *run, "ticket")) for d in (folder, chains))
        assert ours.content_sha256 == theirs.content_sha256
    # The bank does not say which kind of CPU a run took.
    ours, theirs = (read_table(d / ACCURACY) for d in (folder, chains))
    assert theirs.pop("cpu_capability").notna().all() and ours.pop("cpu_capability").isna().all()
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

    other = overlay(tmp_path, {"studies": studies, "training": {"learning_rate": 0.5}})
    targets = (tickets[0], ACCURACY, "--cores", "1", "--keep-going")
    refused = failing_snakemake(folder, *targets, overlays=other)
    message = "seed 0: training.learning_rate is 0.01, the config says 0.5; change the config, or"
    assert refused.count(f"BankError: bank of fcnet-normal {message}") >= 2


def test_late_rewinding_puts_the_weights_of_epoch_k_on_the_mask(
    finished: Path, tmp_path: Path
) -> None:
    folder = copy_run(finished, tmp_path / "late")
    late = overlay(tmp_path, {"pruning": {"rewind_epoch": 1}})
    target = file_of(Path(), "fcnet-normal", 1, "ticket")
    snakemake(folder, str(target), "--cores", "1", overlays=late)
    ticket = checkpoint.read(folder / target, kind="ticket")
    theta_0 = layers(folder, "fcnet-normal", 0, "ticket")
    theta_k = checkpoint.read(file_of(folder, "fcnet-normal", 0, "theta_k"), kind="trained")
    assert ticket.spec.pruning.rewind_epoch == 1
    for layer, late_layer, dense in zip(ticket.layers, theta_k.layers, theta_0, strict=True):
        wanted = np.where(layer.mask, late_layer.weight, np.float32(0))
        assert layer.weight.tobytes() == wanted.tobytes()
        assert layer.bias.tobytes() == late_layer.bias.tobytes()
        assert (late_layer.weight != dense.weight).any()

"""Reference results: the interval covers as it says, and only like is compared with like."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from snakemake.utils import update_config

from ticketlens.pages import publication
from ticketlens.verdicts.reference import check, differences, other_arms, page, reference
from workflow_tools import REPOSITORY


def accuracies(rng: np.random.Generator, seeds: int, rounds: int = 4) -> pd.DataFrame:
    """Runs whose accuracy is normal with sd 0.01 around a mean that falls with the round."""
    rows = itertools.product(range(seeds), range(rounds), ("imp", "rewire"))
    return pd.DataFrame(
        {"study": "s", "seed": seed, "round": number, "arm": arm,
         "test_accuracy": 0.5 - 0.02 * number + 0.01 * rng.standard_normal(),
         "test_accuracy_best_validation": 0.5}
        for seed, number, arm in rows
    )  # fmt: skip


def summary(rng: np.random.Generator, seeds: int, rounds: int = 4) -> pd.DataFrame:
    return reference({"accuracy": accuracies(rng, seeds, rounds)})


def config(overlay: str = "{}") -> dict:
    merged = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    update_config(merged, yaml.safe_load(overlay))
    return merged


@pytest.mark.parametrize(("seeds", "others"), [(2, 1), (3, 3), (8, 1), (8, 5)])
def test_95_percent_of_like_runs_are_within(seeds: int, others: int) -> None:
    rng = np.random.default_rng(0)
    rows = check(summary(rng, others, 2000), summary(rng, seeds, 2000))
    rows = rows[rows["quantity"] == "test_accuracy"]
    share = (rows["verdict"] == "within").mean()
    assert share == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / len(rows)))


def test_a_run_of_another_law_is_outside_and_one_of_the_same_seeds_is_not() -> None:
    wanted = summary(np.random.default_rng(0), 5)
    assert set(check(wanted, wanted)["verdict"]) == {"within"}
    shifted = wanted.assign(mean=wanted["mean"] + 0.2)
    assert set(check(shifted, wanted)["verdict"]) == {"outside"}


def test_one_seed_has_no_spread_to_lie_within() -> None:
    wanted = summary(np.random.default_rng(0), 1)
    rows = check(wanted, wanted)
    assert set(rows["verdict"]) == {"no spread"}
    assert rows["lower"].isna().all()
    assert "Nothing to compare" in page(rows, {}, "Reference: x.")


def test_means_are_over_seeds_and_over_the_deep_layers_of_tickets() -> None:
    rows = itertools.product(range(3), ("init", "trained"), range(1, 5))
    q = pd.DataFrame(
        {"study": "s", "seed": seed, "round": 1, "arm": "imp", "state": state, "layer": layer,
         "q": seed + (10 if layer <= 2 else layer) + (100 if state == "trained" else 0)}
        for seed, state, layer in rows
    )  # fmt: skip
    runs = accuracies(np.random.default_rng(0), 3)
    found = reference({"accuracy": runs, "qmap": q}).set_index(["quantity", "round", "arm"])
    assert found.loc[("q", 1, "imp"), ["n", "mean", "sd"]].tolist() == [3, 1 + 3.5, 1.0]
    own = runs[(runs["round"] == 2) & (runs["arm"] == "rewire")]["test_accuracy"]
    expected = [3, own.mean(), own.std(ddof=1)]
    assert found.loc[("test_accuracy", 2, "rewire"), ["n", "mean", "sd"]].tolist() == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    "overlay",
    [
        "{training: {kernel: mkl, threads: 4, device: cpu, sparse_below: 0.4}}",
        "{pruning: {rounds: 3}}",
        "{studies: {fcnet-normal: {seeds: [11], title: mine}}}",
        "{measure: {arms: [signal, weights]}}",
        "{dataset: {split_seed: 0, train_on_validation: false}}",
    ],
)
def test_how_and_how_far_a_run_goes_does_not_matter(overlay: str) -> None:
    own = config(overlay)
    assert differences(own, config(), own["studies"]) == {}


@pytest.mark.parametrize(
    ("overlay", "key"),
    [
        ("{training: {learning_rate: 0.02}}", "training.learning_rate is 0.02"),
        ("{pruning: {rate: 0.5}}", "pruning.rate is 0.5"),
        ("{inits: {normal: {sigma_w: 2.0}}}", "init.sigma_w is 2.0, the reference's 1.4"),
        ("{networks: {fcnet: {width: 128}}}", "network.width is 128"),
        ("{measure: {images: 10}}", "measure.images is 10"),
        ("{dataset: {split_seed: 1}}", "dataset.split_seed is 1, the reference's 0"),
        ("{dataset: {train_on_validation: true}}", "dataset.train_on_validation is True"),
        ("{studies: {fcnet-normal: {training: {epochs: 5}}}}", "training.epochs is 5"),
    ],
)
def test_another_study_by_the_same_name_is_not_compared(overlay: str, key: str) -> None:
    own = config(overlay)
    assert key in differences(own, config(), ["fcnet-normal"])["fcnet-normal"]


def test_a_study_and_an_arm_of_ones_own_are_said() -> None:
    own = config("{arms: {rewire: {mask: rewire, weights: fresh}}}")
    own["studies"]["mine"] = own["studies"]["fcnet-normal"]
    assert "the reference has fcnet-normal" in differences(own, config(), ["mine"])["mine"]
    own["arms"]["shuffle-layer"]["sparse_below"] = 0.46  # rounding
    assert other_arms(own, config()) == {
        "rewire": "weights is fresh, the reference's shuffled-values"
    }


def test_the_page_names_what_is_outside_and_what_is_left_out() -> None:
    wanted = summary(np.random.default_rng(0), 5)
    is_odd = (wanted["round"] == 2) & (wanted["arm"] == "imp")
    own = wanted.assign(mean=wanted["mean"] + np.where(is_odd, 0.5, 0))
    text = page(check(own, wanted), {"mine": "the reference has s"}, "Reference: x.")
    assert "14 of 16 numbers" in text
    assert "| s | imp | test_accuracy | 3 of 4 **outside** | 2 | " in text
    assert "- `mine` is not compared: the reference has s" in text


# --- the folder that is committed ----------------------------------------------------------------


def test_pictures_are_small_and_still_the_same_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 2000)[None, :, None] * np.ones((900, 1, 3))
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "large.png")
    publication.write_picture(tmp_path / "large.png", tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size <= publication.MAX_BYTES
    with Image.open(tmp_path / "small.png") as small:
        found = np.asarray(small.convert("RGB").resize((100, 45)), float)
    wanted = np.asarray(Image.fromarray(noisy).resize((100, 45)), float)
    assert np.abs(found - wanted).mean() < 12


def test_tables_keep_their_digits_and_gaps(tmp_path: Path) -> None:
    table = pd.DataFrame({"study": ["None", "b"], "x": [np.pi * 1e-5, np.nan], "n": [1, 2]})
    table.to_csv(tmp_path / "a.csv", index=False)
    publication.write_table(tmp_path / "a.csv", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "study,x,n\nNone,3.14159e-05,1\nb,,2\n"


def test_no_path_of_the_machine_is_published() -> None:
    own = config("{dataset: {source: folder, path: /home/somebody/images.zip}}")
    text = publication.config_text(own)
    assert "somebody" not in text
    assert yaml.safe_load(text)["dataset"]["path"] == "images.zip"
    assert differences(own, yaml.safe_load(text), own["studies"]) == {}


# --- make reference ------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder to `make reference` in: the Makefile, an old docs/results, and stand-ins for tools.

    Snakemake publishes one figure and one table; the page is rendered if they are where it looks,
    and a file `broken` is not.
    """
    old = {"README.md.j2": "page", "README.md": "old", "figures/gone.png": "", "low-rate/x": "kept"}
    files = {f"docs/results/{name}": text for name, text in old.items()}
    files |= {"requirements.lock": "", ".venv/installed.lock": "", "own.yaml": "results: results\n"}
    files |= {"config/config.yaml": "", "Makefile": (REPOSITORY / "Makefile").read_text("utf-8")}
    files["bin/snakemake"] = (
        "#!/bin/sh\n"
        "cd results/published && echo new > figures/chi.png && echo new > tables/chi.csv\n"
    )
    files["results/published/tables/chi.csv"] = files["results/published/figures/chi.png"] = ""
    files["bin/python"] = (
        "#!/bin/sh\n"
        'if test "$2" = ticketlens.study.config_files; then echo results; exit; fi\n'
        'cd "$3" && test -s figures/chi.png && test ! -f figures/gone.png && test -f low-rate/x'
        " && test ! -f ../../broken && cp README.md.j2 README.md\n"
    )
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for tool in (tmp_path / "bin").iterdir():
        tool.chmod(0o755)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def make_reference(folder: Path) -> int:
    command = ["make", "reference", "CONFIG=own.yaml", "BIN=bin"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode


def test_make_reference_puts_the_new_folder_in_the_place_of_the_old(shelf: Path) -> None:
    assert make_reference(shelf) == 0
    assert contents(shelf / "docs") == {
        "results/README.md.j2": "page", "results/README.md": "page", "results/low-rate/x": "kept",
        "results/figures/chi.png": "new\n", "results/tables/chi.csv": "new\n",
    }  # fmt: skip


def test_a_page_that_fails_leaves_the_old_reference_as_it_was(shelf: Path) -> None:
    before = contents(shelf / "docs/results")
    (shelf / "broken").touch()
    assert make_reference(shelf) != 0
    assert contents(shelf / "docs/results") == before
    (shelf / "broken").unlink()
    assert make_reference(shelf) == 0, "what the failure left does not stand in the way"

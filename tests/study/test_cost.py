"""What a config costs: the count of trainings, of multiply-adds, and what is measured instead."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from config_tools import merged
from core_tools import write_images
from ticketlens.files.dataset import prepare
from ticketlens.files.sources import SOURCES
from ticketlens.spec import NetworkSpec, Spec, TrainingSpec
from ticketlens.study import cost, speeds
from ticketlens.study.arms import arm_rounds, recipes
from ticketlens.study.calibration import MEASUREMENTS_KEY
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.cost import core_seconds, estimate, multiply_adds, report, training_seconds
from ticketlens.study.factorial import cells
from ticketlens.study.image_counts import Images, check, count_images, cut_measurements
from ticketlens.study.plan import Plan
from ticketlens.study.selection import Selection
from ticketlens.study.speeds import REFERENCE, Machine
from ticketlens.study.trainings import trainings
from ticketlens.training import evaluation, ways
from workflow_tools import overlay, plan, tiny_clone

CONFIG_FOLDER = Path(__file__).resolve().parents[2] / "config"
IMAGES = Images(45_000, 5_000, 10_000)
CONV = NetworkSpec(family="convolutional", width=128)


def config(*overlays: str) -> dict:
    found: dict = {}
    for name in ("config.yaml", *overlays):
        update_config(found, yaml.safe_load((CONFIG_FOLDER / name).read_text("utf-8")))
    return checked(copy.deepcopy(found))


def test_multiply_adds_are_those_of_the_dense_forward_pass() -> None:
    assert multiply_adds(Spec()) == [3072 * 256, *[256 * 256] * 7, 2560]
    pixels = 32 * 32
    assert multiply_adds(Spec(network=CONV)) == [
        128 * 27 * pixels, *[128 * 128 * 9 * pixels] * 7, 1280,
    ]  # fmt: skip
    strided = multiply_adds(Spec(network=replace(CONV, stride=2, hidden_layers=2)))
    assert strided[:2] == [128 * 27 * 256, 128 * 128 * 9 * 64]


def test_a_training_of_the_full_study_is_about_what_was_measured() -> None:
    """10.4 to 14 ms a step of 8 × 256 on the reference machine; a faster one: 134 to 163 s."""
    seconds = training_seconds(Spec(), [1.0] * 9, IMAGES)
    assert 17_550 * 10.4e-3 < seconds < 17_550 * 14e-3
    fast = Machine("avx512", 1e11)
    assert 130 < training_seconds(Spec(), [1.0] * 9, IMAGES, fast) < 165
    aten = Spec(training=TrainingSpec(kernel="aten"))
    assert 1.2 < training_seconds(aten, [1.0] * 9, IMAGES) / seconds < 1.6
    wide = Spec(network=NetworkSpec(width=1024))
    assert 6 < training_seconds(wide, [1.0] * 9, IMAGES) / seconds < 9
    residual = Spec(network=NetworkSpec(family="resnet-fc", hidden_layers=7))
    assert 0.8 * seconds < training_seconds(residual, [1.0] * 8, IMAGES) < seconds
    longer = Spec(training=TrainingSpec(epochs=100))
    assert training_seconds(longer, [1.0] * 9, IMAGES) == pytest.approx(2 * seconds, rel=0.05)


def test_layers_that_train_sparse_cost_less_the_fewer_weights_they_have() -> None:
    """docs/speed.md: a step at 0.41 is 1.3 times faster than dense, at 0.035 about 4 times."""
    sparse = Spec(training=TrainingSpec(sparse_below=0.46))

    def seconds(spec: Spec, number: int) -> float:
        return training_seconds(spec, cost.densities(spec, number), IMAGES)

    assert [seconds(Spec(), number) for number in (0, 15)] == [seconds(sparse, 0)] * 2
    assert seconds(sparse, 3) == seconds(sparse, 0), "0.51 is above the threshold"
    gains = [seconds(sparse, 0) / seconds(sparse, number) for number in (4, 7, 10, 15)]
    assert gains == sorted(gains)
    for gain, measured in zip(gains, (1.3, 2.0, 2.9, 4.1), strict=True):
        assert gain == pytest.approx(measured, rel=0.35)
    aten = Spec(training=TrainingSpec(sparse_below=0.99, kernel="aten"))
    mixed = training_seconds(aten, [0.4] * 8 + [1.0], IMAGES)
    assert training_seconds(sparse, [0.4] * 8 + [1.0], IMAGES) < mixed


def test_stages_do_not_count_a_training_twice() -> None:
    table = config()
    found = Counter((stage, key[0]) for key, stage in trainings(Selection(table)).items())
    assert found["chains", "fcnet-normal"] == 8 * 16
    assert found["donors", "fcnet-normal"] == 8 * 10, "rounds 0 to 9 make the masks of round 10"
    at_rounds = [len(arm_rounds(table, name, "fcnet-normal")) for name in recipes(table)]
    assert found["arms", "fcnet-normal"] == 8 * sum(at_rounds)
    own = [cell for cell in cells(table) if not cell.reason and cell.arm.startswith("f-")]
    assert found["factorial", "fcnet-normal"] == 8 * len(own)
    assert not any(study != "fcnet-normal" for stage, study in found if stage == "factorial")


def test_a_study_from_the_bank_trains_its_arms_alone() -> None:
    table = config()
    table["studies"]["fcnet-normal"]["tickets"] = "bank"
    table["arms"]["shot"] = {"mask": "one-shot", "weights": "rewind", "rounds": [7]}
    stages = Counter(
        stage for key, stage in trainings(Selection(table)).items() if key[0] == "fcnet-normal"
    )
    assert stages["chains"] == stages["donors"] == 0
    places = sum(len(arm_rounds(table, name, "fcnet-normal")) for name in recipes(table))
    assert stages["arms"] == 8 * places + 8, "one-shot needs round 0, trained"


@pytest.mark.parametrize(
    ("wall", "cpu_time", "took"),
    [
        (44.0, "7.5", 22.0),  # half of a core, read at 15 s for the last time
        (45.0, "45.0", 45.0),
        (3600.0, "3585.0", 3600.0),
        (2.4, "2.0", 2.4),
        (0.3, "0.0", 0.3),
        (30.0, "NA", 30.0),
        (30.0, None, 30.0),
    ],
)
def test_cpu_time_is_that_of_the_whole_job(wall: float, cpu_time: str | None, took: float) -> None:
    """Snakemake's is that of its last reading; findings/snakemake-benchmark-cpu-time.sh."""
    assert core_seconds(wall, cpu_time) == pytest.approx(took, rel=1e-9)


def test_done_trainings_are_not_counted_and_their_median_is_used(tmp_path: Path) -> None:
    table = config("quick.yaml")
    table["results"] = str(tmp_path)
    before = {(line.stage, line.study): line for line in estimate(table)}
    chain = before["chains", "fcnet-normal"]
    assert (chain.done, chain.basis) == (0, "counted")
    for number, seconds in enumerate((10, 30, 1000)):
        place = f"train/fcnet-normal/seed0/round{number:02d}"
        file = tmp_path / "benchmarks" / place / "imp.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"s\th:m:s\tcpu_time\n75\t0:01:15\t{seconds}\n")
        done = tmp_path / "checkpoints" / place.removeprefix("train/") / "imp/trained.h5"
        done.parent.mkdir(parents=True)
        done.touch()
    after = {(line.stage, line.study): line for line in estimate(table)}
    line = after["chains", "fcnet-normal"]
    assert (line.done, line.seconds, line.basis) == (3, 30.0, "median of 3 done")
    assert line.core_hours == pytest.approx((line.jobs - 3) * 30 / 3600)
    assert after["arms", "fcnet-normal"].seconds == 30.0
    assert after["chains", "convnet-normal"] == before["chains", "convnet-normal"]


def test_the_report_names_all_stages_and_says_how_it_was_made() -> None:
    text = report(config())
    for word in (*cost.STAGES, "target all", "target factorial", "counted"):
        assert word in text
    assert "erk x shuffled-values: weights 'shuffled-values' need" in text
    assert "imp x rewind" not in text


def of_images(source: str, path: str | Path, validation: int = 1, **more: object) -> dict:
    """Return a config of these images alone, whose prepared file is in the working directory."""
    own = {"name": "own", "source": source, "path": str(path), "validation": validation}
    return {"dataset": own | more}


def test_images_are_counted_where_they_are(tmp_path: Path) -> None:
    archive = CONFIG_FOLDER.parent / "resources/cifar10-embedded.zip"
    assert count_images(of_images("embedded", archive, 1000)) == Images(4000, 1000, 1000)
    for name in ("train/cat/1.png", "train/dog/2.JPG", "train/dog/notes.txt", "test/cat/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert count_images(of_images("folder", tmp_path)) == Images(1, 1, 1)
    assert count_images(of_images("torchvision", "nowhere", 5000)) == IMAGES


def test_validation_images_that_are_trained_on_count_twice() -> None:
    table = of_images("torchvision", "nowhere", 5000, train_on_validation=True)
    assert count_images(table) == Images(50_000, 5_000, 10_000)


def test_a_source_that_cannot_be_counted_leaves_the_prepared_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SOURCES, "npz", lambda path: None)
    (tmp_path / "no.zip").write_bytes(b"no archive")
    tables = [of_images("folder", "no.zip"), of_images("npz", "no.zip"), of_images("folder", "x")]
    assert [count_images(table) for table in tables] == [None] * 3
    prepare("resources/own.h5", "own", "folder", write_images(tmp_path / "images"), validation=3)
    classes = len(list((tmp_path / "images/train").iterdir()))
    expected = Images(4 * classes - 3, 3, 2 * classes)
    assert [count_images(table) for table in tables] == [expected] * 3


def test_what_needs_an_unknown_number_of_images_is_unknown(tmp_path: Path) -> None:
    table = config("quick.yaml")
    table["results"], table["dataset"]["path"] = str(tmp_path), str(tmp_path / "nowhere.zip")
    table["dataset"]["name"] = "nowhere"
    text = report(table)
    assert "`snakemake resources/nowhere.h5` reads it, and counts." in text
    chain, total = (
        next(line.split() for line in text.splitlines() if line.startswith(head))
        for head in ("chains", "total")
    )
    assert chain[-3:] == ["unknown"] * 3 and total[-1] == "unknown" and "nan" not in text


def test_the_documents_have_the_numbers_of_the_estimate(tmp_path: Path) -> None:
    """README: core-hours of `all`, and the ConvNet's; docs: trainings, submissions, throughputs."""
    table = config() | {"results": str(tmp_path)}
    stages = Counter(trainings(Selection(table)).values())
    lines = [line for line in estimate(table) if line.stage != "factorial"]
    whole = sum(line.core_hours for line in lines)
    convnet = sum(line.core_hours for line in lines if line.study == "convnet-normal")
    readme, cluster, extending = (
        (CONFIG_FOLDER.parent / name).read_text("utf-8")
        for name in ("README.md", "docs/cluster.md", "docs/extending.md")
    )
    assert f"`all` takes {whole:,.0f} core-hours, {convnet:,.0f} of them the ConvNet's" in readme
    assert readme.index("snakemake cost ") < readme.index("snakemake --cores 8 all")
    trained = re.search(r"\| `train`: [^|]*\| (\d+) \|", cluster)
    assert int(trained[1]) == stages.total() - stages["factorial"]
    submitted = [int(number) for number in re.findall(r"^\| .*\| (\d+) \|.*\|$", cluster, re.M)]
    total = re.search(r"about ([\d,]+) submissions", cluster)[1].replace(",", "")
    assert int(total) == round(sum(submitted), -1)
    said = re.search(r"documents' machine: (\S+) a\s+second", extending)
    assert float(said[1]) == REFERENCE.product


@pytest.mark.workflow
def test_the_count_is_snakemakes_own(tmp_path: Path) -> None:
    """Trainings of `all` and of `factorial`, as a dry run plans them."""
    folder = tiny_clone(tmp_path / "clone")
    table = {
        "pruning": {"rounds": 2},
        "interventions": {"rounds": [2], "studies": ["fcnet-normal"]},
        "contrasts": {"round": 2},
        "factorial": {"rounds": [2], "masks": ["uniform", "one-shot", "synflow-shuffled"],
                      "weights": ["rewind", "inverse-cdf", "shuffled-values"]},
    }  # fmt: skip
    overlays = overlay(folder, table)
    text = plan(folder, "all", "factorial", overlays=overlays)
    planned = {job.outputs[0] for job in text if job.rule == "train"}
    merged: dict = {}
    for name in (CONFIG_FOLDER / "config.yaml", folder / "tiny.yaml", folder / overlays[0]):
        update_config(merged, yaml.safe_load(Path(name).read_text("utf-8")))
    made = Plan(checked(merged), "results")
    counted = {made.checkpoint(*training, "trained.h5") for training in trainings(made)}
    assert counted == planned


@pytest.mark.parametrize("stride", [1, (1, 2, 2, 1, 1, 1, 1, 1)])
def test_convolutions_in_bfloat16_cost_what_their_way_takes(stride: int | tuple[int, ...]) -> None:
    conv = NetworkSpec(family="convolutional", width=128, stride=stride)
    full, half = (
        Spec(network=conv, training=TrainingSpec(precision=precision))
        for precision in ("float32", "bfloat16")
    )
    dense = training_seconds(full, [1.0] * 9, IMAGES)
    by_way = {
        way: training_seconds(half, [1.0] * 9, IMAGES, Machine(way)) / dense for way in ways.FLAGS
    }
    # The last evaluation of all images is float32.
    assert 0.1 < by_way["amx"] < 0.2
    assert list(by_way.values()) == sorted(by_way.values())
    assert 2 * by_way["amx"] < by_way["avx512bf16"] < 0.7 < by_way["avx512"] < 1 < by_way["avx2"]


def test_final_tests_are_counted_sparse_below_the_density_where_they_are() -> None:
    """Two constants, as the one of the training would import torch."""
    assert speeds.FINAL_SPARSE_BELOW == evaluation.FINAL_SPARSE_BELOW


def test_fully_connected_networks_in_bfloat16_cost_what_their_way_takes() -> None:
    full, half = (
        Spec(training=TrainingSpec(precision=precision)) for precision in ("float32", "bfloat16")
    )
    dense = training_seconds(full, [1.0] * 9, IMAGES)
    by_way = {
        way: training_seconds(half, [1.0] * 9, IMAGES, Machine(way)) / dense for way in ways.FLAGS
    }
    assert 0.35 < by_way["amx"] < 0.5
    assert list(by_way.values()) == sorted(by_way.values())
    assert by_way["avx512bf16"] < 0.7 < 1 < by_way["avx512"]


def test_the_report_names_the_way_and_what_the_machine_was_timed_at() -> None:
    machine = speeds.measured("avx2")
    text = report(config("bfloat16.yaml"), machine)
    assert f"{machine.product / 1e9:.0f}e9 a second" in text and "bfloat16 by avx2" in text
    assert "timed on this machine" in text and "timed on this machine" not in report(config())
    lines = estimate(config("bfloat16.yaml"), Machine("avx2"))
    there = sum(line.core_hours for line in lines if line.stage != "factorial")
    assert f"At 65e9 a second, as in the documents: {there:.1f}." in text


def test_a_machine_twice_as_fast_halves_what_is_counted() -> None:
    slow, fast = (
        [line.core_hours for line in estimate(config(), Machine("amx", rate))]
        for rate in (5e10, 1e11)
    )
    assert sum(fast) == pytest.approx(sum(slow) / 2, rel=0.1)


def test_wide_networks_cost_what_their_measurements_took() -> None:
    """CPU seconds at the reference machine's speed, 8 × 64 and 8 × 1024, round 7, within 50 %."""
    measure = {"images": 500, "ladder_images": 200, "isometry_images": 100}
    for kind, width, seconds in (
        ("signal", 64, 0.12), ("weights", 64, 0.18), ("ladder", 64, 0.88), ("jacobian", 64, 0.47),
        ("gradients", 64, 0.43), ("ntk", 64, 0.48), ("change", 64, 0.88), ("weights", 1024, 8.1),
        ("ladder", 1024, 14.6), ("gradients", 1024, 19.3), ("ntk", 1024, 13.9),
    ):  # fmt: skip
        spec = Spec(network=NetworkSpec(width=width))
        counted = cost.measurement_seconds(spec, kind, measure) - cost.START_UP["analysis"]
        assert seconds / 1.5 < counted < seconds * 1.5, kind


def test_trained_networks_have_no_nulls_to_pay_for() -> None:
    """CPU seconds at the reference machine's speed, 8 × 256, round 7: tickets, trained networks."""
    measure = {"images": 500, "ladder_images": 200, "isometry_images": 100}
    for kind, ticket, trained in (
        ("signal", 0.21, 0.18), ("weights", 1.0, 1.35), ("ladder", 2.5, 2.8),
        ("jacobian", 3.0, 0.19), ("gradients", 2.9, 0.04), ("ntk", 1.9, 0.34),
    ):  # fmt: skip
        for state, seconds in (("init", ticket), ("trained", trained)):
            counted = cost.measurement_seconds(Spec(), kind, measure, state=state)
            found = counted - cost.START_UP["analysis"]
            assert seconds / 1.5 - 0.05 < found < seconds * 1.5 + 0.05, (kind, state)


@pytest.mark.parametrize(("overlays", "most"), [((), 150), (("bfloat16.yaml", "sparse.yaml"), 65)])
def test_all_on_the_core_that_1fb1ed6_counted_by(overlays: tuple[str, ...], most: float) -> None:
    """Its `cost` had 148 s for a training of FCNet, and 4,395 core-hours for `all`."""
    core = Machine("amx", 9.25e10)
    assert training_seconds(Spec(), [1.0] * 9, IMAGES, core) == pytest.approx(148, rel=0.03)
    lines = estimate(config(*overlays), core)
    assert sum(line.core_hours for line in lines if line.stage != "factorial") < most


def test_fully_connected_studies_may_train_sparse_by_an_overlay() -> None:
    plain, sparse = (
        {
            line.study: line.core_hours
            for line in estimate(config(*overlays))
            if line.stage == "chains"
        }
        for overlays in ((), ("sparse.yaml",))
    )
    for study in ("fcnet-normal", "fcnet-orthogonal"):
        assert sparse[study] < 0.65 * plain[study]
    for study in ("convnet-normal", "resnet-fc-normal", "resnet-conv-normal"):
        assert sparse[study] == plain[study]


def test_arms_that_train_sparse_are_counted_so() -> None:
    rounds = "interventions: {rounds: [10], studies: [fcnet-normal]}"
    dense = "arms: {shuffle-layer: {studies: [fcnet-normal]}}"
    sparse = "arms: {shuffle-layer: {sparse_below: 0.46}}"
    hours = [
        sum(line.core_hours for line in estimate(merged(*overlays)) if line.stage == "arms")
        for overlays in ((rounds, dense), (rounds, dense, sparse))
    ]
    number = len(list(Plan(merged(rounds), "results").made("fcnet-normal")))
    before = hours[0] / number * 8
    after = before - (hours[0] - hours[1])
    assert after / before == pytest.approx(1 / 2.9, rel=0.35), "as in the test above"


@pytest.mark.nightly
def test_measurements_take_what_cost_counts(tmp_path: Path) -> None:
    """On this machine, once it is benchmarked, within 50 %, 8 × 64 to 8 × 1024: all but those of a
    fraction of a second."""
    output = tmp_path / "found.json"
    root = CONFIG_FOLDER.parent
    subprocess.run(
        [sys.executable, root / "benchmarks/run.py", "measurements", "--output", output], check=True
    )
    written = json.loads(output.read_text("utf-8"))
    found, factors = written["measurement_cost_over_measured"], written[MEASUREMENTS_KEY]
    ratios = {
        (name, kind): (ratio := next(iter(states.items())))[1] * factors[f"{kind}, {ratio[0]}"]
        for name in ("8 x 64", "8 x 256", "8 x 1024")
        for kind, states in found[name].items()
        if kind not in ("signal", "degrees")
    }
    assert not {key: ratio for key, ratio in ratios.items() if not 1 / 1.5 < ratio < 1.5}


def test_measurements_on_more_images_than_there_are_are_said() -> None:
    config = merged("dataset: {validation: 60}", "measure: {images: 61, ladder_images: 60}")
    said = "measure.images is 61; there are 60 validation images, all of which are used"
    assert [line for line in cut_measurements(config) if line.startswith("measure.images")] == [
        said
    ]
    assert not [line for line in cut_measurements(config) if "ladder_images" in line]


def test_a_validation_part_that_leaves_nothing_to_train_on_is_refused_before_any_job() -> None:
    with pytest.raises(
        ConfigError, match=r"dataset\.validation is 50000, which leaves none of the"
    ):
        check(merged("dataset: {validation: 50000}"))

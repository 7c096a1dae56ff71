"""What a config costs: core-hours of all that is left to do, estimated before anything runs.

A training is counted in multiply-adds and divided by what one core does of them in a second. Where
trainings of a study are done, the median of what they took (Snakemake's benchmark files) replaces
the count. Work is done if its file exists: whether Snakemake would make it again is not asked.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan, nan, prod
from pathlib import Path
from statistics import median
from typing import Any, cast

from ticketlens.architecture import READOUT, is_convolutional, layer_shapes
from ticketlens.spec import Spec
from ticketlens.study.factorial import cells
from ticketlens.study.image_counts import Images, count_images, prepared_file
from ticketlens.study.plan import Plan
from ticketlens.study.trainings import trainings

Config = Mapping[str, Any]

# Measured on one core of an x86 server with PyTorch 2.
THROUGHPUT = {"linear": 5.5e10, "conv": 7e10}
"""Multiply-adds a second, by kind of hidden layer, at the full study's widths."""
ATEN = 0.65
"""Throughput of linear layers with kernel `aten`, relative to `onednn`."""
CHANNELS_LAST = 0.8
"""Time of convolutions in a chain with kernel `onednn-channels-last`, relative to `onednn`."""
SPARSE = {"linear": (0.19, 1.45), "conv": (0.12, 1.4)}
"""Time of a layer that trains sparse, relative to dense with `onednn`: a + b × density (the tables
of layers in docs/speed.md, from density 0.41, convolutions 0.51, down; within 20 %)."""
BFLOAT16 = {"amx": 0.1, "avx512": 0.95, "avx2": 3.0, "plain": 60.0}
"""Time of convolutions in bfloat16, by way (see `training.ways`), relative to float32."""
STEP_OVERHEAD = 9e-4
"""Seconds of a training step that no multiply-add accounts for."""
START_UP = {"training": 2.5, "analysis": 0.45}
"""Seconds until a job's own work starts: with PyTorch, and without."""
MEASUREMENTS = {
    "signal": (0.3, "images", 500),
    "weights": (0.9, None, 1),
    "degrees": (0.1, None, 1),
    "ladder": (2.4, "ladder_images", 200),
    "jacobian": (2.0, "isometry_images", 100),
    "gradients": (5.5, "isometry_images", 100),
    "ntk": (4.5, None, 1),
    "change": (6.0, None, 1),
}
"""Per kind: seconds of one checkpoint of the reference network, the key of `measure` that they are
in proportion to, and its value there."""
REFERENCE_WORK, REFERENCE_WEIGHTS = 1_247_744, 1_247_744
"""Multiply-adds per image and weights of the reference, 3072 → 256 × 8 → 10."""
TABLES = {
    "signal": "qmap", "weights": "weight_statistics", "degrees": "degrees",
    "ladder": "ladder", "jacobian": "isometry",
    "gradients": "gradients", "ntk": "ntk", "change": "change_spectra",
}  # fmt: skip
"""A file that each kind of measurement makes."""
UNKNOWN = "unknown"
STAGES = ("chains", "donors", "arms", "factorial", "measurements")


@dataclass(frozen=True)
class Line:
    """One line of the estimate: jobs of a stage and study, how many are done, seconds for each.

    `seconds` is NaN where nothing says how many images a training sees.
    """

    stage: str
    study: str
    jobs: int
    done: int
    seconds: float
    basis: str

    @property
    def core_hours(self) -> float:
        """Return the core-hours that are left, 0 if nothing is."""
        left = self.jobs - self.done
        return left * self.seconds / 3600 if left else 0.0


# --- trainings -----------------------------------------------------------------------------------


def multiply_adds(spec: Spec) -> list[int]:
    """Return the multiply-adds of one image's forward pass, per layer, dense."""
    height, width, _ = spec.dataset.shape
    found = []
    for layer in layer_shapes(spec):
        if layer.kind == "conv":
            height, width = (-(-side // layer.stride) for side in (height, width))
        found.append(prod(layer.shape) * (height * width if layer.kind == "conv" else 1))
    return found


def training_seconds(
    spec: Spec, densities: Sequence[float], images: Images, way: str = "amx"
) -> float:
    """Return the core-seconds of one training, start-up included.

    A step costs three forward passes, less the first layer's gradient with respect to the images,
    which nobody asks for; an epoch ends with the validation images, a run with all images twice
    (last and best weights). `densities`, one per layer, count where a layer trains sparse (below
    `training.sparse_below`): masked training is dense. `way` computes what is in bfloat16, all but
    the last evaluation of all images.
    """
    training, is_conv = spec.training, is_convolutional(spec)
    speed = THROUGHPUT["conv" if is_conv else "linear"]
    dense = 1 / ATEN if training.kernel == "aten" and not is_conv else 1.0
    if training.kernel == "onednn-channels-last" and spec.network.family == "convolutional":
        dense = CHANNELS_LAST
    fixed, slope = SPARSE["conv" if is_conv else "linear"]
    forward = [
        work * (fixed + slope * density if density < training.sparse_below else dense)
        for work, density in zip(multiply_adds(spec), densities, strict=True)
    ]
    steps = training.epochs * (images.train // training.batch_size)
    trained = steps * training.batch_size * (3 * sum(forward) - forward[0])
    last = 2 * (images.train + images.validation + images.test)
    factor = BFLOAT16[way] if training.precision == "bfloat16" else 1.0
    evaluated = (training.epochs + 1) * images.validation
    work = factor * (trained + evaluated * sum(forward)) + last * sum(forward)
    return START_UP["training"] + steps * STEP_OVERHEAD + work / speed


def densities(spec: Spec, round_: int) -> list[float]:
    """Return the density of every layer at a round, as pruning by layer leaves it."""
    rate, readout_rate = spec.pruning.rate, spec.pruning.readout_rate
    return [
        (1 - (readout_rate if layer.name == READOUT else rate)) ** round_
        for layer in layer_shapes(spec)
    ]


def measured_seconds(results: str | os.PathLike[str], study: str) -> tuple[float, int]:
    """Return the median core-seconds of a study's finished trainings, and their number (0: NaN)."""
    found = []
    for path in Path(results, "benchmarks", "train", study).rglob("*.tsv"):
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found += [float(row[key]) for key in ("cpu_time", "s") if _is_number(row.get(key))][
                    :1
                ]
    return (median(found) if found else nan), len(found)


# --- the estimate --------------------------------------------------------------------------------


def estimate(config: Config, way: str = "amx") -> list[Line]:
    """Return one line per stage and study, trainings first; `way` computes bfloat16."""
    results, images = config["results"], count_images(config)
    plan = Plan(config, results)
    runs = trainings(plan)
    lines = []
    for stage, study in product(STAGES[:-1], config["studies"]):
        keys = [key for key, own in runs.items() if own == stage and key[0] == study]
        if not keys:
            continue
        spec = plan.specs[study]
        seconds, number = measured_seconds(results, study)
        basis = f"median of {number} done"
        if not number and images is None:
            basis = UNKNOWN
        elif not number:
            each = [
                training_seconds(spec, densities(spec, key[2]), cast(Images, images), way)
                for key in keys
            ]
            seconds, basis = sum(each) / len(each), "counted"
        done = sum(Path(plan.checkpoint(*key, "trained.h5")).is_file() for key in keys)
        lines.append(Line(stage, study, len(keys), done, seconds, basis))
    return lines + [
        line for study in config["studies"] if (line := _measurements(plan, study)).jobs
    ]


def _measurements(plan: Plan, study: str) -> Line:
    """Return the line of a study's measurements, as `all` asks for them."""
    spec, measure = plan.specs[study], plan.measure(study)
    files, seconds = [], 0.0
    for kind, table in TABLES.items():
        if study not in plan.studies_of(table):
            continue
        own = plan.measured_on_imp(table, [study]) + plan.measured_on_arms(table, [study])
        seconds += measurement_seconds(spec, kind, measure) * len(own)
        files += own
    done = sum(Path(file).is_file() for file in files)
    return Line("measurements", study, len(files), done, seconds / max(1, len(files)), "rough")


def measurement_seconds(spec: Spec, kind: str, measure: Mapping[str, Any]) -> float:
    """Return the core-seconds of one measurement, scaled from the reference network (rough)."""
    seconds, key, images = MEASUREMENTS[kind]
    with_torch = is_convolutional(spec) and kind in ("signal", "jacobian", "gradients")
    if key is None:
        scale = sum(prod(layer.shape) for layer in layer_shapes(spec)) / REFERENCE_WEIGHTS
    else:
        scale = sum(multiply_adds(spec)) / REFERENCE_WORK * measure[key] / images
    return START_UP["training" if with_torch else "analysis"] + seconds * scale


def _is_number(text: str | None) -> bool:
    try:
        return float(text or "") > 0
    except ValueError:
        return False


# --- the printout --------------------------------------------------------------------------------


def report(config: Config, way: str = "amx") -> str:
    """Return the estimate as text: a table, its totals, and how it was made.

    `way` computes what is in bfloat16 (see `training.ways`).
    """
    lines = estimate(config, way)
    heads = ("stage", "study", "jobs", "done", "s each", "basis", "core-hours left")
    rows = [
        (line.stage, line.study, str(line.jobs), str(line.done), _or_unknown(line.seconds, ".3g"),
         line.basis, _or_unknown(line.core_hours, ".1f"))
        for line in lines
    ]  # fmt: skip
    of_all = sum(line.core_hours for line in lines if line.stage != "factorial")
    factorial = sum(line.core_hours for line in lines if line.stage == "factorial")
    rows.append(("total", "target all", "", "", "", "", _or_unknown(of_all, ".1f")))
    if any(line.stage == "factorial" for line in lines):
        beyond = _or_unknown(factorial, ".1f")
        rows.append(("", "target factorial, beyond it", "", "", "", "", beyond))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    right = (False, False, True, True, True, False, True)
    text = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (heads, *rows)
    ]
    return "\n".join([
        *text,
        "",
        *_how_counted(config),
        "median: core-seconds of the study's own finished trainings, from",
        f"{config['results']}/benchmarks. rough: scaled from one FCNet. done: the file exists.",
        "Left out: preparing images, making masks, tables and figures (minutes).",
        *_left_out(config),
    ])  # fmt: skip


def _how_counted(config: Config) -> list[str]:
    """Return the lines that say what a training is counted by, or why it cannot be."""
    images = count_images(config)
    if images is None:
        path, prepared = config["dataset"]["path"], prepared_file(config)
        return [
            f"{UNKNOWN}: how many images {path} has, as it is not there or has to be read;",
            f"`snakemake {prepared}` reads it, and counts.",
        ]
    dense, conv = (f"{value / 1e9:.0f}" for value in THROUGHPUT.values())
    return [
        f"counted: multiply-adds of {images.train} training images an epoch (a step is 3 forward",
        f"passes, less the gradient of the images), at {dense}e9 a second (fully connected) or",
        f"{conv}e9 (convolutional) on one CPU core; a GPU is not considered.",
    ]


def _or_unknown(value: float, digits: str) -> str:
    return UNKNOWN if isnan(value) else format(value, digits)


def _left_out(config: Config) -> list[str]:
    """Return the combinations that the factorial leaves out, one line per reason and mask."""
    left = dict.fromkeys(
        (c.mask, c.weights, c.reason) for c in cells(config) if c.reason and c.arm != "imp"
    )
    if not left:
        return []
    return ["", "left out of the factorial:"] + [
        f"  {mask} x {weights}: {reason}" for mask, weights, reason in left
    ]

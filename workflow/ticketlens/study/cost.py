"""What a config costs: core-hours of all that is left to do, estimated before anything runs.

A training is counted in multiply-adds and activations, and divided by what one core does of them in
a second (see `speeds`). Where trainings of a study are done, the median of what they took
(Snakemake's benchmark files) replaces the count. Work is done if its file exists: whether Snakemake
would make it again is not asked.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import floor, isnan, nan, prod
from pathlib import Path
from statistics import median
from typing import Any, cast

from ticketlens.architecture import READOUT, is_convolutional, layer_shapes
from ticketlens.spec import Spec
from ticketlens.study.factorial import cells
from ticketlens.study.image_counts import Images, count_images, prepared_file
from ticketlens.study.plan import Plan
from ticketlens.study.speeds import REFERENCE, Machine, image_seconds, step_seconds, works
from ticketlens.study.trainings import trainings

Config = Mapping[str, Any]

START_UP = {"training": 0.3, "analysis": 0.06}
"""Seconds until a job's own work starts, with PyTorch and without, where jobs start warm.

See `jobs.warm`. Where they do not, as on a cluster, it is 2.5 and 0.45 to 0.9: 1 % of `all`.
"""


@dataclass(frozen=True)
class Measured:
    """What one kind of measurement takes.

    seconds: of a ticket of the reference network, 3072 → 256 × 8 → 10, at round 7, on the reference
    machine. power: of its work, that they grow with (8 × 64 to 8 × 1024 neurons). trained: those of
    a trained network, which has no nulls, over them. key, images: of `measure`, what they are in
    proportion to, and its value there.
    """

    seconds: float
    power: float
    trained: float = 1.0
    key: str | None = None
    images: int = 1


MEASUREMENTS = {
    "signal": Measured(0.25, 0.6, key="images", images=500),
    "weights": Measured(1.2, 0.95),
    "degrees": Measured(0.1, 1.0),
    "ladder": Measured(2.7, 0.85, key="ladder_images", images=200),
    "jacobian": Measured(3.3, 1.1, 0.07, "isometry_images", 100),
    "gradients": Measured(2.8, 1.0, 0.03, "isometry_images", 100),
    "ntk": Measured(2.0, 0.85, 0.17),
    "change": Measured(3.4, 0.85),
}
CONVOLUTIONAL = {
    ("signal", "init"): 5.0, ("signal", "trained"): 5.0,
    ("jacobian", "init"): 0.4, ("jacobian", "trained"): 2.5,
    ("gradients", "init"): 0.4, ("gradients", "trained"): 3.0,
    ("ntk", "init"): 15.0, ("ntk", "trained"): 18.0,
}  # fmt: skip
"""What these take of a convolutional network, over what its size says: medians of an AMD EPYC."""
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
    return [work.multiply_adds for work in works(spec)]


def training_seconds(
    spec: Spec, densities: Sequence[float], images: Images, machine: Machine = REFERENCE
) -> float:
    """Return the core-seconds of one training, start-up included (see `speeds`).

    An epoch ends with the validation images, a run with all images twice (last and best weights),
    in float32. `densities`, one per layer, count where a layer trains sparse (below
    `training.sparse_below`): masked training is dense.
    """
    training = spec.training
    steps = training.epochs * (images.train // training.batch_size)
    evaluated = (training.epochs + 1) * images.validation
    last = 2 * (images.train + images.validation + images.test)
    return (
        START_UP["training"]
        + steps * step_seconds(spec, densities, machine)
        + evaluated * image_seconds(spec, densities, machine)
        + last * image_seconds(spec, densities, machine, is_final=True)
    )


def densities(spec: Spec, round_: int) -> list[float]:
    """Return the density of every layer at a round, as pruning by layer leaves it."""
    rate, readout_rate = spec.pruning.rate, spec.pruning.readout_rate
    return [
        (1 - (readout_rate if layer.name == READOUT else rate)) ** round_
        for layer in layer_shapes(spec)
    ]


def measured_seconds(results: str | os.PathLike[str], study: str) -> tuple[float, int]:
    """Return the median core-seconds of a study's finished trainings, and their number (0: NaN)."""
    seconds = []
    for path in Path(results, "benchmarks", "train", study).rglob("*.tsv"):
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if _is_number(row.get("s")):
                    seconds.append(core_seconds(float(row["s"]), row.get("cpu_time")))
    return (median(seconds) if seconds else nan), len(seconds)


def core_seconds(wall: float, cpu_time: str | None) -> float:
    """Return the CPU seconds of a job of `wall` seconds, from `cpu_time` of Snakemake's benchmark.

    Snakemake (9.27) reads it every half a second for 15 s, every 30 s from then on, and not at the
    job's end, so that a job of 44 s would have the CPU time of its first 15: what came after the
    last reading took as much in a second as what came before. Without one it is the wall time.
    """
    read = floor(2 * wall) / 2 if wall < 15 else 15 + 30 * floor((wall - 15) / 30)
    if not _is_number(cpu_time) or read == 0:
        return wall
    return float(cast(str, cpu_time)) * wall / read


# --- the estimate --------------------------------------------------------------------------------


def estimate(config: Config, machine: Machine = REFERENCE) -> list[Line]:
    """Return one line per stage and study, trainings first, on a core of `machine`."""
    results, images = config["results"], count_images(config)
    plan = Plan(config, results)
    runs = trainings(plan)
    lines = []
    for stage, study in product(STAGES[:-1], config["studies"]):
        keys = [key for key, of_run in runs.items() if of_run == stage and key[0] == study]
        if not keys:
            continue
        seconds, number = measured_seconds(results, study)
        basis = f"median of {number} done"
        if not number and images is None:
            basis = UNKNOWN
        elif not number:
            each = [
                training_seconds(own, densities(own, key[2]), cast(Images, images), machine)
                for key in keys
                for own in (plan.trained_as(study, key[3]),)
            ]
            seconds, basis = sum(each) / len(each), "counted"
        done = sum(Path(plan.checkpoint(*key, "trained.h5")).is_file() for key in keys)
        lines.append(Line(stage, study, len(keys), done, seconds, basis))
    return lines + [
        line for study in config["studies"] if (line := _measurements(plan, study, machine)).jobs
    ]


def _measurements(plan: Plan, study: str, machine: Machine) -> Line:
    """Return the line of a study's measurements, as `all` asks for them."""
    spec, measure = plan.specs[study], plan.measure(study)
    files, seconds = [], 0.0
    for kind, table in TABLES.items():
        if study not in plan.studies_of(table):
            continue
        measured = plan.measured_on_imp(table, [study]) + plan.measured_on_arms(table, [study])
        trained = sum(Path(file).stem == "trained" for file in measured)
        for state, count in (("init", len(measured) - trained), ("trained", trained)):
            seconds += count * measurement_seconds(spec, kind, measure, machine, state)
        files += measured
    done = sum(Path(file).is_file() for file in files)
    return Line("measurements", study, len(files), done, seconds / max(1, len(files)), "rough")


def measurement_seconds(
    spec: Spec,
    kind: str,
    measure: Mapping[str, Any],
    machine: Machine = REFERENCE,
    state: str = "init",
    start_up: bool = True,
) -> float:
    """Return the core-seconds of one measurement, scaled from the reference network (rough).

    `state` is that of the measured network, where a kind measures tickets and trained ones. With
    `start_up`, the job's start is part of it.
    """
    one = MEASUREMENTS[kind]
    with_torch = is_convolutional(spec) and kind in ("signal", "jacobian", "gradients")
    if one.key is None:
        work = sum(prod(layer.shape) for layer in layer_shapes(spec)) / REFERENCE_WEIGHTS
        scale = work**one.power
    else:
        work = sum(multiply_adds(spec)) / REFERENCE_WORK
        scale = work**one.power * measure[one.key] / one.images
    if state == "trained":
        scale *= one.trained
    if is_convolutional(spec):
        scale *= CONVOLUTIONAL.get((kind, state), 1.0)
    scale *= REFERENCE.product / machine.product
    scale *= machine.corrections.get(measurement_kind(spec, kind, state), 1.0)
    start = START_UP["training" if with_torch else "analysis"] if start_up else 0.0
    return cast(float, start + one.seconds * scale)


def measurement_kind(spec: Spec, kind: str, state: str) -> str:
    """Return the name of a kind of measurement among a machine's corrections."""
    return f"{'conv ' if is_convolutional(spec) else ''}{kind}, {state}"


def _is_number(text: str | None) -> bool:
    try:
        return float(text or "") > 0
    except ValueError:
        return False


# --- the printout --------------------------------------------------------------------------------


def report(config: Config, machine: Machine = REFERENCE) -> str:
    """Return the estimate as text: a table, its totals, and how it was made on which machine."""
    lines = estimate(config, machine)
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
        *_how_counted(config, machine),
        *_on_the_documents_machine(config, machine),
        "median: core-seconds of the study's own finished trainings, from",
        f"{config['results']}/benchmarks. rough: scaled from one FCNet. done: the file exists.",
        "Left out: preparing images, making masks, tables and figures (minutes).",
        *_left_out(config),
    ])  # fmt: skip


def _how_counted(config: Config, machine: Machine) -> list[str]:
    """Return the lines that say what a training is counted by, or why it cannot be."""
    images = count_images(config)
    if images is None:
        path, prepared = config["dataset"]["path"], prepared_file(config)
        return [
            f"{UNKNOWN}: how many images {path} has, as it is not there or has to be read;",
            f"`snakemake {prepared}` reads it, and counts.",
        ]
    whose = "timed on this machine" if machine.is_measured else "of the documents' machine"
    return [
        f"counted: multiply-adds and activations of {images.train} training images an epoch, by",
        f"those of a float32 product, {machine.product / 1e9:.0f}e9 a second on one CPU core",
        f"({whose}); bfloat16 by {machine.way}; a GPU is not considered.",
        *_corrected(machine),
    ]


def _corrected(machine: Machine) -> list[str]:
    if not machine.corrections:
        return []
    factors = machine.corrections.values()
    return [
        f"Corrected by benchmarks/latest.json, kind by kind: × {min(factors):.2f} to "
        f"{max(factors):.2f}."
    ]


def _on_the_documents_machine(config: Config, machine: Machine) -> list[str]:
    """Return what `all` has left there: the same whatever else this machine does meanwhile."""
    if not machine.is_measured:
        return []
    lines = estimate(config, replace(REFERENCE, way=machine.way))
    left = sum(line.core_hours for line in lines if line.stage != "factorial")
    return [
        f"A busy core is timed slower. At {REFERENCE.product / 1e9:.0f}e9 a second, as in the "
        f"documents: {_or_unknown(left, '.1f')}.",
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

"""A finished run with one job of every kind at least, each under a profiler, and what the jobs ran.

It is quick.yaml on a few small images, with studies that reach what the default ones leave out:
skips, strides, sparse layers, late rewinding, a rebuilt chain. Made once per test session.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from core_tools import write_images
from ticketlens.study.config import checked
from workflow_tools import REPOSITORY, clone, environment, run, shared, snakemake_with

CORES = "2"
# One by one: `bank` refuses all for the one study that rewinds to a later epoch.
BANKED_STUDIES = ("fcnet-normal", "convnet-normal", "resnet-fc-normal", "resnet-conv-normal")
TARGETS = (
    "all", "factorial", "cost", "progress", "publish", "check_results",
    *(f"results/quick/tickets/{study}/seed0.h5" for study in BANKED_STUDIES),
)  # fmt: skip
OVERLAY = """
dataset: {name: tiny, source: folder, path: images, validation: 15}
networks:
  fcnet: {hidden_layers: 3, width: 12}
  convnet: {hidden_layers: 2, width: 4, stride: 1}
  resnet-fc: {hidden_layers: 3, width: 8}
  resnet-conv: {hidden_layers: 3, width: 4}
studies:
  fcnet-normal: {seeds: [0]}
  fcnet-late:
    network: fcnet
    init: orthogonal
    seeds: [0]
    training: {device: cpu, sparse_below: 1.0, optimizer: adam, schedule: cosine}
    pruning: {criterion: magnitude-increase, scope: global, rewind_epoch: 1}
  fcnet-stacked:
    {network: fcnet, init: normal, seeds: [0, 1], training: {device: cpu, kernel: stacked}}
  convnet-normal: {seeds: [0], pruning: {rounds: 0}}
  resnet-fc-normal: {seeds: [0], pruning: {rounds: 0}, training: {epochs: 1}}
  resnet-conv-normal:
    {network: resnet-conv, init: normal, seeds: [0], pruning: {rounds: 0}, training: {epochs: 1}}
training: {epochs: 2, batch_size: 9}
pruning: {rounds: 1}
measure: {images: 10, ladder_images: 6, spectrum_images: 2, isometry_images: 4, arms: [signal]}
interventions: {rounds: [1]}
contrasts: {round: 1}
arms: {uniform-bimodal: {rounds: [1]}, small-bimodal: {rounds: [1]},
       uniform-gaussian: {rounds: [1]},
       imp-fresh: {rounds: [1]}, uniform-density: null, imp-matched: null, rewire: null,
       small-gaussian: null, uniform-wide: null, uniform-matched: null, uniform-fresh: null,
       imp-wide: null, imp-sign-kept: null, in-degree-sign-redrawn: null, imp-degree: {rounds: [1]},
       uniform-degree: null, grasp: null, synflow: null, imp-other-seed: null, one-shot: null,
       magnitude-at-init: null, bare-erk: {mask: erk, weights: rewind, seeds: [0]}}
experiments: {std_experiment: {round: 1}}
factorial: {rounds: [1], masks: [imp, synflow-shuffled], weights: [rewind, fresh]}
claims:
  {match: 1, mean: [1, 2], std: 1, q_rise: 1, q_fall: 2, q_peak: [1, 1], naive: [1, 2], bimodal: 1,
   bimodal_accuracy: [1], chi: 1, signs: 1, suffices: [1]}
"""
BANKED = """
results: results/banked
studies:
  fcnet-normal: {tickets: bank}
"""
# What a job of Python runs first; `workflow` is on the path of jobs. It notes every function of
# the library that is called once the job has opened its log, but not on import: that is not what
# the job does. (To profile the start, too, would double what most jobs take.)
RECORDER = """
import atexit, json, logging, os, sys, threading

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ticketlens")
seen, importing = set(), 0


def note(frame, event, argument):
    global importing
    code = frame.f_code
    if event not in ("call", "return") or not code.co_filename.startswith(PACKAGE):
        return
    if code.co_name == "<module>":
        importing += 1 if event == "call" else -1
    elif event == "call" and not importing:
        seen.add(code)


def save():
    sys.setprofile(None)
    job = getattr(sys.modules["__main__"], "snakemake", None)
    if job is None:
        return
    record = {
        "rule": job.rule,
        "script": os.path.basename(sys.argv[0]).split(".", 1)[-1],
        "wildcards": dict(job.wildcards.items()),
        "code": job.params.get("code"),
        "entry": job.params.get("entry"),
        "ran": sorted(
            (os.path.relpath(code.co_filename, PACKAGE), code.co_firstlineno, code.co_name)
            for code in seen
        ),
    }
    folder = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), "profiles_of_jobs")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{os.getpid()}-{record['rule']}.json"), "w") as file:
        json.dump(record, file)


def start(self, *arguments, **options):
    opened(self, *arguments, **options)
    threading.setprofile(note)
    sys.setprofile(note)


if os.environ.get("TICKETLENS_RECORD") and "/.snakemake/scripts/" in sys.argv[0]:
    atexit.register(save)
    opened, logging.FileHandler.__init__ = logging.FileHandler.__init__, start
"""


@dataclass(frozen=True)
class Ran:
    """What one job ran: (module file, first line, name) of every function of the library.

    `entry` is its entry of the catalogue, if its script is a generic one.
    """

    rule: str
    script: str
    wildcards: Mapping[str, str]
    code: str
    entry: str | None
    ran: tuple[tuple[str, int, str], ...]


def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run (see `workflow_tools.shared`). Never change it: dry runs are fine."""
    return shared(tmp_path_factory, "every-kind", build)


def build(folder: Path) -> None:
    """Make the run in a new folder."""
    clone(folder)
    (folder / "docs/results").mkdir(parents=True)
    for name in ("reference.csv", "config.yaml"):
        shutil.copy2(REPOSITORY / "docs/results" / name, folder / "docs/results")
    write_images(folder / "images", train=20, test=5, size=(8, 8))
    (folder / "every.yaml").write_text(OVERLAY, encoding="utf-8")
    (folder / "banked.yaml").write_text(BANKED, encoding="utf-8")
    (folder / "workflow/sitecustomize.py").write_text(RECORDER, encoding="utf-8")
    record = environment() | {"TICKETLENS_RECORD": "1", "TICKETLENS_WARM": "0"}
    finish(folder, *TARGETS, "--cores", CORES, env=record)
    shutil.copytree(folder / "results/quick/tickets", folder / "resources/tickets")
    finish(
        folder, "results/banked/tables/accuracy.csv", "results/banked/qmap.png", "--cores", CORES,
        overlays=("banked.yaml",), env=record,
    )  # fmt: skip


def finish(folder: Path, *arguments: str, overlays: tuple[str, ...] = (), **options: Any) -> str:
    """Run Snakemake with the config of the run; return its output, fail the test if it fails."""
    command = snakemake_with("config/quick.yaml", "every.yaml", *overlays, arguments=arguments)
    result = run(folder, command, timeout=7200, **options)
    assert result.returncode == 0, result.stdout
    return result.stdout


def config(*overlays: str) -> dict[str, Any]:
    """The config of the run, as the workflow sees it."""
    files = [REPOSITORY / "config" / name for name in ("config.yaml", "quick.yaml")]
    merged: dict[str, Any] = {}
    for text in (*(file.read_text(encoding="utf-8") for file in files), OVERLAY, *overlays):
        update_config(merged, yaml.safe_load(text))
    return checked(merged)


def records(folder: Path) -> list[Ran]:
    """What the jobs of the run ran."""
    found = []
    for file in sorted((folder / "profiles_of_jobs").glob("*.json")):
        values = json.loads(file.read_text(encoding="utf-8"))
        values["ran"] = tuple(tuple(entry) for entry in values["ran"])
        found.append(Ran(**values))
    return found

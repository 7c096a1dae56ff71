"""A copy of the workflow in a temporary folder, Snakemake runs in it, and what their jobs used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from measuring import ROOT  # sets the library's path

# isort: split
from ticketlens.checkpoint import write
from ticketlens.files import dataset
from ticketlens.files.sources import SOURCES, RawImages
from ticketlens.spec import DatasetSpec
from ticketlens.tickets import bank

PARTS = ("Snakefile", "workflow", "config", "envs", "profiles")
STUDIES = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))["studies"]
USAGE = ROOT / "benchmarks" / "usage"
DATASET = "random"


@dataclass(frozen=True)
class Use:
    """What one process used; `job` is its rule's script, or "snakemake"."""

    job: str
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Run:
    """A finished Snakemake run: its output, wall seconds, and its processes in order of ending."""

    output: str
    seconds: float
    uses: tuple[Use, ...]

    def of(self, job: str) -> list[Use]:
        """The processes of one kind of job."""
        return [use for use in self.uses if use.job == job]

    def counts(self) -> dict[str, int]:
        """Jobs by rule, from the table that Snakemake prints first; `total` is among them."""
        found = re.search(r"^Job stats:\n.*\n-+ +-+\n((?:\w+ +\d+\n)+)", self.output, re.MULTILINE)
        lines = found[1].splitlines() if found else []
        return {name: int(count) for name, count in map(str.split, lines)}


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder with what a clone has, but for the ticket bank; removed at the end."""
    with TemporaryDirectory(prefix="ticketlens-benchmark-") as name:
        folder = Path(name)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                hidden = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / part, symlinks=True, ignore=hidden)
            else:
                shutil.copy2(source, folder / part)
        (folder / "resources").mkdir()
        yield folder


def overlay(**config: Any) -> dict[str, Any]:
    """A config overlay: random images, and of the studies only those that `config` names."""
    # The prepared file is there: nothing is ever read from the path.
    data = {"name": DATASET, "source": "torchvision", "path": "resources/none"}
    studies = {**dict.fromkeys(STUDIES), **config.pop("studies")}
    return {"dataset": data, "studies": studies, "interventions": {"studies": []}, **config}


def snakemake(
    folder: Path, *arguments: str, config: Mapping[str, Any] | None = None, cores: int = 1
) -> Run:
    """Run Snakemake in `folder` with `config` laid over the full study's.

    Raises RuntimeError with its output if it fails.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments]
    if config is not None:
        (folder / "overlay.yaml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        command += ["--configfile", "overlay.yaml"]
    usage = folder / "usage.jsonl"
    usage.unlink(missing_ok=True)
    environment = {
        **os.environ, "TICKETLENS_USAGE": str(usage), "PYTHONPATH": str(USAGE),
        "TICKETLENS_WARM": "0",  # each job with all its imports
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    start = time.perf_counter()
    result = subprocess.run(
        command, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout[-4000:]}")
    lines = map(json.loads, usage.read_text(encoding="utf-8").splitlines())
    uses = (Use(_job(line.pop("program")), **line) for line in lines)
    return Run(result.stdout, seconds, tuple(uses))


def prepare_images(folder: Path, train: int, test: int, side: int) -> DatasetSpec:
    """Write a prepared data set of random images in ten classes; a tenth of `train` is held out."""
    rng = np.random.default_rng(0)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        return images, np.arange(count) % 10

    raw = RawImages(tuple(map(str, range(10))), *draw(train), *draw(test))
    path = folder / "resources" / f"{DATASET}.h5"
    SOURCES[DATASET] = lambda _: raw
    try:
        return dataset.prepare(path, DATASET, DATASET, "", validation=train // 10).spec
    finally:
        del SOURCES[DATASET]


def write_tickets(folder: Path, images: DatasetSpec, rounds: Sequence[int], epochs: int) -> None:
    """Put tickets of the bank's fcnet-normal, seed 0, in their places, to be trained on `images`.

    Their masks and weights are those of a real chain; a training of theirs lasts `epochs`.
    """
    chain = bank.read_bank(ROOT / "resources/tickets/fcnet-normal/seed0.h5")
    for number in rounds:
        ticket = bank.ticket(chain, number)
        training = replace(ticket.spec.training, epochs=epochs)
        spec = ticket.spec.replace(training=training, dataset=images)
        place = folder / f"results/checkpoints/fcnet-normal/seed0/round{number:02d}/imp"
        place.mkdir(parents=True)
        write(place / "ticket.h5", replace(ticket, spec=spec))


def _job(program: str) -> str:
    """The job's name of a program: Snakemake runs `tmp….prune.py` for the script prune.py."""
    found = re.fullmatch(r"tmp\w+\.(\w+)\.py", program)
    return found[1] if found else "snakemake"

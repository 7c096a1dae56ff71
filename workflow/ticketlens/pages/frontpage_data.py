"""What the front page shows besides figures: claims, run times, versions, the studies in words."""

from __future__ import annotations

import csv
import os
import platform
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ticketlens import checkpoint
from ticketlens.pages import arm_titles
from ticketlens.pages.numbers import ranges
from ticketlens.spec import NetworkSpec
from ticketlens.study.arms import arm_rounds, arm_seeds, arms_of_all
from ticketlens.study.studies import rounds, study_spec

LABELS = {"cpu_capability": "kind of CPU"}
PACKAGES = ("ticketlens", "snakemake", "torch", "numpy", "scipy", "h5py", "pandas", "matplotlib")


@dataclass(frozen=True)
class RunTime:
    """Wall times of the jobs of one rule, in seconds; `memory` is the largest, in MB."""

    rule: str
    jobs: int
    total: float
    median: float
    memory: float


def run_times(folder: str | Path) -> list[RunTime]:
    """Return the run times of Snakemake's benchmark files below `folder`, per rule and study.

    A file that is empty or has other columns (a job is being killed right now) does not count.
    """
    times: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = " ".join(path.relative_to(folder).with_suffix("").parts[:2])
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                seconds, memory = _number(row.get("s")), _number(row.get("max_rss"))
                if seconds is not None:
                    times.setdefault(rule, []).append((seconds, memory or 0.0))
    return [
        RunTime(
            rule,
            len(jobs),
            sum(seconds for seconds, _ in jobs),
            statistics.median(seconds for seconds, _ in jobs),
            max(memory for _, memory in jobs),
        )
        for rule, jobs in times.items()
    ]


def claims(path: str | Path, arms: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of claims.csv as text, column by name, with the titles of `arms` by name.

    Raises ValueError on other tables.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = {"study", "claim", "number", "lower", "upper", "n", "verdict"} - set(
        rows[0] if rows else ()
    )
    if rows and missing:
        raise ValueError(f"{path}: not a table of claims, it lacks {', '.join(sorted(missing))}")
    shown = arm_titles.COLUMNS
    return [
        row | {name: arm_titles.by_title(row[name], arms) for name in shown if row.get(name)}
        for row in rows
    ]


def machine() -> dict[str, str | int | float]:
    """Return the processor's name, the number of cores that may be used, and memory in GiB."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        names = re.findall(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    except OSError:  # not Linux
        names = []
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
    }


def installed_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions in this environment; packages that it lacks are left out."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def recorded_versions(checkpoints: str | Path, studies: Iterable[str]) -> dict[str, list[str]]:
    """Return what trained networks say that they were made with: all values by package.

    One file of each chain on the arm `imp` is read, of its last round.
    """
    versions: dict[str, set[str]] = {}
    for study in studies:
        for chain in sorted(Path(checkpoints, study).glob("seed*")):
            for path in sorted(chain.glob("round*/imp/trained.h5"))[-1:]:
                for name, value in checkpoint.read_attributes(path).items():
                    if name.startswith("version_") or name in ("device", "cpu_capability"):
                        label = LABELS.get(name, name.removeprefix("version_"))
                        versions.setdefault(label, set()).add(str(value))
    return {name: sorted(values) for name, values in sorted(versions.items())}


def summary(config: Mapping[str, Any]) -> str:
    """Return what the config studies in one sentence."""
    chains = sum(len(study["seeds"]) for study in config["studies"].values())
    made = [
        (name, study)
        for study in config["studies"]
        for name in arms_of_all(config, study)
        if arm_rounds(config, name, study) and arm_seeds(config, name, study)
    ]
    numbers = {number for name, study in made for number in arm_rounds(config, name, study)}
    arms = len({name for name, _ in made})
    lengths = {rounds(config, study) for study in config["studies"]}
    sentence = (
        f"{_counted(len(config['studies']), 'study', 'studies')} with "
        f"{_counted(chains, 'chain')} of iterative magnitude pruning, one per seed: the dense "
        f"network and {ranges(lengths)} {'round' if lengths == {1} else 'rounds'} of pruning, "
        f"on images of {config['dataset']['name']}"
    )
    if arms:
        place = "round" if len(numbers) == 1 else "rounds"
        sentence += f"; {_counted(arms, 'rival arm')} at {place} {ranges(numbers)}"
    return sentence + "."


def studies(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row per study: what it is, in words."""
    rows = []
    for name, study in config["studies"].items():
        spec = study_spec(config, name)
        network, init, training = spec.network, spec.init, spec.training
        rows.append(
            {
                "study": name,
                "title": study.get("title", name),
                "network": (f"{network.family}, {_layers(network)}, {network.activation}"),
                "initial weights": f"{init.scheme}, σ_w {init.sigma_w:g}, σ_b {init.sigma_b:g}",
                "seeds": ranges(study["seeds"]),
                "rounds": str(rounds(config, name)),
                "training": (
                    "rebuilt from the ticket bank"
                    if study.get("tickets") == "bank"
                    else f"taken from {study['path']}"
                    if study.get("tickets") == "files"
                    else ("from the ticket bank on, " if study.get("tickets") == "continue" else "")
                    + f"{_counted(training.epochs, 'epoch')} of {training.optimizer}, "
                    f"batches of {training.batch_size}, rate {training.learning_rate:g}"
                ),
            }
        )
    return rows


def _layers(network: NetworkSpec) -> str:
    """Return the hidden layers in words: '8 × 256', or '300, 100'; strides where there are any."""
    sizes = f"{network.hidden_layers} × {network.width}"
    if network.widths:
        sizes = ", ".join(map(str, network.widths))
    if network.family in ("convolutional", "resnet-conv") and network.stride != 1:
        sizes += f", strides {' '.join(map(str, network.strides))}"
    return sizes


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None

"""Snakemake's own cost: dry runs of the full study and of studies of 100, 1,000 and 5,000 jobs, and
what it adds to each job of a real run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from jobs import TINY
from measuring import table
from workspace import overlay, prepare_images, snakemake, workspace

# Chains of one study whose plans have about so many jobs, by (rounds, seeds).
SIZES = {100: (4, 1), 1000: (15, 5), 5000: (15, 26)}


def dry_runs(config: Mapping[str, Any] | None, repeats: int) -> dict[str, Any]:
    """Jobs, and median CPU and wall seconds of `snakemake -n --quiet all` without any results."""
    with workspace() as folder:
        jobs = snakemake(folder, "-n", "--quiet", "rules", config=config).counts()["total"]
        runs = [snakemake(folder, "-n", "--quiet", "all", config=config) for _ in range(repeats)]
    own = [run.of("snakemake")[-1] for run in runs]
    return {
        "jobs": jobs,
        "cpu_seconds": statistics.median(use.cpu_seconds for use in own),
        "seconds": statistics.median(run.seconds for run in runs),
        "peak_mib": max(use.peak_mib for use in own),
    }


def chains(rounds: int, seeds: int) -> dict[str, Any]:
    """An overlay with chains of one study alone."""
    study = {"seeds": list(range(seeds))}
    return overlay(studies={"fcnet-normal": study}, pruning={"rounds": rounds})


def real_run(jobs: int) -> dict[str, Any]:
    """So many jobs that do next to nothing, on two cores: what each costs beyond the first."""
    config = {**TINY, "studies": {"fcnet-normal": {"seeds": list(range(jobs))}}}
    place = "results/checkpoints/fcnet-normal/seed{}/round00/imp/ticket.h5"
    runs = []
    with workspace() as folder:
        prepare_images(folder, train=200, test=20, side=8)
        for seeds in (range(1), range(1, jobs)):
            targets = [place.format(seed) for seed in seeds]
            arguments = (*targets, "--allowed-rules", "init")
            runs.append(snakemake(folder, *arguments, config=overlay(**config), cores=2))
    one, others = runs
    own = [run.of("snakemake")[-1].cpu_seconds for run in runs]
    return {
        "jobs": jobs,
        "job_cpu_seconds": statistics.median(use.cpu_seconds for use in others.of("init")),
        "snakemake_cpu_seconds_per_job": (own[1] - own[0]) / (jobs - 2),
        "seconds_per_job_on_two_cores": (others.seconds - one.seconds) / (jobs - 2),
    }


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and tables."""
    repeats = 1 if quick else 3
    sizes = {100: SIZES[100]} if quick else SIZES
    planned = {str(size): dry_runs(chains(*shape), repeats) for size, shape in sizes.items()}
    planned["full study"] = dry_runs(None, repeats)
    real = real_run(4 if quick else 100)
    full = planned["full study"]
    values = {
        "dry_run_seconds_full_study": full["cpu_seconds"],
        "dry_run_jobs_full_study": full["jobs"],
        "dry_runs": planned,
        "trivial_jobs": real,
    }
    rows = [
        {"dry run": name, **run, "CPU-ms a job": 1000 * run["cpu_seconds"] / run["jobs"]}
        for name, run in planned.items()
    ]
    return values, f"{table(rows)}\n\n{table([real])}"

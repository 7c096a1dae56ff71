"""What jobs cost as Snakemake runs them: start-up, memory, all measurements of one FCNet chain.

Start-up is the CPU time of whole jobs on networks and images so small that nothing else is left.
The measurements of a chain are sampled: its tickets at a few rounds, from the ticket bank, and the
same tickets trained for one epoch on random images; the mean job of each kind times the number of
such jobs in a chain's plan.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from measuring import table
from workspace import Run, Use, overlay, prepare_images, snakemake, workspace, write_tickets

TINY = {
    "networks": {
        "fcnet": {"hidden_layers": 2, "width": 8},
        "convnet": {"hidden_layers": 2, "width": 4, "stride": 1},
    },
    "studies": {"fcnet-normal": {"seeds": [0]}, "convnet-normal": {"seeds": [0]}},
    "training": {"epochs": 1, "batch_size": 16}, "pruning": {"rounds": 1},
    "measure": {"images": 10, "ladder_images": 5, "isometry_images": 2},
}  # fmt: skip
ONE_CHAIN = {"studies": {"fcnet-normal": {"seeds": [0]}}}
STARTS = {
    "init": "init", "prune": "prune", "rewind": "rewind", "train": "train (torch)",
    "measure_weights": "measurement", "measure_signal_conv": "measurement (torch)",
}  # fmt: skip
KINDS = {
    "measure_weights": "weight_statistics", "measure_degrees": "degrees",
    "measure_ladder": "ladder", "measure_signal": "qmap", "measure_jacobian": "isometry",
}  # fmt: skip


def start_ups(repeats: int) -> dict[str, float]:
    """Median CPU seconds of each job of STARTS on tiny networks."""
    measured = "results/measurements"
    targets = [
        f"{measured}/weight_statistics/fcnet-normal/seed0/round01/imp/init.csv",
        f"{measured}/qmap/convnet-normal/seed0/round00/imp/init.csv",
    ]
    with workspace() as folder:
        prepare_images(folder, train=200, test=20, side=8)
        runs = [
            snakemake(folder, "--forceall", *targets, "--allowed-rules", *STARTS,
                      config=overlay(**TINY))
            for _ in range(repeats)
        ]  # fmt: skip
    return {
        what: statistics.median(use.cpu_seconds for run in runs for use in run.of(job))
        for job, what in STARTS.items()
    }


def sample(folder: Path, rounds: tuple[int, ...], images: int) -> Run:
    """Train the tickets of `rounds` for one epoch, and measure all states in all ways."""
    found = prepare_images(folder, train=images, test=images // 5, side=32)
    write_tickets(folder, found, rounds, epochs=1)
    targets = [
        f"results/measurements/{table}/fcnet-normal/seed0/round{number:02d}/imp/{state}.csv"
        for number in rounds
        for state in ("init", "trained")
        for table in KINDS.values()
        if (table, state) != ("degrees", "trained")
    ]
    # The tickets are there; no rule may ask how they were made.
    allowed = ("train", *KINDS)
    return snakemake(folder, *targets, "--allowed-rules", *allowed, config=overlay(**ONE_CHAIN))


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and tables."""
    starts = start_ups(1 if quick else 3)
    rounds = (15,) if quick else (0, 7, 15)
    with workspace() as folder:
        plan = snakemake(folder, "-n", config=overlay(**ONE_CHAIN)).counts()
        run = sample(folder, rounds, 2000 if quick else 50_000)
    mean = {job: statistics.fmean(use.cpu_seconds for use in run.of(job)) for job in KINDS}
    rows = [
        {"measurement": job, "jobs in a chain": plan[job], "sampled": len(run.of(job)),
         "CPU-s each": mean[job], "CPU-s": plan[job] * mean[job], "peak MiB": _peak(run.of(job))}
        for job in KINDS
    ]  # fmt: skip
    analyses = [use for job in KINDS for use in run.of(job)]
    values = {
        "job_start_up_cpu_seconds": starts,
        "analysis_cpu_seconds_per_chain": sum(plan[job] * mean[job] for job in KINDS),
        "analysis_jobs_per_chain": sum(plan[job] for job in KINDS),
        "analysis_jobs_sampled": len(analyses),
        "analysis_cpu_seconds_longest_job": max(use.cpu_seconds for use in analyses),
        "peak_memory_mib": {"training": _peak(run.of("train")), "analysis": _peak(analyses)},
    }
    text = "\n\n".join(
        [
            table([{"job": job, "start-up, CPU-s": value} for job, value in starts.items()]),
            table(rows),
            f"all measurements of one FCNet chain: "
            f"{values['analysis_cpu_seconds_per_chain']:.0f} CPU-s, scaled from "
            f"{len(analyses)} jobs; a training job's peak: {_peak(run.of('train')):.0f} MiB",
        ]
    )
    return values, text


def _peak(uses: list[Use]) -> float:
    return max(use.peak_mib for use in uses)

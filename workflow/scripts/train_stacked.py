"""Train several tickets together: see ticketlens.training.stacked."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ticketlens.checkpoint import Checkpoint, read, write
from ticketlens.files.dataset import open_prepared
from ticketlens.jobs.joblog import job_log
from ticketlens.training.devices import gpu_of_its_own
from ticketlens.training.stacked import train_stacked

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    data = open_prepared(snakemake.input.dataset)
    # Compressed files take longer than the training if they are written one by one. The processes
    # are there before anything touches the GPU, which no fork may use.
    forks = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(snakemake.threads, forks) as pool:
        tickets = list(pool.map(read, snakemake.input.tickets))
        with gpu_of_its_own(tickets[0].spec.training.device):
            runs = train_stacked(tickets, data, show_progress=sys.stderr.isatty())
        late = {Path(path).parent: path for path in snakemake.output.theta_k}
        files: list[tuple[str, Checkpoint]] = []
        for path, (trained, theta_k) in zip(snakemake.output.trained, runs, strict=True):
            files.append((path, trained))
            if Path(path).parent in late:
                files.append((late[Path(path).parent], cast(Checkpoint, theta_k)))
        list(pool.map(write, *zip(*files, strict=True)))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

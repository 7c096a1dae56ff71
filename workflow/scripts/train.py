"""Train a ticket: see ticketlens.training.loop."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ticketlens.checkpoint import Checkpoint, read, write
from ticketlens.files.dataset import open_prepared
from ticketlens.jobs.joblog import job_log
from ticketlens.training.devices import gpu_of_its_own
from ticketlens.training.loop import train
from ticketlens.training.resume import Saver

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    ticket = read(snakemake.input.ticket, kind="ticket")
    data = open_prepared(snakemake.input.dataset)
    # An undeclared sibling, so that Snakemake keeps it when a job is killed.
    partial = Path(snakemake.output.trained).with_name("training.partial.h5")
    identity = f"{ticket.content_sha256} {data.sha256} {snakemake.params.code}"
    key = hashlib.sha256(identity.encode()).hexdigest()
    with gpu_of_its_own(ticket.spec.training.device):
        trained, theta_k = train(ticket, data, partial, key, sys.stderr.isatty(), snakemake.threads)
    if "theta_k" in snakemake.output.keys():  # noqa: SIM118 (a namedlist, not a dict)
        write(snakemake.output.theta_k, cast(Checkpoint, theta_k))
    write(snakemake.output.trained, trained)
    Saver(partial, key).discard()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

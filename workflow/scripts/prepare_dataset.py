"""Prepare a data set: see ticketlens.files.dataset."""

from typing import TYPE_CHECKING, Any

from ticketlens.files.dataset import prepare
from ticketlens.jobs.joblog import job_log, log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    params = snakemake.params
    data = prepare(
        snakemake.output.dataset, params.name, params.source, params.path, **params.split
    )
    log.info("%s: %s, %s, SHA-256 %s", data.name, data.shape, data.counts, data.sha256)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

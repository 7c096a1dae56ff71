"""Prepare a data set: see ticketlens.files.dataset."""

from ticketlens.files.dataset import prepare
from ticketlens.jobs.joblog import job_log, log


def main(snakemake) -> None:
    params = snakemake.params
    data = prepare(
        snakemake.output.dataset, params.name, params.source, params.path, **params.split
    )
    log.info("%s: %s, %s, SHA-256 %s", data.name, data.shape, data.counts, data.sha256)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

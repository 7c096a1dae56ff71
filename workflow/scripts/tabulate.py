"""Concatenate one kind of measurement over all checkpoints to a tidy table."""

from ticketlens.files.csv_tables import concatenated, write_csv
from ticketlens.jobs.joblog import job_log


def main(snakemake) -> None:
    write_csv(snakemake.output.table, concatenated(snakemake.input.rows))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

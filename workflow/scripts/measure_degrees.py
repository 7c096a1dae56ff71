"""Measure degrees of one ticket's masks."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.weights import degree_rows


def main(snakemake) -> None:
    write_rows(snakemake.output.degrees, degree_rows(read(snakemake.input.checkpoint)))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

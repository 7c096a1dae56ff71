"""Collect weight histograms of all checkpoints in one tidy table."""

from ticketlens.histograms import histogram_table
from ticketlens.joblog import job_log
from ticketlens.tables import write_csv


def main(snakemake) -> None:
    write_csv(snakemake.output.table, histogram_table(snakemake.input.histograms))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

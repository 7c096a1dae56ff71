"""Collect weight histograms of all checkpoints in one tidy table."""

from ticketlens.files.csv_tables import write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.histograms import histogram_table


def main(snakemake) -> None:
    write_csv(snakemake.output.table, histogram_table(snakemake.input.histograms))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

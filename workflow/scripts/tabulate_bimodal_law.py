"""Tabulate the survivors' law and what an arm drew from it: see ticketlens.tables.bimodal."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.bimodal import bimodal_law


def main(snakemake) -> None:
    survivors, arm = read(snakemake.input.survivors), read(snakemake.input.arm, kind="ticket")
    write_rows(snakemake.output.table, bimodal_law(survivors, arm))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

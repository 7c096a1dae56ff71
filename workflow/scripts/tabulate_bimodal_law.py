"""Tabulate the survivors' law and what an arm drew from it: see ticketlens.bimodal_rows."""

from ticketlens.bimodal_rows import bimodal_law
from ticketlens.checkpoint import read
from ticketlens.joblog import job_log
from ticketlens.tables import write_rows


def main(snakemake) -> None:
    survivors, arm = read(snakemake.input.survivors), read(snakemake.input.arm, kind="ticket")
    write_rows(snakemake.output.table, bimodal_law(survivors, arm))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

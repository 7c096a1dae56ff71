"""Rebuild a ticket from the bank, without training: see ticketlens.bank."""

from ticketlens.bank import read_bank, ticket
from ticketlens.checkpoint import write
from ticketlens.joblog import job_log


def main(snakemake) -> None:
    bank = read_bank(snakemake.input.bank)
    write(snakemake.output.ticket, ticket(bank, int(snakemake.wildcards.round)))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""Keep the trained weights on the mask: see ticketlens.tickets.inheritance."""

from ticketlens.checkpoint import read, write
from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.inheritance import inherited


def main(snakemake) -> None:
    mask = read(snakemake.input.mask, kind="mask")
    ticket = inherited(mask, read(snakemake.input.trained, kind="trained"))
    write(snakemake.output.ticket, ticket)
    log.info("ticket of round %d: density %.4f", ticket.round, ticket.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

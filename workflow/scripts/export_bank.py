"""Pack a finished chain into the ticket bank: see ticketlens.tickets.bank."""

from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.bank import export


def main(snakemake) -> None:
    bank = export(
        snakemake.output.bank,
        snakemake.input.ticket,
        snakemake.input.masks,
        snakemake.input.trained,
    )
    log.info("%s seed %d: %d rounds", bank.study, bank.seed, bank.rounds)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""Pack a chain into the ticket bank: see ticketlens.tickets.bank."""

from typing import TYPE_CHECKING, Any

from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.bank import export

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    bank = export(
        snakemake.output.bank,
        snakemake.input.ticket,
        snakemake.input.masks,
        snakemake.input.trained,
        snakemake.input.get("earlier") or None,
        may_be_open=snakemake.params.may_be_open,
    )
    end = ", the last to be trained" if bank.is_open else ""
    log.info("%s seed %d: rounds 0 to %d%s", bank.study, bank.seed, bank.rounds, end)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

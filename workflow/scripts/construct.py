"""Make the ticket of an arm: see ticketlens.tickets.construction."""

from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import read, write
from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.construction import construct
from ticketlens.tickets.pruning import named
from ticketlens.tickets.recipe import Arm, Material

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    files = {name: read(path) for name, path in snakemake.input.items()}
    material = Material(Arm.from_config(snakemake.params.arm), **files)
    with named(snakemake.output.ticket):
        ticket = construct(snakemake.wildcards.arm, material)
    write(snakemake.output.ticket, ticket)
    log.info("arm %s, round %d: density %.4f", ticket.arm, ticket.round, ticket.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

"""Rewind kept weights to theta_0 or theta_k, or keep the trained ones: see ticketlens.tickets."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import read, write
from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.inheritance import inherited
from ticketlens.tickets.pruning import named
from ticketlens.tickets.random_weights import check_theta, rewind

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    mask = read(snakemake.input.mask, kind="mask")
    with named(snakemake.output.ticket):
        if trained := snakemake.input.get("trained"):
            ticket = inherited(mask, read(trained, kind="trained"))
        else:
            theta = read(snakemake.input.theta)
            check_theta(mask, theta)
            layers = rewind([layer.mask for layer in mask.layers], theta.layers)
            ticket = replace(mask, kind="ticket", layers=layers)
    write(snakemake.output.ticket, ticket)
    log.info("ticket of round %d: density %.4f", ticket.round, ticket.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

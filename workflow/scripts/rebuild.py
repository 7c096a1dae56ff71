"""Rebuild a ticket from the bank, or continue from it: see ticketlens.tickets.bank."""

from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import read, write
from ticketlens.jobs.joblog import job_log
from ticketlens.spec import Spec
from ticketlens.tickets.bank import check_chain, next_ticket, read_bank, ticket
from ticketlens.tickets.pruning import named

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    wildcards, spec = snakemake.wildcards, Spec.from_json(snakemake.params.spec)
    bank = read_bank(snakemake.input.bank)
    check_chain(bank, wildcards.study, int(wildcards.seed), spec)
    with named(snakemake.output.ticket):
        if mask := snakemake.input.get("mask"):
            made = next_ticket(bank, read(mask, kind="mask"))
        else:
            made = ticket(bank, int(wildcards.round))
    write(snakemake.output.ticket, made)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

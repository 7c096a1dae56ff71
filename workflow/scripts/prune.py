"""Prune a trained network to the mask of the next round: see ticketlens.tickets.pruning."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ticketlens.checkpoint import read, write
from ticketlens.jobs.joblog import job_log, log
from ticketlens.spec import Spec
from ticketlens.tickets.pruning import named, prune

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    trained = read(snakemake.input.trained, kind="trained")
    ticket = read(snakemake.input.ticket, kind="ticket")
    round_ = int(snakemake.wildcards.round)
    pruning = Spec.from_json(snakemake.params.spec).pruning
    with named(snakemake.output.mask):
        masks = prune(trained.layers, ticket.layers, pruning, trained.seed, round_)
    layers = tuple(
        replace(layer, weight=cast(Any, None), bias=cast(Any, None), mask=mask)
        for layer, mask in zip(trained.layers, masks, strict=True)
    )
    spec = ticket.spec.replace(pruning=pruning)
    result = replace(
        ticket, kind="mask", round=round_, spec=spec, layers=layers, history={}, best_validation=()
    )
    write(snakemake.output.mask, result)
    log.info("density %.4f -> %.4f", trained.density, result.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

"""Make the ticket of an arm whose mask needs gradients: see ticketlens.tickets.saliency."""

from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import read, write
from ticketlens.files.dataset import open_prepared, read_part
from ticketlens.jobs.joblog import job_log, log
from ticketlens.tickets.construction import construct
from ticketlens.tickets.recipe import Arm, Material
from ticketlens.tickets.saliency import mask_source

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    arm = Arm.from_config(snakemake.params.arm)
    files = {name: path for name, path in snakemake.input.items() if name != "dataset"}
    material = Material(arm, **{name: read(path) for name, path in files.items()})
    batch: tuple[Any, ...] = ()
    if "dataset" in snakemake.input.keys():  # noqa: SIM118 (a namedlist, not a dict)
        size = material.ticket.spec.training.batch_size
        batch = read_part(open_prepared(snakemake.input.dataset), "train", size)
    ticket = construct(snakemake.wildcards.arm, material, mask_source(arm.mask, *batch))
    write(snakemake.output.ticket, ticket)
    log.info("arm %s, round %d: density %.4f", ticket.arm, ticket.round, ticket.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

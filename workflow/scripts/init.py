"""Draw theta_0, the ticket of round 0: see ticketlens.tickets.initialization."""

from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import Checkpoint, write
from ticketlens.files.dataset import open_prepared
from ticketlens.jobs.joblog import job_log, log
from ticketlens.spec import Spec
from ticketlens.tickets.initialization import initial_layers

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    study, seed = snakemake.wildcards.study, int(snakemake.wildcards.seed)
    data = open_prepared(snakemake.input.dataset)
    spec = Spec.from_json(snakemake.params.spec).replace(dataset=data.spec)
    layers = initial_layers(spec, seed)
    write(snakemake.output.ticket, Checkpoint("ticket", study, seed, 0, "imp", spec, layers))
    count = sum(layer.weight.size + layer.bias.size for layer in layers)
    log.info("%s seed %d: %d layers, %d parameters", study, seed, len(layers), count)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

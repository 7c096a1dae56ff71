"""Take a ticket from a file of another system: see ticketlens.exchange."""

from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import write
from ticketlens.exchange import ticket
from ticketlens.files.dataset import open_prepared
from ticketlens.jobs.joblog import job_log, log
from ticketlens.spec import Spec
from ticketlens.tickets.completion import check_rewinds_to, completed

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    place, params = snakemake.wildcards, snakemake.params
    spec = Spec.from_json(params.spec).replace(dataset=open_prepared(snakemake.input.dataset).spec)
    found = ticket(spec=spec, study=place.study, seed=int(place.seed), **params.file)
    if params.theta is not None:
        theta = ticket(spec=spec, study=place.study, seed=int(place.seed), **params.theta)
        check_rewinds_to(found, theta.layers)
    write(snakemake.output.ticket, completed(found) if params.complete else found)
    log.info("%s: %d layers, density %.4f", params.file["path"], len(found.layers), found.density)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

"""Draw a figure: the entry `params.entry` of the catalogue says which function, of which tables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticketlens.figures.saving import save
from ticketlens.files.csv_tables import read_table
from ticketlens.jobs.joblog import job_log
from ticketlens.study.catalogue.figures import FIGURES

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    module, _, name = FIGURES[snakemake.params.entry].function.partition(":")
    draw = getattr(import_module(module), name)
    tables = {name: read_table(path) for name, path in snakemake.input.items()}
    save(draw(**tables, **snakemake.params.options), snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

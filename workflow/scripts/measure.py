"""Measure one checkpoint: the entry `params.entry` of the catalogue says by which function."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.files.dataset import labelled_images_of
from ticketlens.jobs import plugins
from ticketlens.jobs.joblog import job_log
from ticketlens.study.catalogue.measurements import MEASUREMENTS
from ticketlens.tables.columns import fewer_images

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    entry, params = MEASUREMENTS[snakemake.params.entry], snakemake.params
    module, _, name = entry.function.partition(":")
    measure = getattr(import_module(module), name)
    plugins.load()  # those of modules that came with it, such as PyTorch's networks
    checkpoint = read(snakemake.input.checkpoint)
    given: dict[str, Any] = {}
    for argument, count in params.images.items():
        spec, data = checkpoint.spec.dataset, snakemake.input.dataset
        given[argument], labels = labelled_images_of(spec, data, count, params.own_images)
        if entry.with_labels:
            given["labels"] = labels
    fewer = fewer_images(params.images, given)
    if entry.with_ticket:
        given["ticket"] = read(snakemake.input.ticket, kind="ticket")
    for table, rows in measure(checkpoint, **given).items():
        if callable(rows):
            rows(snakemake.output[table])
        else:
            write_rows(snakemake.output[table], [{**row, **fewer, **row} for row in rows])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

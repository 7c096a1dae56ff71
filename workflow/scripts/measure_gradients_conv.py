"""Measure gradients at every layer of one checkpoint with convolutions or skips, against nulls."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.files.dataset import labelled_images_of
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.gradients_conv import gradient_rows


def main(snakemake) -> None:
    checkpoint = read(snakemake.input.checkpoint)
    spec, params = checkpoint.spec.dataset, snakemake.params
    seen = labelled_images_of(spec, snakemake.input.dataset, params.images, params.own_images)
    write_rows(snakemake.output.gradients, gradient_rows(checkpoint, *seen))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

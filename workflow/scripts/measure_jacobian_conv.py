"""Measure the Jacobian of one convolutional checkpoint: leading values, isometry, nulls."""

from ticketlens.checkpoint import read
from ticketlens.dataset import images_of
from ticketlens.jacobian_conv_rows import isometry_rows, jacobian_rows
from ticketlens.joblog import job_log
from ticketlens.tables import write_rows


def main(snakemake) -> None:
    checkpoint = read(snakemake.input.checkpoint)
    spec, params = checkpoint.spec.dataset, snakemake.params
    images = images_of(spec, snakemake.input.dataset, params.images, params.own_images)
    write_rows(snakemake.output.jacobian, jacobian_rows(checkpoint, images))
    write_rows(snakemake.output.isometry, isometry_rows(checkpoint, images))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

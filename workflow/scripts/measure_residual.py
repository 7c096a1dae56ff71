"""Measure q, chi and correlations per block in one fully connected residual checkpoint."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.files.dataset import images_of
from ticketlens.jobs.joblog import job_log
from ticketlens.measure.residual import measure
from ticketlens.seeds import stream
from ticketlens.tables.residual import residual_rows


def main(snakemake) -> None:
    checkpoint, params = read(snakemake.input.checkpoint), snakemake.params
    spec, data = checkpoint.spec.dataset, snakemake.input.dataset
    images = images_of(spec, data, params.images, params.own_images)
    rng = stream(checkpoint.seed, "perturbation")
    activation = checkpoint.spec.network.activation
    signal = measure(checkpoint.layers, activation, images, rng, params.jacobian_images)
    write_rows(snakemake.output.residual, residual_rows(checkpoint, signal, images))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

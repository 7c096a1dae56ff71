"""Measure q, chi and correlations in one fully connected checkpoint."""

from ticketlens.checkpoint import read
from ticketlens.files.dataset import images_of
from ticketlens.jobs.joblog import job_log
from ticketlens.measure.signal import measure
from ticketlens.seeds import stream
from ticketlens.tables.signal import write_signal


def main(snakemake) -> None:
    checkpoint = read(snakemake.input.checkpoint)
    spec, params = checkpoint.spec.dataset, snakemake.params
    images = images_of(spec, snakemake.input.dataset, params.images, params.own_images)
    rng = stream(checkpoint.seed, "perturbation")
    signal = measure(checkpoint.layers, checkpoint.spec.network.activation, images, rng)
    write_signal(snakemake.output, checkpoint, signal, images)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

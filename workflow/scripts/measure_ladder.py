"""Predict q of one checkpoint by every rung of the ladder; decompose the measured q."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.files.dataset import images_of
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.signal import decomposition_rows, ladder_rows


def main(snakemake) -> None:
    checkpoint = read(snakemake.input.checkpoint)
    spec, params = checkpoint.spec.dataset, snakemake.params
    images = images_of(spec, snakemake.input.dataset, params.images, params.own_images)
    write_rows(snakemake.output.ladder, ladder_rows(checkpoint, images))
    write_rows(snakemake.output.decomposition, decomposition_rows(checkpoint, images))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

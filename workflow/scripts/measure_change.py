"""Measure what training changed in one fully connected network: spikes, and what they classify."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.files.dataset import labelled_images_of
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.change import accuracy_rows, spectrum_rows, splits


def main(snakemake) -> None:
    ticket, trained = read(snakemake.input.ticket), read(snakemake.input.trained)
    parts = splits(trained, ticket)
    seen = labelled_images_of(trained.spec.dataset, snakemake.input.dataset, None)
    write_rows(snakemake.output.spectra, spectrum_rows(trained, ticket, parts, *seen))
    write_rows(snakemake.output.accuracy, accuracy_rows(trained, ticket, parts, *seen))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

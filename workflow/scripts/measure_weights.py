"""Measure weights of one checkpoint: moments, bimodality, histograms, spectra."""

from ticketlens.checkpoint import read
from ticketlens.files.csv_tables import write_rows
from ticketlens.jobs.joblog import job_log
from ticketlens.tables.histograms import write_histograms
from ticketlens.tables.spectra import spectra_rows
from ticketlens.tables.weights import weight_histograms, weight_statistics


def main(snakemake) -> None:
    checkpoint = read(snakemake.input.checkpoint)
    is_trained = snakemake.wildcards.state == "trained"
    ticket = read(snakemake.input.ticket, kind="ticket") if is_trained else None
    write_rows(snakemake.output.statistics, weight_statistics(checkpoint, ticket))
    write_histograms(snakemake.output.histograms, checkpoint, *weight_histograms(checkpoint))
    spectra, densities = spectra_rows(checkpoint)
    write_rows(snakemake.output.spectra, spectra)
    write_rows(snakemake.output.densities, densities)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

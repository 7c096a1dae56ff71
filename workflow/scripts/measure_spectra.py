"""Measure weight spectra of one checkpoint."""

from ticketlens.checkpoint import read
from ticketlens.joblog import job_log
from ticketlens.spectra_rows import spectra_rows
from ticketlens.tables import write_rows


def main(snakemake) -> None:
    statistics, densities = spectra_rows(read(snakemake.input.checkpoint))
    write_rows(snakemake.output.spectra, statistics)
    write_rows(snakemake.output.densities, densities)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""Draw the spectrum of the change: see ticketlens.figures.change."""

import pandas as pd

from ticketlens.figures.change import change
from ticketlens.figures.style import save
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.selection import by_study


def main(snakemake) -> None:
    spectra, accuracy = (pd.read_csv(snakemake.input[name]) for name in ("spectra", "accuracy"))
    figure = change(spectra, accuracy, by_study(snakemake.params.titles))
    save(figure, snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

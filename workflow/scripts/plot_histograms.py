"""Draw the weight histograms of one study and state: see ticketlens.figures.weights."""

import pandas as pd

from ticketlens.figures.style import save
from ticketlens.figures.weights import histograms
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.selection import by_study


def main(snakemake) -> None:
    study, state = snakemake.wildcards.study, snakemake.wildcards.state
    title = by_study(snakemake.params.titles)[study]
    table = pd.read_csv(snakemake.input.table)
    figure = histograms(table, study, title, state, snakemake.params.sigma_w)
    save(figure, snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""Draw the accuracy of the arms of an experiment: see ticketlens.figures.experiments."""

import pandas as pd

from ticketlens.figures.experiments import accuracy_of_arms, shown
from ticketlens.figures.style import save
from ticketlens.jobs.joblog import job_log


def main(snakemake) -> None:
    params = snakemake.params
    table = pd.read_csv(snakemake.input.table)
    figure = accuracy_of_arms(table, shown(params.arms), params.study, params.title)
    save(figure, snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""Draw ntk: see ticketlens.figures.gradients."""

import pandas as pd

from ticketlens.figures.gradients import ntk
from ticketlens.figures.style import save
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.selection import by_study


def main(snakemake) -> None:
    table, titles = pd.read_csv(snakemake.input.table), by_study(snakemake.params.titles)
    figure = ntk(table, titles)
    save(figure, snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

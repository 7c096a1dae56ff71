"""Draw the survivors' law: see ticketlens.figures.experiments."""

import pandas as pd

from ticketlens.figures.experiments import bimodal_law
from ticketlens.figures.style import save
from ticketlens.jobs.joblog import job_log


def main(snakemake) -> None:
    table = pd.read_csv(snakemake.input.table)
    save(bimodal_law(table, snakemake.params.title), snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

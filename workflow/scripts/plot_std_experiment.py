"""Draw the experiment with the standard deviation: see ticketlens.figures.experiments."""

import pandas as pd

from ticketlens.figures.experiments import shown, std_experiment
from ticketlens.figures.style import save
from ticketlens.jobs.joblog import job_log


def main(snakemake) -> None:
    params = snakemake.params
    tables = (pd.read_csv(snakemake.input[name]) for name in ("curves", "accuracy"))
    figure = std_experiment(*tables, shown(params.arms), params.study, params.title, params.round)
    save(figure, snakemake.output.png, snakemake.output.pdf)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

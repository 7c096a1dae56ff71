"""Compare arms with IMP: see ticketlens.contrasts."""

import pandas as pd

from ticketlens.contrasts import contrasts
from ticketlens.joblog import job_log
from ticketlens.tables import write_csv


def main(snakemake) -> None:
    accuracy, plan = pd.read_csv(snakemake.input.table), snakemake.params
    table = contrasts(accuracy, plan.planned, plan.round, plan.margin, plan.not_applicable)
    write_csv(snakemake.output.table, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

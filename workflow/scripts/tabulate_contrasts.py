"""Compare arms with IMP: see ticketlens.verdicts.contrasts."""

from ticketlens.files.csv_tables import read_table, write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.contrasts import contrasts


def main(snakemake) -> None:
    accuracy, plan = read_table(snakemake.input.table), snakemake.params
    table = contrasts(accuracy, plan.planned, plan.round, plan.margin, plan.not_applicable)
    write_csv(snakemake.output.table, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

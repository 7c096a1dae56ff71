"""Rank arms by properties of their tickets and by accuracy: see ticketlens.verdicts.predictors."""

from pathlib import Path

from ticketlens.files.csv_tables import read_table, write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.predictors import predictors


def main(snakemake) -> None:
    tables = {Path(path).stem: read_table(path) for path in snakemake.input.measured}
    write_csv(snakemake.output.table, predictors(read_table(snakemake.input.accuracy), tables))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

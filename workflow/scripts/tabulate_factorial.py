"""Compare the cells of the factorial with IMP: see ticketlens.verdicts.factorial."""

from ticketlens.files.csv_tables import read_table, write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.study.factorial import Cell
from ticketlens.verdicts.factorial import contrasts


def main(snakemake) -> None:
    cells = [Cell(*cell) for cell in snakemake.params.cells]
    accuracy = read_table(snakemake.input.table)
    by_seed, table = contrasts(accuracy, cells, snakemake.params.study)
    write_csv(snakemake.output.by_seed, by_seed)
    write_csv(snakemake.output.table, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

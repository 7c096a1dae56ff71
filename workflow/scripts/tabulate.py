"""Make a tidy table: the entry `params.entry` of the catalogue says by which function."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticketlens.files.csv_tables import read_table, write_csv, write_rows
from ticketlens.jobs.joblog import job_log
from ticketlens.study.catalogue.tables import TABLES

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    module, _, name = TABLES[snakemake.params.entry].function.partition(":")
    make = getattr(import_module(module), name)
    # One table is read; of many files, the function takes the paths.
    given = {
        argument: read_table(files) if _is_table(files) else files
        for argument, files in snakemake.input.items()
    }
    made = make(**given, **snakemake.params.options)
    for name, table in (made if isinstance(made, dict) else {"table": made}).items():
        write = write_rows if isinstance(table, list) else write_csv
        write(snakemake.output[name], table)


def _is_table(files: Any) -> bool:
    return isinstance(files, str) and files.endswith(".csv")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

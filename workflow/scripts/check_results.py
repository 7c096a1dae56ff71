"""Compare tables with the published results: see ticketlens.verdicts.published."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlens.files.atomic import write_text
from ticketlens.files.csv_tables import read_table, write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts import published
from ticketlens.verdicts.reference import page, reference

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    config = json.loads(snakemake.params.config)
    folders = published.folders(Path(snakemake.input.config).parent)
    tables = {Path(path).stem: read_table(path) for path in snakemake.input.tables}
    rows, skipped = published.compare(reference(tables), config, folders)
    write_csv(snakemake.output.table, rows)
    about = published.about(config, folders, rows)
    write_text(snakemake.output.page, page(rows, skipped, about))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

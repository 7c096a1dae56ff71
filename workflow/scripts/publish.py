"""Copy what a run found to a small folder that others can check theirs against: see publication."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlens.files.atomic import write_text
from ticketlens.jobs.joblog import job_log
from ticketlens.pages import publication

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    for source, target in zip(snakemake.input.figures, snakemake.output.figures, strict=True):
        publication.write_picture(source, target)
    for source, target in zip(snakemake.input.tables, snakemake.output.tables, strict=True):
        publication.write_table(source, target)
    write_text(
        snakemake.output.claims,
        publication.claims_text(Path(snakemake.input.claims).read_text(encoding="utf-8")),
    )
    tables = [snakemake.input.runs, *snakemake.output.tables]
    publication.write_reference(snakemake.output.reference, tables)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

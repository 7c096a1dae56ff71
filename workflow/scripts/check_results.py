"""Compare tables with the reference results: see ticketlens.verdicts.reference."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ticketlens.files.atomic import write_text
from ticketlens.files.csv_tables import read_table, write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.verdicts.reference import check, differences, other_arms, page, reference

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    config = json.loads(snakemake.params.config)
    wanted = yaml.safe_load(Path(snakemake.input.config).read_text(encoding="utf-8"))
    tables = {Path(path).stem: read_table(path) for path in snakemake.input.tables}
    skipped = differences(config, wanted, config["studies"])
    arms = other_arms(config, wanted)
    own = reference(tables)
    own = own[~own["study"].isin(list(skipped)) & ~own["arm"].isin(list(arms))]
    rows = check(own, read_table(snakemake.input.reference))
    write_csv(snakemake.output.table, rows)
    here, there = config["dataset"], wanted["dataset"]
    about = (
        f"Reference: `docs/results`, data set {there['name']} from `{there['path']}`; here "
        f"{here['name']}, source {here['source']}. The 95 % intervals are for the mean of as many "
        "other seeds as this run has."
    )
    write_text(snakemake.output.page, page(rows, {**skipped, **arms}, about))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

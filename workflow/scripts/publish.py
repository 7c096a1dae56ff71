"""Copy what a run found to a small folder that others can check theirs against: see publication."""

import json
from pathlib import Path

from ticketlens import frontpage_data, publication
from ticketlens.atomic import write_text
from ticketlens.joblog import job_log


def main(snakemake) -> None:
    config = json.loads(snakemake.params.config)
    for source, target in zip(snakemake.input.figures, snakemake.output.figures, strict=True):
        publication.write_picture(source, target)
    for source, target in zip(snakemake.input.tables, snakemake.output.tables, strict=True):
        publication.write_table(source, target)
    write_text(
        snakemake.output.claims,
        publication.claims_text(Path(snakemake.input.claims).read_text(encoding="utf-8")),
    )
    write_text(snakemake.output.config, publication.config_text(config))
    publication.write_reference(snakemake.output.reference, snakemake.output.tables)
    run = {
        "machine": frontpage_data.machine(),
        "versions": frontpage_data.installed_versions(),
        "recorded": frontpage_data.recorded_versions(
            snakemake.params.checkpoints, config["studies"]
        ),
        "run_times": publication.run_time_rows(
            frontpage_data.run_times(snakemake.params.benchmarks)
        ),
    }
    write_text(snakemake.output.run, json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

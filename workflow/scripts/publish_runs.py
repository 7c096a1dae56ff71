"""Copy accuracies, config, versions and run times of a run to its small folder: see publication."""

import json
from typing import TYPE_CHECKING, Any

from ticketlens.files.atomic import write_text
from ticketlens.jobs.joblog import job_log
from ticketlens.pages import frontpage_data, publication

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    config = json.loads(snakemake.params.config)
    publication.write_table(snakemake.input.table, snakemake.output.table)
    write_text(snakemake.output.config, publication.config_text(config))
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
    with job_log(snakemake.log[0]):
        main(snakemake)

"""Print how far the chains are: see ticketlens.pages.progress."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlens.jobs.joblog import job_log
from ticketlens.jobs.waiting import of_run
from ticketlens.pages.progress import chains, table

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    config, now = json.loads(snakemake.params.config), datetime.now()
    print(table(chains(config, config["results"], now), now), flush=True)
    file = Path(config["results"], "logs/run.txt")
    if file.is_file() and (line := of_run(file.read_text(encoding="utf-8"), now)):
        print(f"whole run: {line}", flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

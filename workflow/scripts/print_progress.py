"""Print how far the chains are: see ticketlens.pages.progress."""

import json
from datetime import datetime

from ticketlens.jobs.joblog import job_log
from ticketlens.pages.progress import chains, table


def main(snakemake) -> None:
    config, now = json.loads(snakemake.params.config), datetime.now()
    print(table(chains(config, config["results"], now), now), flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

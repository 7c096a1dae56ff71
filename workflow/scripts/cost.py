"""Say what the config costs: see ticketlens.study.cost."""

import json

from ticketlens.jobs.joblog import job_log
from ticketlens.study.cost import report


def main(snakemake) -> None:
    print(report(json.loads(snakemake.params.config)), flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

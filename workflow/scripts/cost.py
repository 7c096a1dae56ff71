"""Say what the config costs: see ticketlens.study.cost."""

import json

from ticketlens.jobs.joblog import job_log
from ticketlens.study import speeds
from ticketlens.study.cost import report
from ticketlens.training import ways
from ticketlens.training.compiled import CompilerError


def main(snakemake) -> None:
    try:
        way = ways.chosen()
    except CompilerError:  # then nothing trains in bfloat16 here
        way = "plain"
    print(report(json.loads(snakemake.params.config), speeds.measured(way)), flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

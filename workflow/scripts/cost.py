"""Say what the config costs: see ticketlens.study.cost."""

import json
from typing import TYPE_CHECKING, Any

from ticketlens.jobs.joblog import job_log
from ticketlens.study import speeds
from ticketlens.study.cost import report
from ticketlens.training import ways
from ticketlens.training.compiled import CompilerError

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    try:
        way = ways.chosen()
    except CompilerError:  # then nothing trains in bfloat16 here
        way = "plain"
    print(report(json.loads(snakemake.params.config), speeds.measured(way)), flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

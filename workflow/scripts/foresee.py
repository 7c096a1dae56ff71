"""Print what a config costs or how far its run is: see study.cost and pages.progress."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlens.jobs.joblog import job_log
from ticketlens.jobs.waiting import of_run
from ticketlens.pages.frontpage_data import machine
from ticketlens.pages.progress import chains, table
from ticketlens.study import calibration, speeds
from ticketlens.study.cost import report
from ticketlens.training import compiled, ways

if TYPE_CHECKING:
    from snakemake.script import snakemake


def cost(config: Mapping[str, Any]) -> str:
    try:
        way = ways.chosen()
    except compiled.CompilerError:  # then nothing trains in bfloat16 here
        way = "plain"
    return report(config, calibration.calibrated(speeds.measured(way), str(machine()["processor"])))


def progress(config: Mapping[str, Any]) -> str:
    now = datetime.now()
    lines = [table(chains(config, config["results"], now), now)]
    file = Path(config["results"], "logs/run.txt")
    if file.is_file() and (line := of_run(file.read_text(encoding="utf-8"), now)):
        lines.append(f"whole run: {line}")
    return "\n".join(lines)


def main(snakemake: Any) -> None:
    printed = {"cost": cost, "progress": progress}[snakemake.params.what]
    print(printed(json.loads(snakemake.params.config)), flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

"""Write the front page of the results: see ticketlens.pages.frontpage."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlens.files.atomic import write_text
from ticketlens.jobs.joblog import job_log, log
from ticketlens.pages import arm_titles, completeness, frontpage_data, one_minute
from ticketlens.pages.frontpage import Page, after_reference, pictures_of, render

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    config, given = json.loads(snakemake.params.config), snakemake.input
    claims = frontpage_data.claims(given.claims, arm_titles.of_config(config))
    missing = completeness.missing_files(snakemake.params.foundations, config["results"])
    if missing:
        log.warning("%s", completeness.message(missing))
    cpus = completeness.kinds_of_cpu(f"{config['results']}/tables/accuracy.csv")
    page = Page(
        config=config,
        pictures=pictures_of(given.figures, given.captions),
        tables=[Path(path).stem for path in given.tables],
        # Run times and recorded versions of what there is: no reason to run anything again.
        run_times=frontpage_data.run_times(snakemake.params.benchmarks),
        installed=frontpage_data.installed_versions(),
        recorded=frontpage_data.recorded_versions(snakemake.params.checkpoints, config["studies"]),
        claims=claims,
        minute=one_minute.of_claims(claims),
        rehearsal=one_minute.rehearsal(config),
        missing=missing,
        cpus={study: completeness.sentence(kinds) for study, kinds in cpus.items()},
    )
    if given.get("reference"):
        page = after_reference(page, *given.reference)
    texts = [Path(path).read_text(encoding="utf-8") for path in (given.template, given.script)]
    write_text(snakemake.output.page, render(page, *texts))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

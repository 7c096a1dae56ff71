"""Write the front page of the results: see ticketlens.pages.frontpage."""

import json
from pathlib import Path

from ticketlens.files.atomic import write_text
from ticketlens.jobs.joblog import job_log
from ticketlens.pages import frontpage_data
from ticketlens.pages.frontpage import Page, Picture, caption, render
from ticketlens.study.catalogue.figures import key


def main(snakemake) -> None:
    config = json.loads(snakemake.params.config)
    captions = {Path(path).stem: Path(path).read_text() for path in snakemake.input.captions}
    pictures = [
        Picture(name, *frontpage_data.image_size(path), caption(captions.get(key(name), ""), name))
        for path in snakemake.input.figures
        for name in [Path(path).stem]
    ]
    page = Page(
        config=config,
        pictures=pictures,
        tables=[Path(path).stem for path in snakemake.input.tables],
        # Run times and recorded versions of what there is: no reason to run anything again.
        run_times=frontpage_data.run_times(snakemake.params.benchmarks),
        installed=frontpage_data.installed_versions(),
        recorded=frontpage_data.recorded_versions(snakemake.params.checkpoints, config["studies"]),
        claims=frontpage_data.claims(snakemake.input.claims),
    )
    write_text(snakemake.output.page, render(page, Path(snakemake.input.template).read_text()))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

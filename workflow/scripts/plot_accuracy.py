"""Draw accuracy: see ticketlens.figures."""

import pandas as pd

from ticketlens.figures import accuracy
from ticketlens.joblog import job_log
from ticketlens.plotting import save


def main(snakemake) -> None:
    titles = dict(item.split("=", 1) for item in snakemake.params.titles)
    save(
        accuracy(pd.read_csv(snakemake.input.table), titles),
        snakemake.output.png,
        snakemake.output.pdf,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

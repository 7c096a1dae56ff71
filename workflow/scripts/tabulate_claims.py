"""Judge the claims: see ticketlens.claims and ticketlens.claims_page."""

import pandas as pd

from ticketlens.claim_plan import Plan
from ticketlens.claim_tables import nothing
from ticketlens.claims import TABLES, judge_claims
from ticketlens.claims_page import page, write_claims
from ticketlens.joblog import job_log
from ticketlens.selection import by_study


def main(snakemake) -> None:
    params = snakemake.params
    found = {name: pd.read_csv(path) for name, path in snakemake.input.items()}
    tables = {name: found.get(name, nothing()) for name in TABLES}
    titles = by_study(params.titles)
    plan = Plan(**params.rounds, margin=params.margin, planned=params.planned)
    rows, left_out = judge_claims(tables, plan, titles)
    write_claims(snakemake.output, rows, page(rows, left_out, plan, titles))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

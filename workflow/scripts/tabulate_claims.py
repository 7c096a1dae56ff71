"""Judge the claims: see ticketlens.verdicts.claims and ticketlens.pages.claims_page."""

from typing import TYPE_CHECKING, Any

from ticketlens.files.csv_tables import read_table
from ticketlens.jobs.joblog import job_log
from ticketlens.pages.claims_page import page, write_claims
from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.claims import TABLES, judge_claims
from ticketlens.verdicts.study_values import nothing

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(snakemake: Any) -> None:
    params = snakemake.params
    found = {name: read_table(path) for name, path in snakemake.input.items()}
    tables = {name: found.get(name, nothing()) for name in TABLES}
    titles = params.titles
    plan = Plan(
        **params.rounds,
        margin=params.margin,
        planned=params.planned,
        planned_round=params.planned_round,
    )
    rows, left_out = judge_claims(tables, plan, titles)
    write_claims(snakemake.output, rows, page(rows, left_out, plan, titles, params.arms))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake)

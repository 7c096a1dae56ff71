"""Collect accuracies and training curves of all runs: see ticketlens.tables.runs."""

from ticketlens import checkpoint
from ticketlens.files.csv_tables import write_csv
from ticketlens.jobs.joblog import job_log
from ticketlens.spec import Spec
from ticketlens.tables.runs import accuracy, training_curves
from ticketlens.tickets import bank


def main(snakemake) -> None:
    runs = [checkpoint.read_summary(path) for path in snakemake.input.trained]
    for path, chain in zip(snakemake.input.banks, snakemake.params.chains, strict=True):
        study, seed, rounds, spec = chain
        found = bank.read_bank(path)
        bank.check_chain(found, study, seed, Spec.from_json(spec))
        runs += bank.summaries(found, rounds)
    write_csv(snakemake.output.accuracy, accuracy(runs))
    write_csv(snakemake.output.curves, training_curves(runs))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821

"""ticketlens: lottery tickets through the lens of random matrix theory."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/outputs.smk"
include: "workflow/rules/inputs.smk"


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",
    benchmarks=f"{config['results']}/benchmarks",
    bank=BANK,


include: "workflow/rules/dataset.smk"
include: "workflow/rules/tickets.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/interventions.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/figures_weights.smk"
include: "workflow/rules/figures_signal.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/factorial.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/targets.smk"


rule all:
    """Everything: all studies, tables, figures, claims, and the front page."""
    default_target: True
    input:
        figures(),
        tables(),
        "<results>/claims.md",
        "<results>/index.html",
    localrule: True

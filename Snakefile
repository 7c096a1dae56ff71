"""ticketlens: lottery tickets through the lens of random matrix theory."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


pathvars:
    results=config["results"],
    logs=config["results"] + "/logs",
    benchmarks=config["results"] + "/benchmarks",


include: "workflow/rules/dataset.smk"
include: "workflow/rules/tickets.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/figures.smk"


rule all:
    """Everything: all studies, tables and figures."""
    default_target: True
    input:
        figures(),


rule tables:
    """All tidy tables, without figures."""
    input:
        tables(),

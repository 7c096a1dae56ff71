"""What `snakemake` finds in a clone: the workflow of workflow/Snakefile, whole."""


include: "workflow/Snakefile"


# The default target of an included file does not count.
rule everything:
    """Everything: see `all`."""
    default_target: True
    input:
        rules.all.input,
    localrule: True

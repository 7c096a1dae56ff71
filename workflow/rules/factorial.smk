# Needs: IMP tickets, what the arms of the factorial draw on.
# Makes: the table mask × weights, a target of its own; what properties of tickets predict; what
# everything costs, before it runs.


localrules:
    factorial,
    cost,


rule factorial:
    """The larger mask × weights table, for a cluster: see `cost` first."""
    input:
        ["<results>/factorial.png"] if CELLS else [],


use rule tabulate_accuracy as tabulate_factorial_accuracy with:
    """Collect accuracies and training curves of the factorial's runs."""
    input:
        trained=lambda wildcards: of_factorial("trained.h5"),
        banks=banks([study for study in FACTORIAL if study in BANKED], SHIPPED_BANK),
    output:
        accuracy="<results>/tables/factorial_accuracy.csv",
        curves="<results>/tables/factorial_curves.csv",
    log:
        "<logs>/tabulate_factorial_accuracy.log",
    params:
        code=code("tabulate_accuracy"),
        chains=chains([study for study in FACTORIAL if study in BANKED]),


rule tabulate_factorial:
    """Accuracy of every combination minus IMP's, by seed and with intervals."""
    input:
        table="<results>/tables/factorial_accuracy.csv",
    output:
        by_seed="<results>/tables/factorial.csv",
        table="<results>/tables/factorial_contrasts.csv",
    log:
        "<logs>/tabulate_factorial.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_factorial"),
        study=FACTORIAL[0] if CELLS else "",
        cells=[(c.round, c.mask, c.weights, c.arm, c.reason) for c in CELLS],
    script:
        "../scripts/tabulate_factorial.py"


rule plot_factorial:
    """Heat map of accuracy minus IMP's, masks × weights."""
    input:
        table="<results>/tables/factorial_contrasts.csv",
    output:
        png=report(
            "<results>/factorial.png",
            caption="../report/factorial.rst",
            category="Arms",
            labels=labels("factorial"),
        ),
        pdf="<results>/factorial.pdf",
    log:
        "<logs>/plot_factorial.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_factorial"),
        titles=titles(),
        order=list(dict.fromkeys(name for c in CELLS for name in (c.mask, c.weights))),
    script:
        "../scripts/plot_factorial.py"


rule tabulate_predictors:
    """Kendall's tau between properties of tickets and the accuracy of their arms."""
    input:
        accuracy="<results>/tables/accuracy.csv",
        measured=expand("<results>/tables/{table}.csv", table=PREDICTING),
    output:
        table="<results>/tables/predictors.csv",
    log:
        "<logs>/tabulate_predictors.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_predictors"),
    script:
        "../scripts/tabulate_predictors.py"


rule plot_predictors:
    """Which property of a ticket ranks the arms by accuracy?"""
    input:
        table="<results>/tables/predictors.csv",
    output:
        png=report(
            "<results>/predictors.png",
            caption="../report/predictors.rst",
            category="Arms",
            labels=labels("predictors"),
        ),
        pdf="<results>/predictors.pdf",
    log:
        "<logs>/plot_predictors.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_predictors"),
        titles=titles(),
    script:
        "../scripts/plot_predictors.py"


rule cost:
    """Core-hours of all that is left to do, by stage and study; needs nothing, makes nothing."""
    log:
        "<logs>/cost.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("cost"),
        config=lambda wildcards: json.dumps(config),
    script:
        "../scripts/cost.py"

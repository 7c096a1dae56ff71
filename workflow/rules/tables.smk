# Needs: measurements, trained networks, or the ticket bank.
# Makes: tidy tables; which function makes one is its entry in the catalogue.


rule tabulate:
    """One kind of measurement of all checkpoints as one tidy table."""
    input:
        rows=lambda wildcards: PLAN.measured(wildcards.table),
    output:
        table="<results>/tables/{table}.csv",
    log:
        "<logs>/tabulate/{table}.log",
    wildcard_constraints:
        table=any_of(name for name in PLAN.over_checkpoints if name != "histograms"),
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate", TABLES=["{table}"]),
        entry=lambda wildcards: made_as(wildcards.table),
        options={},
    script:
        "../scripts/tabulate.py"


use rule tabulate as tabulate_imp with:
    """The same of the IMP chains alone, so that their figures need no arms."""
    input:
        rows=lambda wildcards: PLAN.measured_on_imp(wildcards.table),
    output:
        table="<results>/tables/imp/{table}.csv",
    log:
        "<logs>/tabulate_imp/{table}.log",


rule tabulate_histograms:
    """Weight histograms of all checkpoints as one tidy table."""
    input:
        histograms=PLAN.measured("histograms"),
    output:
        table="<results>/tables/histograms.csv",
    log:
        "<logs>/tabulate_histograms.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate", TABLES=["histograms"]),
        entry="histograms",
        options={},
    script:
        "../scripts/tabulate.py"


use rule tabulate_histograms as tabulate_histograms_of_imp with:
    """Weight histograms of the IMP chains alone."""
    input:
        histograms=PLAN.measured_on_imp("histograms"),
    output:
        table="<results>/tables/imp/histograms.csv",
    log:
        "<logs>/tabulate_histograms_of_imp.log",


rule tabulate_accuracy:
    """Collect accuracies, losses and training curves of all runs."""
    input:
        trained=PLAN.chains("trained.h5", PLAN.trained)
        + PLAN.of_arms("trained.h5", config["studies"])
        + PLAN.of_filed("trained.h5"),
        banks=PLAN.banks(PLAN.in_bank, SHIPPED_BANK),
    output:
        accuracy="<results>/tables/accuracy.csv",
        curves="<results>/tables/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate", TABLES=["accuracy"]),
        entry="accuracy",
        options={"chains": PLAN.bank_chains(PLAN.in_bank)},
    script:
        "../scripts/tabulate.py"


use rule tabulate_accuracy as tabulate_accuracy_of_imp with:
    """Accuracies, losses and training curves of the IMP chains alone."""
    input:
        trained=PLAN.chains("trained.h5", PLAN.trained) + PLAN.of_filed("trained.h5"),
        banks=PLAN.banks(PLAN.in_bank, SHIPPED_BANK),
    output:
        accuracy="<results>/tables/imp/accuracy.csv",
        curves="<results>/tables/imp/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy_of_imp.log",


use rule tabulate_accuracy as tabulate_contrasts with:
    """Each arm against IMP, paired by seed: intervals, and verdicts on the planned contrasts."""
    input:
        accuracy="<results>/tables/accuracy.csv",
    output:
        table="<results>/tables/contrasts.csv",
    log:
        "<logs>/tabulate_contrasts.log",
    params:
        code=code("tabulate", TABLES=["contrasts"]),
        entry="contrasts",
        options={
            "planned": PLAN.contrasts["arms"],
            "round_": PLAN.contrasts["round"],
            "margin": PLAN.contrasts["margin"],
            "not_applicable": not_applicable(config),
        },


use rule tabulate_accuracy as tabulate_bimodal_law with:
    """Histogram and CDF that bimodal weights are drawn from, and what an arm drew."""
    input:
        unpack(lambda wildcards: material.bimodal_material(PLAN)),
    output:
        table="<results>/tables/bimodal_law.csv",
    log:
        "<logs>/tabulate_bimodal_law.log",
    params:
        code=code("tabulate", TABLES=["bimodal_law"]),
        entry="bimodal_law",
        options={},


use rule tabulate_accuracy as tabulate_predictors with:
    """Kendall's tau between properties of tickets and the accuracy of their arms."""
    input:
        accuracy="<results>/tables/accuracy.csv",
        measured=expand("<results>/tables/{table}.csv", table=PLAN.ranking),
    output:
        table="<results>/tables/predictors.csv",
    log:
        "<logs>/tabulate_predictors.log",
    params:
        code=code("tabulate", TABLES=["predictors"]),
        entry="predictors",
        options={},

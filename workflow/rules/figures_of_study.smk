# Needs: the measurements, or the trained networks, of one study.
# Makes: figures of one study, results/{study}/{figure}.png; targets by plain name: `snakemake chi`.

ALONE = {key: PLAN.studies_of_figure(key) for key in FIGURES}


use rule tabulate as tabulate_one_study with:
    """One kind of measurement of one study's IMP chains as one tidy table."""
    input:
        rows=lambda wildcards: PLAN.measured_on_imp(wildcards.table, [wildcards.study]),
    output:
        table="<results>/{study}/tables/{table}.csv",
    log:
        "<logs>/tabulate_one_study/{study}/{table}.log",


use rule tabulate_accuracy as tabulate_accuracy_of_one_study with:
    """Accuracies, losses and training curves of one study's IMP chains."""
    input:
        trained=lambda wildcards: PLAN.chains(
            "trained.h5", [name for name in PLAN.trained if name == wildcards.study]
        )
        + PLAN.of_filed("trained.h5", [wildcards.study]),
        banks=lambda wildcards: PLAN.banks(
            [name for name in PLAN.in_bank if name == wildcards.study], SHIPPED_BANK
        ),
    output:
        accuracy="<results>/{study}/tables/accuracy.csv",
        curves="<results>/{study}/tables/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy_of_one_study/{study}.log",
    params:
        code=code("tabulate", TABLES=["accuracy"]),
        entry="accuracy",
        options=lambda wildcards: {
            "chains": PLAN.bank_chains([name for name in PLAN.in_bank if name == wildcards.study])
        },


for key, studies in ALONE.items():
    if studies:

        rule:
            name:
                f"plot_{key}_of_one_study"
            input:
                **{
                    argument: f"<results>/{{study}}/tables/{table}.csv"
                    for argument, table in FIGURES[key].reads.items()
                },
            output:
                png=f"<results>/{{study}}/{key}.png",
                pdf=f"<results>/{{study}}/{key}.pdf",
            log:
                f"<logs>/plot_{key}_of_one_study/{{study}}.log",
            wildcard_constraints:
                study=any_of(studies),
            conda:
                "../../envs/analyse.yaml"
            params:
                code=code("plot", FIGURES=[key]),
                entry=key,
                options=lambda wildcards, key=key: figure_options(
                    PLAN.alone(wildcards.study), key, wildcards
                ),
            script:
                "../scripts/plot.py"

        documented(f"plot_{key}_of_one_study", f"The figure {key} of one study alone.")


for key in [key for key, figure in FIGURES.items() if not figure.by_request]:

    rule:
        name:
            key
        input:
            [f"<results>/{name}.png" for name in PLAN.pictures(key)],
        localrule: True

    documented(key, f"The figure {key} of this config.")

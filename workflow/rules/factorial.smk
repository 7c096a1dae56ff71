# Needs: IMP tickets, what the arms of the factorial draw on.
# Makes: the table mask × weights, a target of its own.


rule factorial:
    """The larger mask × weights table, for a cluster: see `cost` first."""
    input:
        ["<results>/factorial.png"] if PLAN.cells else [],
    localrule: True


use rule tabulate_accuracy as tabulate_factorial_accuracy with:
    """Collect accuracies and training curves of the factorial's runs."""
    input:
        trained=lambda wildcards: PLAN.of_factorial("trained.h5"),
        banks=PLAN.banks(set(PLAN.factorial) & set(PLAN.in_bank), SHIPPED_BANK),
    output:
        accuracy="<results>/tables/factorial_accuracy.csv",
        curves="<results>/tables/factorial_curves.csv",
    log:
        "<logs>/tabulate_factorial_accuracy.log",
    params:
        code=code("tabulate", TABLES=["accuracy"]),
        entry="accuracy",
        options={"chains": PLAN.bank_chains(set(PLAN.factorial) & set(PLAN.in_bank))},


use rule tabulate_accuracy as tabulate_factorial with:
    """Accuracy of every combination minus IMP's, by seed and with intervals."""
    input:
        accuracy="<results>/tables/factorial_accuracy.csv",
    output:
        by_seed="<results>/tables/factorial.csv",
        table="<results>/tables/factorial_contrasts.csv",
    log:
        "<logs>/tabulate_factorial.log",
    params:
        code=code("tabulate", TABLES=["factorial_contrasts"]),
        entry="factorial_contrasts",
        options={
            "study": next(iter(PLAN.factorial), ""),
            "cells": [(c.round, c.mask, c.weights, c.arm, c.reason) for c in PLAN.cells],
        },

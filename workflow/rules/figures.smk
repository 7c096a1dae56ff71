# Needs: trained networks, or the ticket bank.
# Makes: tidy tables, and figures that read tables only.


rule tabulate_accuracy:
    """Collect accuracies, losses and training curves of all runs."""
    input:
        trained=of_studies("trained.h5", TRAINED)
        + of_arms("checkpoints", "trained.h5", config["studies"]),
        banks=banks(BANKED, SHIPPED_BANK),
    output:
        accuracy="<results>/tables/accuracy.csv",
        curves="<results>/tables/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_accuracy"),
        chains=chains(BANKED),
    script:
        "../scripts/tabulate_accuracy.py"


use rule tabulate_accuracy as tabulate_accuracy_of_imp with:
    """Accuracies, losses and training curves of the IMP chains alone."""
    input:
        trained=of_studies("trained.h5", TRAINED),
        banks=banks(BANKED, SHIPPED_BANK),
    output:
        accuracy="<results>/tables/imp/accuracy.csv",
        curves="<results>/tables/imp/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy_of_imp.log",


rule tabulate_contrasts:
    """Each arm against IMP, paired by seed: intervals, and verdicts on the planned contrasts."""
    input:
        table="<results>/tables/accuracy.csv",
    output:
        table="<results>/tables/contrasts.csv",
    log:
        "<logs>/tabulate_contrasts.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_contrasts"),
        planned=CONTRASTS["arms"],
        round=CONTRASTS["round"],
        margin=CONTRASTS["margin"],
        not_applicable=not_applicable(config),
    script:
        "../scripts/tabulate_contrasts.py"


rule plot_zero_shot:
    """Accuracy of every arm minus IMP's, with intervals."""
    input:
        table="<results>/tables/contrasts.csv",
    output:
        png=report(
            "<results>/zero_shot.png",
            caption="../report/zero_shot.rst",
            category="Arms",
            labels=labels("zero_shot"),
        ),
        pdf="<results>/zero_shot.pdf",
    log:
        "<logs>/plot_zero_shot.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_zero_shot"),
        titles=titles(),
    script:
        "../scripts/plot_zero_shot.py"


rule plot_accuracy:
    """Test accuracy against density: do tickets match the dense network?"""
    input:
        table=imp_table("accuracy"),
    output:
        png=report(
            "<results>/accuracy.png",
            caption="../report/accuracy.rst",
            category="Accuracy",
            labels=labels("accuracy"),
        ),
        pdf="<results>/accuracy.pdf",
    log:
        "<logs>/plot_accuracy.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_accuracy"),
        titles=titles(),
    script:
        "../scripts/plot_accuracy.py"


rule plot_generalization_gap:
    """Gain of pruning for last-epoch and best-validation weights; train minus test accuracy."""
    input:
        table=imp_table("accuracy"),
    output:
        png=report(
            "<results>/generalization_gap.png",
            caption="../report/generalization_gap.rst",
            category="Accuracy",
            labels=labels("generalization_gap"),
        ),
        pdf="<results>/generalization_gap.pdf",
    log:
        "<logs>/plot_generalization_gap.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_generalization_gap"),
        titles=titles(),
    script:
        "../scripts/plot_generalization_gap.py"


rule plot_training_curves:
    """Validation accuracy and train loss against epoch, one line per density."""
    input:
        table=imp_table("training_curves"),
    output:
        png=report(
            "<results>/training_curves.png",
            caption="../report/training_curves.rst",
            category="Accuracy",
            labels=labels("training_curves"),
        ),
        pdf="<results>/training_curves.pdf",
    log:
        "<logs>/plot_training_curves.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_training_curves"),
        titles=titles(),
    script:
        "../scripts/plot_training_curves.py"

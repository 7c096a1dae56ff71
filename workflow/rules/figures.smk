# Needs: trained networks, or the ticket bank.
# Makes: tidy tables, and figures that read tables only.


rule tabulate_accuracy:
    """Collect accuracies, losses and training curves of all runs."""
    input:
        trained=of_studies("trained.h5", TRAINED),
        banks=banks(BANKED),
    output:
        accuracy="<results>/tables/accuracy.csv",
        curves="<results>/tables/training_curves.csv",
    log:
        "<logs>/tabulate_accuracy.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_accuracy"),
    script:
        "../scripts/tabulate_accuracy.py"


rule plot_accuracy:
    """Test accuracy against density: do tickets match the dense network?"""
    input:
        table="<results>/tables/accuracy.csv",
    output:
        png=report("<results>/accuracy.png", caption="../report/accuracy.rst", category="Accuracy"),
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


rule plot_training_curves:
    """Validation accuracy and train loss against epoch, one line per density."""
    input:
        table="<results>/tables/training_curves.csv",
    output:
        png=report(
            "<results>/training_curves.png",
            caption="../report/training_curves.rst",
            category="Accuracy",
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

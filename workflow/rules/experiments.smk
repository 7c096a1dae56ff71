# Needs: tables, and for the law of bimodal weights the tickets that it is taken from.
# Makes: the figures of the slides' experiments by name.


rule tabulate_bimodal_law:
    """Histogram and CDF that bimodal weights are drawn from, and what an arm drew."""
    input:
        unpack(bimodal_material),
    output:
        table="<results>/tables/bimodal_law.csv",
    log:
        "<logs>/tabulate_bimodal_law.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_bimodal_law"),
    script:
        "../scripts/tabulate_bimodal_law.py"


rule plot_bimodal_cdf:
    """Histogram, CDF and inverse CDF of the survivors' weights."""
    input:
        table="<results>/tables/bimodal_law.csv",
    output:
        png=report(
            "<results>/bimodal_cdf.png",
            caption="../report/bimodal_cdf.rst",
            category="Arms",
            labels=labels("bimodal_cdf"),
        ),
        pdf="<results>/bimodal_cdf.pdf",
    log:
        "<logs>/plot_bimodal_cdf.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_bimodal_cdf"),
        title=experiment_title("bimodal"),
    script:
        "../scripts/plot_bimodal_cdf.py"


rule plot_bimodal_accuracy:
    """Does accuracy improve with bimodal weights on random masks and small dense networks?"""
    input:
        table="<results>/tables/accuracy.csv",
    output:
        png=report(
            "<results>/bimodal_accuracy.png",
            caption="../report/bimodal_accuracy.rst",
            category="Arms",
            labels=labels("bimodal_accuracy"),
        ),
        pdf="<results>/bimodal_accuracy.pdf",
    log:
        "<logs>/plot_bimodal_accuracy.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_accuracy_of_arms"),
        arms=lambda wildcards: arm_items(config, SHOWN["bimodal"]),
        study=EXPERIMENTS.get("bimodal", {}).get("study"),
        title=experiment_title("bimodal"),
    script:
        "../scripts/plot_accuracy_of_arms.py"


use rule plot_bimodal_accuracy as plot_variance_adjusted with:
    """Does accuracy improve with variances adjusted to the density, or to each in-degree?"""
    output:
        png=report(
            "<results>/variance_adjusted.png",
            caption="../report/variance_adjusted.rst",
            category="Arms",
            labels=labels("variance_adjusted"),
        ),
        pdf="<results>/variance_adjusted.pdf",
    log:
        "<logs>/plot_variance_adjusted.log",
    params:
        code=code("plot_accuracy_of_arms"),
        arms=lambda wildcards: arm_items(config, SHOWN["variance_adjusted"]),
        study=EXPERIMENTS.get("variance_adjusted", {}).get("study"),
        title=experiment_title("variance_adjusted"),


rule plot_std_experiment:
    """Training curves and accuracy with other standard deviations of the initial weights."""
    input:
        curves="<results>/tables/training_curves.csv",
        accuracy="<results>/tables/accuracy.csv",
    output:
        png=report(
            "<results>/std_experiment.png",
            caption="../report/std_experiment.rst",
            category="Arms",
            labels=labels("std_experiment"),
        ),
        pdf="<results>/std_experiment.pdf",
    log:
        "<logs>/plot_std_experiment.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_std_experiment"),
        arms=lambda wildcards: arm_items(config, SHOWN["std_experiment"]),
        study=EXPERIMENTS.get("std_experiment", {}).get("study"),
        title=experiment_title("std_experiment"),
        round=EXPERIMENTS.get("std_experiment", {}).get("round"),
    script:
        "../scripts/plot_std_experiment.py"

# Needs: trained networks, or the ticket bank.
# Makes: tidy tables, and figures that read tables only.


rule tabulate_accuracy:
    """Collect accuracies, losses and training curves of all runs."""
    input:
        trained=of_studies("trained.h5", TRAINED)
        + of_arms("checkpoints", "trained.h5", config["studies"]),
        banks=banks(BANKED, "resources/tickets"),
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
        table="<results>/tables/accuracy.csv",
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
        table="<results>/tables/accuracy.csv",
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
        table="<results>/tables/training_curves.csv",
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


rule plot_weight_mean:
    """Mean of the kept initial weights per layer, with its standard error."""
    input:
        table="<results>/tables/weight_statistics.csv",
    output:
        png=report(
            "<results>/weight_mean.png",
            caption="../report/weight_mean.rst",
            category="Weights",
            labels=labels("weight_mean"),
        ),
        pdf="<results>/weight_mean.pdf",
    log:
        "<logs>/plot_weight_mean.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_weight_mean"),
        titles=titles(),
    script:
        "../scripts/plot_weight_mean.py"


rule plot_weight_std:
    """Standard deviation of the kept initial weights per layer, beside the selection null."""
    input:
        table="<results>/tables/weight_statistics.csv",
    output:
        png=report(
            "<results>/weight_std.png",
            caption="../report/weight_std.rst",
            category="Weights",
            labels=labels("weight_std"),
        ),
        pdf="<results>/weight_std.pdf",
    log:
        "<logs>/plot_weight_std.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_weight_std"),
        titles=titles(),
    script:
        "../scripts/plot_weight_std.py"


rule plot_histograms:
    """Distribution of the kept weights per layer, of one study and state."""
    input:
        table="<results>/tables/histograms.csv",
    output:
        png=report(
            "<results>/histograms-{study}-{state}.png",
            caption="../report/histograms.rst",
            category="Weights",
            labels=labels("histograms", study="{study}"),
        ),
        pdf="<results>/histograms-{study}-{state}.pdf",
    log:
        "<logs>/plot_histograms/{study}-{state}.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_histograms"),
        titles=titles(),
        sigma_w=gaussian_scale,
    script:
        "../scripts/plot_histograms.py"


rule plot_in_degree:
    """In-degrees per layer: mean, spread against a random mask, dead neurons."""
    input:
        table="<results>/tables/degrees.csv",
    output:
        png=report(
            "<results>/in_degree.png",
            caption="../report/in_degree.rst",
            category="Weights",
            labels=labels("in_degree"),
        ),
        pdf="<results>/in_degree.pdf",
    log:
        "<logs>/plot_in_degree.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_in_degree"),
        titles=titles(),
    script:
        "../scripts/plot_in_degree.py"


rule plot_weight_spectra:
    """Eigenvalues of W Wᵀ against Marchenko–Pastur and the same-mask null."""
    input:
        table="<results>/tables/spectral_densities.csv",
    output:
        png=report(
            "<results>/weight_spectra.png",
            caption="../report/weight_spectra.rst",
            category="Weights",
            labels=labels("weight_spectra"),
        ),
        pdf="<results>/weight_spectra.pdf",
    log:
        "<logs>/plot_weight_spectra.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_weight_spectra"),
        titles=titles(),
    script:
        "../scripts/plot_weight_spectra.py"


rule plot_qmap:
    """Measured q per layer of the tickets."""
    input:
        table="<results>/tables/qmap.csv",
    output:
        png=report(
            "<results>/qmap.png",
            caption="../report/qmap.rst",
            category="Q-maps",
            labels=labels("qmap"),
        ),
        pdf="<results>/qmap.pdf",
    log:
        "<logs>/plot_qmap.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_qmap"),
        titles=titles(),
        state="init",
    script:
        "../scripts/plot_qmap.py"


use rule plot_qmap as plot_qmap_trained with:
    """Measured q per layer of the trained networks."""
    output:
        png=report(
            "<results>/qmap_trained.png",
            caption="../report/qmap_trained.rst",
            category="Q-maps",
            labels=labels("qmap_trained"),
        ),
        pdf="<results>/qmap_trained.pdf",
    log:
        "<logs>/plot_qmap_trained.log",
    params:
        code=code("plot_qmap"),
        titles=titles(),
        state="trained",


rule plot_qmap_theory:
    """Measured q per layer against the theory of a dense network, one panel per density."""
    input:
        table="<results>/tables/ladder.csv",
    output:
        png=report(
            "<results>/qmap_theory.png",
            caption="../report/qmap_theory.rst",
            category="Q-maps",
            labels=labels("qmap_theory"),
        ),
        pdf="<results>/qmap_theory.pdf",
    log:
        "<logs>/plot_qmap_theory.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_qmap_theory"),
        titles=titles(),
    script:
        "../scripts/plot_qmap_theory.py"


rule plot_qmap_ladder:
    """q by every rung of the ladder, and the gap to the measured q taken apart."""
    input:
        table="<results>/tables/ladder.csv",
    output:
        png=report(
            "<results>/qmap_ladder.png",
            caption="../report/qmap_ladder.rst",
            category="Q-maps",
            labels=labels("qmap_ladder"),
        ),
        pdf="<results>/qmap_ladder.pdf",
    log:
        "<logs>/plot_qmap_ladder.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_qmap_ladder"),
        titles=titles(),
    script:
        "../scripts/plot_qmap_ladder.py"


rule plot_qmap_fixed_point:
    """q* over (sigma_w, sigma_b), and the path that the tickets take."""
    input:
        table="<results>/tables/weight_statistics.csv",
    output:
        png=report(
            "<results>/qmap_fixed_point.png",
            caption="../report/qmap_fixed_point.rst",
            category="Q-maps",
            labels=labels("qmap_fixed_point"),
        ),
        pdf="<results>/qmap_fixed_point.pdf",
    log:
        "<logs>/plot_qmap_fixed_point.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_qmap_fixed_point"),
        titles=titles(left_out=RESIDUAL),
        dense=mean_field(),
    script:
        "../scripts/plot_qmap_fixed_point.py"


rule plot_chi:
    """chi against density and per layer, measured and in theory."""
    input:
        table="<results>/tables/chi.csv",
    output:
        png=report(
            "<results>/chi.png", caption="../report/chi.rst", category="Chi", labels=labels("chi")
        ),
        pdf="<results>/chi.pdf",
    log:
        "<logs>/plot_chi.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_chi"),
        titles=titles(),
    script:
        "../scripts/plot_chi.py"


rule plot_cmap:
    """Correlation of pairs of images per layer, and its map."""
    input:
        table="<results>/tables/cmap.csv",
    output:
        png=report(
            "<results>/cmap.png",
            caption="../report/cmap.rst",
            category="Chi",
            labels=labels("cmap"),
        ),
        pdf="<results>/cmap.pdf",
    log:
        "<logs>/plot_cmap.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_cmap"),
        titles=titles(),
        dense=mean_field(),
    script:
        "../scripts/plot_cmap.py"


rule plot_jacobian_spectrum:
    """Spectrum of the Jacobian against free probability."""
    input:
        table="<results>/tables/jacobian_spectrum.csv",
    output:
        png=report(
            "<results>/jacobian_spectrum.png",
            caption="../report/jacobian_spectrum.rst",
            category="Jacobians",
            labels=labels("jacobian_spectrum"),
        ),
        pdf="<results>/jacobian_spectrum.pdf",
    log:
        "<logs>/plot_jacobian_spectrum.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_jacobian_spectrum"),
        titles=titles(),
    script:
        "../scripts/plot_jacobian_spectrum.py"


rule plot_isometry:
    """Growth of perturbations through all hidden layers, tickets against nulls."""
    input:
        table="<results>/tables/isometry.csv",
    output:
        png=report(
            "<results>/isometry.png",
            caption="../report/isometry.rst",
            category="Jacobians",
            labels=labels("isometry"),
        ),
        pdf="<results>/isometry.pdf",
    log:
        "<logs>/plot_isometry.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_isometry"),
        titles=titles(),
    script:
        "../scripts/plot_isometry.py"


rule plot_residual:
    """q and chi of residual blocks, measured and in theory."""
    input:
        table="<results>/tables/residual.csv",
    output:
        png=report(
            "<results>/residual.png",
            caption="../report/residual.rst",
            category="Q-maps",
            labels=labels("residual"),
        ),
        pdf="<results>/residual.pdf",
    log:
        "<logs>/plot_residual.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_residual"),
        titles=titles(),
        dense=mean_field(),
    script:
        "../scripts/plot_residual.py"

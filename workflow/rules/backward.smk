# Needs: tickets and trained networks, a prepared data set.
# Makes: gradients, neural tangent kernels and the spectrum of the change, per checkpoint; figures.


rule measure_gradients:
    """Gradients of logits and loss at every layer, tickets and nulls, fully connected networks."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        gradients="<results>/measurements/gradients/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_gradients/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_gradients"),
        own_images=own_images,
        images=images("isometry_images"),
    script:
        "../scripts/measure_gradients.py"


rule measure_gradients_conv:
    """Gradients of logits and loss at every layer, tickets and nulls, convolutions or skips."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        gradients="<results>/measurements/gradients/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_gradients/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(CONVOLUTIONAL + RESIDUAL),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_gradients_conv"),
        own_images=own_images,
        images=images("isometry_images"),
    script:
        "../scripts/measure_gradients_conv.py"


rule measure_ntk:
    """The empirical neural tangent kernel over the kept weights, tickets and nulls."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        ntk="<results>/measurements/ntk/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        spectra="<results>/measurements/ntk_spectra/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_ntk/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_ntk"),
        own_images=own_images,
        images=images("images"),
    script:
        "../scripts/measure_ntk.py"


rule measure_change:
    """What training changed: spikes of W − theta_0 per layer, and what they classify alone."""
    input:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
        trained="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/trained.h5",
        dataset=DATASET,
    output:
        spectra="<results>/measurements/change_spectra/{study}/seed{seed}/round{round}/{arm}/trained.csv",
        accuracy="<results>/measurements/change_accuracy/{study}/seed{seed}/round{round}/{arm}/trained.csv",
    log:
        "<logs>/measure_change/{study}/seed{seed}/round{round}/{arm}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_change"),
    script:
        "../scripts/measure_change.py"


rule plot_gradients:
    """Gradients of logits and loss per layer, tickets minus nulls."""
    input:
        table=imp_table("gradients"),
    output:
        png=report(
            "<results>/gradients.png",
            caption="../report/gradients.rst",
            category="Jacobians",
            labels=labels("gradients"),
        ),
        pdf="<results>/gradients.pdf",
    log:
        "<logs>/plot_gradients.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_gradients"),
        titles=titles(),
    script:
        "../scripts/plot_gradients.py"


rule plot_ntk:
    """Trace, effective rank and label alignment of the tangent kernel, tickets minus nulls."""
    input:
        table=imp_table("ntk"),
    output:
        png=report(
            "<results>/ntk.png",
            caption="../report/ntk.rst",
            category="Jacobians",
            labels=labels("ntk"),
        ),
        pdf="<results>/ntk.pdf",
    log:
        "<logs>/plot_ntk.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_ntk"),
        titles=titles(),
    script:
        "../scripts/plot_ntk.py"


rule plot_change:
    """Spikes of the change that training makes, and their accuracy alone."""
    input:
        spectra="<results>/tables/change_spectra.csv",
        accuracy="<results>/tables/change_accuracy.csv",
    output:
        png=report(
            "<results>/change.png",
            caption="../report/change.rst",
            category="Weights",
            labels=labels("change"),
        ),
        pdf="<results>/change.pdf",
    log:
        "<logs>/plot_change.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("plot_change"),
        titles=titles(),
    script:
        "../scripts/plot_change.py"

# Needs: tickets and trained networks, a prepared data set.
# Makes: results/measurements/{table}/…, one file per checkpoint, and the tidy tables.


rule measure_weights:
    """Moments, bimodality and histograms of the kept weights; eigenvalues of W Wᵀ against nulls."""
    input:
        checkpoint=checkpoint_of_state,
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    output:
        statistics="<results>/measurements/weight_statistics/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        histograms="<results>/measurements/histograms/{study}/seed{seed}/round{round}/{arm}/{state}.h5",
        spectra="<results>/measurements/spectra/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        densities="<results>/measurements/spectral_densities/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_weights/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code("measure_weights"),
    script:
        "../scripts/measure_weights.py"


rule measure_degrees:
    """In- and out-degrees, dead neurons, effective density (the same before and after training)."""
    input:
        checkpoint="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    output:
        degrees="<results>/measurements/degrees/{study}/seed{seed}/round{round}/{arm}/init.csv",
    log:
        "<logs>/measure_degrees/{study}/seed{seed}/round{round}/{arm}.log",
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code("measure_degrees"),
    script:
        "../scripts/measure_degrees.py"


rule measure_ladder:
    """q as every rung of the ladder predicts it, and the decomposition of the measured q."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        ladder="<results>/measurements/ladder/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        decomposition="<results>/measurements/decomposition/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_ladder/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED + CONVOLUTIONAL),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_ladder"),
        own_images=own_images,
        images=images("ladder_images"),
    script:
        "../scripts/measure_ladder.py"


rule measure_signal:
    """Measured q, chi and correlations, fully connected networks."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        qmap="<results>/measurements/qmap/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        chi="<results>/measurements/chi/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        cmap="<results>/measurements/cmap/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_signal/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_signal"),
        own_images=own_images,
        images=images("images"),
    script:
        "../scripts/measure_signal.py"


rule measure_signal_conv:
    """Measured q, chi and correlations, convolutional networks."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        qmap="<results>/measurements/qmap/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        chi="<results>/measurements/chi/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        cmap="<results>/measurements/cmap/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_signal/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(CONVOLUTIONAL),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_signal_conv"),
        own_images=own_images,
        images=images("images"),
    script:
        "../scripts/measure_signal_conv.py"


rule measure_residual:
    """Measured q, chi and correlations per block against theory, fully connected with skips."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        residual="<results>/measurements/residual/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_residual/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(of_kind(convolutional=False, residual=True)),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_residual"),
        own_images=own_images,
        images=images("images"),
        jacobian_images=images("isometry_images"),
    script:
        "../scripts/measure_residual.py"


rule measure_residual_conv:
    """Measured q, chi and correlations per block against theory, convolutional with skips."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        residual="<results>/measurements/residual/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_residual/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(of_kind(convolutional=True, residual=True)),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_residual_conv"),
        own_images=own_images,
        images=images("images"),
        jacobian_images=images("isometry_images"),
    script:
        "../scripts/measure_residual_conv.py"


rule measure_jacobian:
    """Jacobian spectrum, and isometry against the nulls N1 to N6, fully connected networks."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        jacobian="<results>/measurements/jacobian/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        spectrum="<results>/measurements/jacobian_spectrum/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        isometry="<results>/measurements/isometry/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_jacobian/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(FULLY_CONNECTED),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_jacobian"),
        own_images=own_images,
        spectrum_images=images("spectrum_images"),
        isometry_images=images("isometry_images"),
    script:
        "../scripts/measure_jacobian.py"


rule measure_jacobian_conv:
    """Leading singular values and isometry by products with vectors, convolutional networks."""
    input:
        checkpoint=checkpoint_of_state,
        dataset=DATASET,
    output:
        jacobian="<results>/measurements/jacobian/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
        isometry="<results>/measurements/isometry/{study}/seed{seed}/round{round}/{arm}/{state}.csv",
    log:
        "<logs>/measure_jacobian/{study}/seed{seed}/round{round}/{arm}/{state}.log",
    wildcard_constraints:
        study=any_of(CONVOLUTIONAL),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code("measure_jacobian_conv"),
        own_images=own_images,
        images=images("isometry_images"),
    script:
        "../scripts/measure_jacobian_conv.py"


rule tabulate:
    """One kind of measurement of all checkpoints as one tidy table."""
    input:
        rows=lambda wildcards: measured(wildcards.table),
    output:
        table="<results>/tables/{table}.csv",
    log:
        "<logs>/tabulate/{table}.log",
    wildcard_constraints:
        table=any_of(MEASURED),
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate"),
    script:
        "../scripts/tabulate.py"


use rule tabulate as tabulate_imp with:
    """The same of the IMP chains alone, so that their figures need no arms."""
    input:
        rows=lambda wildcards: measured_on_imp(wildcards.table),
    output:
        table="<results>/tables/imp/{table}.csv",
    log:
        "<logs>/tabulate_imp/{table}.log",


rule tabulate_histograms:
    """Weight histograms of all checkpoints as one tidy table."""
    input:
        histograms=measured("histograms", "h5"),
    output:
        table="<results>/tables/histograms.csv",
    log:
        "<logs>/tabulate_histograms.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_histograms"),
    script:
        "../scripts/tabulate_histograms.py"


use rule tabulate_histograms as tabulate_histograms_of_imp with:
    """Weight histograms of the IMP chains alone."""
    input:
        histograms=measured_on_imp("histograms", "h5"),
    output:
        table="<results>/tables/imp/histograms.csv",
    log:
        "<logs>/tabulate_histograms_of_imp.log",

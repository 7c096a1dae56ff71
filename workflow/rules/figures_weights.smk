# Needs: tidy tables of weights, masks and spectra.
# Makes: figures that read tables only.


rule plot_weight_mean:
    """Mean of the kept initial weights per layer, with its standard error."""
    input:
        table=imp_table("weight_statistics"),
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
        table=imp_table("weight_statistics"),
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
        table=imp_table("histograms"),
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
        table=imp_table("degrees"),
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
        table=imp_table("spectral_densities"),
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

# Needs: tidy tables of q, chi, correlations and Jacobians.
# Makes: figures that read tables only.


rule plot_qmap:
    """Measured q per layer of the tickets."""
    input:
        table=imp_table("qmap"),
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
        table=imp_table("ladder"),
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
        table=imp_table("ladder"),
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
        table=imp_table("weight_statistics"),
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
        table=imp_table("chi"),
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
        table=imp_table("cmap"),
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
        table=imp_table("jacobian_spectrum"),
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
        table=imp_table("isometry"),
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
        table=imp_table("residual"),
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

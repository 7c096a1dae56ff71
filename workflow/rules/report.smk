# Needs: figures and tables; `cost` and `progress` need nothing.
# Makes: results/index.html, the page to begin with. `snakemake --report` makes the other one.


rule index:
    """Front page: claims, key figures with captions, tables, the exact config, versions, run times."""
    input:
        figures=PLAN.outputs["figures"],
        tables=PLAN.outputs["tables"],
        claims="<results>/claims.csv",
        captions=[
            of_workflow(f"report/{key}.rst")
            for key in dict.fromkeys(map(pictures.key, PLAN.figures))
            if key in CAPTIONED
        ],
        template=of_workflow("report/index.html.j2"),
        script=of_workflow("report/index.js"),
        reference=one_minute.shown_first(config, of_workflow("../docs/results")),
    output:
        page="<results>/index.html",
    log:
        "<logs>/index.log",
    localrule: True
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("write_index"),
        config=lambda wildcards: json.dumps(config),
        foundations=lambda wildcards: PLAN.foundations,
        benchmarks=f"{config['results']}/benchmarks",
        checkpoints=f"{config['results']}/checkpoints",
    script:
        "../scripts/write_index.py"


rule cost:
    """Core-hours of all that is left to do, by stage and study; needs nothing, makes nothing."""
    log:
        "<logs>/cost.log",
    localrule: True
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("foresee"),
        what="cost",
        config=lambda wildcards: json.dumps(config),
    script:
        "../scripts/foresee.py"


use rule cost as progress with:
    """Print how far every chain is and when it will end; beside a run: add --nolock."""
    log:
        "<logs>/progress.log",
    params:
        code=code("foresee"),
        what="progress",
        config=lambda wildcards: json.dumps(config),

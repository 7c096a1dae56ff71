# Needs: tidy tables and figures of a run.
# Makes: the folder of reference results, and the comparison of a run with it.


localrules:
    check_results,
    publish,
    publish_runs,


rule check_results:
    """Compare this run with docs/results and its folders: are means over seeds within their spread?"""
    input:
        tables=[f"<results>/tables/{name}.csv" for name in published.TABLES if name in PLAN.tables],
        reference=published.files(of_workflow("../docs/results")),
        config=of_workflow("../docs/results/config.yaml"),
    output:
        table="<results>/check.csv",
        page="<results>/check.md",
    log:
        "<logs>/check_results.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("check_results"),
        config=lambda wildcards: json.dumps(config),
    script:
        "../scripts/check_results.py"


rule publish_runs:
    """Accuracies, config, versions and run times in small: enough for a run that is not measured."""
    input:
        table="<results>/tables/accuracy.csv",
    output:
        table="<results>/published/tables/accuracy.csv",
        config="<results>/published/config.yaml",
        run="<results>/published/run.json",
    log:
        "<logs>/publish_runs.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("publish_runs"),
        config=lambda wildcards: json.dumps(config),
        benchmarks=f"{config['results']}/benchmarks",
        checkpoints=f"{config['results']}/checkpoints",
    script:
        "../scripts/publish_runs.py"


rule publish:
    """Results in small, as a folder to commit: docs/results/ is one, see `make reference`."""
    input:
        runs=rules.publish_runs.output.table,
        figures=PLAN.outputs["figures"],
        tables=[f"<results>/tables/{name}.csv" for name in PLAN.compact] + ["<results>/claims.csv"],
        claims="<results>/claims.md",
    output:
        figures=[f"<results>/published/figures/{name}.png" for name in PLAN.figures],
        tables=[f"<results>/published/tables/{name}.csv" for name in [*PLAN.compact, "claims"]],
        claims="<results>/published/claims.md",
        reference="<results>/published/reference.csv",
    log:
        "<logs>/publish.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("publish"),
    script:
        "../scripts/publish.py"

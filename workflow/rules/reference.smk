# Needs: tidy tables and figures of a run.
# Makes: the folder of reference results, and the comparison of a run with it.


localrules:
    check_results,
    publish,


rule check_results:
    """Compare this run with docs/results/: do means over seeds lie within the reference's spread?"""
    input:
        tables=[f"<results>/tables/{name}.csv" for name in REFERENCE_TABLES if name in TABLES],
        reference=in_reference("reference.csv"),
        config=in_reference("config.yaml"),
    output:
        table="<results>/check.csv",
        page="<results>/check.md",
    log:
        "<logs>/check_results.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("check_results"),
        config=json.dumps(config),
    script:
        "../scripts/check_results.py"


rule publish:
    """Results in small, as a folder to commit: docs/results/ is one, see `make reference`."""
    input:
        figures=figures(),
        tables=[f"<results>/tables/{name}.csv" for name in COMPACT] + ["<results>/claims.csv"],
        claims="<results>/claims.md",
    output:
        figures=[f"<results>/published/figures/{name}.png" for name in FIGURES],
        tables=[f"<results>/published/tables/{name}.csv" for name in [*COMPACT, "claims"]],
        claims="<results>/published/claims.md",
        config="<results>/published/config.yaml",
        reference="<results>/published/reference.csv",
        run="<results>/published/run.json",
    log:
        "<logs>/publish.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("publish"),
        config=json.dumps(config),
        benchmarks=f"{config['results']}/benchmarks",
        checkpoints=f"{config['results']}/checkpoints",
    script:
        "../scripts/publish.py"

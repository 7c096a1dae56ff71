# Needs: tidy tables.
# Makes: results/claims.csv and results/claims.md, the verdicts on the claims of the slides.


rule tabulate_claims:
    """Judge each claim of the slides: number, interval over seeds, computed verdict."""
    input:
        **PLAN.claim_tables,
    output:
        table=report(
            "<results>/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "Claims", "study": "all", "arm": "all", "density": "all"},
        ),
        page="<results>/claims.md",
    log:
        "<logs>/tabulate_claims.log",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("tabulate_claims"),
        titles=study_titles(PLAN, config["studies"]),
        arms=arm_titles.of_config(config),
        rounds=dict(sorted(config.get("claims", {}).items())),
        planned=PLAN.contrasts["arms"],
        margin=PLAN.contrasts["margin"],
        planned_round=PLAN.contrasts["round"],
    script:
        "../scripts/tabulate_claims.py"

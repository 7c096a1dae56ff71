# Needs: tidy tables; the entries of the catalogue (workflow/ticketlens/study/catalogue).
# Makes: figures that read tables only, one rule for each entry: plot_{key}.


for key, figure in FIGURES.items():
    # One rule serves all studies and states.
    picture = f"{key}-{{study}}-{{state}}" if figure.per_study else key
    logged = f"{key}/{{study}}-{{state}}" if figure.per_study else key

    rule:
        name:
            f"plot_{key}"
        input:
            **{
                argument: PLAN.table(table, imp_alone=figure.arm == "imp")
                for argument, table in figure.reads.items()
            },
        output:
            png=report(
                f"<results>/{picture}.png",
                caption=f"../report/{key}.rst" if key in CAPTIONED else None,
                category=figure.category,
                labels=pictures.labels(key, "{study}" if figure.per_study else "all"),
            ),
            pdf=f"<results>/{picture}.pdf",
        log:
            f"<logs>/plot_{logged}.log",
        conda:
            "../../envs/analyse.yaml"
        params:
            code=code("plot", FIGURES=[key]),
            entry=key,
            options=lambda wildcards, key=key: figure_options(PLAN, key, wildcards),
        script:
            "../scripts/plot.py"

    documented(f"plot_{key}", figure.about)

# Needs: tickets and trained networks, a prepared data set; the entries of the catalogue.
# Makes: results/measurements/{table}/…, one file per checkpoint; one rule for each entry:
# measure_{key}.


for key, entry in MEASUREMENTS.items():
    of_state = "{state}" if entry.state == "both" else entry.state
    of_log = f"{os.sep}{{state}}.log" if entry.state == "both" else ".log"

    rule:
        name:
            f"measure_{key}"
        input:
            **({"ticket": f"<results>/checkpoints/{PLACE}/ticket.h5"} if entry.with_ticket else {}),
            **({"dataset": DATASET} if entry.images else {}),
            checkpoint=material.measured(PLAN, entry),
        output:
            **{
                table: f"<results>/measurements/{table}/{PLACE}/{of_state}.{PLAN.entries[table].suffix}"
                for table in entry.tables
            },
        log:
            f"<logs>/measure_{key.removesuffix('_conv')}/{PLACE}{of_log}",
        wildcard_constraints:
            study=any_of(PLAN.of_networks(entry.networks)),
        conda:
            f"../../envs/{entry.environment}.yaml"
        resources:
            mem_mb=entry.mem_mb,
        params:
            code=code("measure", MEASUREMENTS=[key]),
            entry=key,
            own_images=lambda wildcards: wildcards.study not in PLAN.banked,
            images=lambda wildcards, entry=entry: PLAN.images(entry, wildcards.study),
        script:
            "../scripts/measure.py"

    documented(f"measure_{key}", entry.about)

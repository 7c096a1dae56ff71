# Needs: tickets and trained networks, a prepared data set; the entries of the catalogue.
# Makes: results/measurements/{table}/…, one file per checkpoint; one rule for each entry:
# measure_{key}.


def measured_checkpoint(entry):
    """Input function: the ticket (state init) or the trained network (state trained)."""
    files = {"init": "ticket.h5", "trained": "trained.h5"}
    if entry.state in files:
        return f"{CHECKPOINT}/{{arm}}/{files[entry.state]}"
    return lambda wildcards: f"{CHECKPOINT}/{{arm}}/{{file}}".format(
        file=files[wildcards.state], **wildcards
    )


def counts_of_images(entry):
    """Params function: how many images each argument of a measurement has, in the study."""
    return lambda wildcards: {
        argument: None if name == "all" else PLAN.measure(wildcards.study)[name]
        for argument, name in entry.images.items()
    }


for key, entry in catalogue.MEASUREMENTS.items():
    of_state = "{state}" if entry.state == "both" else entry.state

    rule:
        name:
            f"measure_{key}"
        input:
            **({"ticket": f"{CHECKPOINT}/{{arm}}/ticket.h5"} if entry.with_ticket else {}),
            **({"dataset": DATASET} if entry.images else {}),
            checkpoint=measured_checkpoint(entry),
        output:
            **{
                table: f"<results>/measurements/{table}/{{study}}/seed{{seed}}/round{{round}}/{{arm}}"
                f"/{of_state}.{PLAN.entries[table].suffix}"
                for table in entry.tables
            },
        log:
            f"<logs>/measure_{key.removesuffix('_conv')}/{{study}}/seed{{seed}}/round{{round}}/{{arm}}"
            + ("/{state}.log" if entry.state == "both" else ".log"),
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
            images=counts_of_images(entry),
        script:
            "../scripts/measure.py"

    documented(f"measure_{key}", entry.about)

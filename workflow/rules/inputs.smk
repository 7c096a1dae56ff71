# Needs: common.smk.
# Makes: functions of wildcards that rules take as inputs and params.


def dataset_files(wildcards):
    """Archive that the data set is made from, if it is one file; a folder cannot be an input.

    Ancient, as the params have a digest of its bytes: a copy with a newer time would train all anew.
    """
    path = config["dataset"]["path"]
    return ancient(path) if os.path.isfile(path) else []


def before(file):
    """Input function: `file` of the same chain, one round earlier."""
    return lambda wildcards: PLAN.checkpoint(
        wildcards.study, wildcards.seed, int(wildcards.round) - 1, "imp", file
    )


def arm_material(wildcards):
    """Input function: files that the sources of an arm draw on, by their names in the library."""
    place = (wildcards.study, wildcards.seed, wildcards.round, wildcards.arm)
    return material.material(PLAN, *place, DATASET)


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


def options_of(key):
    """Params function: what a figure is told of the config."""
    return lambda wildcards: figure_options(PLAN, key, wildcards)

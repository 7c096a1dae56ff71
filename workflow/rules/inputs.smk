# Needs: common.smk, outputs.smk.
# Makes: functions of wildcards that rules take as inputs and params.


def before(file):
    """Input function: `file` of the same chain, one round earlier."""
    return lambda wildcards: of_chain(
        file, wildcards.study, wildcards.seed, first=int(wildcards.round) - 1
    )[0]


def checkpoint_of_state(wildcards):
    """Ticket (state init) or trained network (state trained)."""
    files = {"init": "ticket.h5", "trained": "trained.h5"}
    return "<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/{file}".format(
        file=files[wildcards.state], **wildcards
    )


def images(purpose):
    """Params function: how many images a measurement of the study uses."""
    return lambda wildcards: measure(wildcards.study)[purpose]


def own_images(wildcards):
    """Whether tickets are measured on the images that they were made on only: not the bank's."""
    return wildcards.study not in BANKED


def theta(wildcards):
    """Weights to rewind to: theta_0, or theta_k of round 0's training."""
    file = "theta_k.h5" if wildcards.study in LATE else "ticket.h5"
    return of_chain(file, wildcards.study, wildcards.seed)[0]


def survivors(arm, study, seed, number):
    """Checkpoint whose weights' law an arm copies: of its source round, else of its own."""
    file = "trained.h5" if arm.source_state == "trained" else "ticket.h5"
    source = number if arm.source_round is None else arm.source_round
    return of_imp(file, study, seed, source)


def material(wildcards):
    """Files that the sources of an arm draw on, by the names that they go by in the library."""
    study, seed, arm = wildcards.study, wildcards.seed, RECIPES[wildcards.arm]
    donor = donor_seed(config, int(seed))
    places = {
        "ticket": of_imp("ticket.h5", study, seed, wildcards.round),
        "theta": theta(wildcards),
        "donor": of_imp("ticket.h5", study, donor, wildcards.round),
        "dense": of_imp("trained.h5", study, seed, 0),
        "survivors": survivors(arm, study, seed, wildcards.round),
        "dataset": DATASET,
    }
    return {name: places[name] for name in needs(arm)}


def experiment_title(experiment):
    """Panel title of the study of an experiment."""
    study = EXPERIMENTS.get(experiment, {}).get("study")
    return config["studies"].get(study, {}).get("title", study)


def bimodal_material(wildcards):
    """A ticket with bimodal weights, and the checkpoint whose law they follow: first arm and seed."""
    study, arm = EXPERIMENTS["bimodal"]["study"], BIMODAL[0]
    seed, number = arm_seeds(config, arm, study)[0], arm_rounds(config, arm, study)[0]
    return {
        "survivors": survivors(ARMS[arm], study, seed, number),
        "arm": f"<results>/checkpoints/{study}/seed{seed}/round{number:02d}/{arm}/ticket.h5",
    }


def claim_tables(wildcards):
    """Tables that the claims are judged by, as far as there are studies that fill them."""
    names = ("accuracy", "weight_statistics", "qmap", "ladder", "chi", "gradients")
    return {name: f"<results>/tables/{name}.csv" for name in names if name in TABLES}


def recipe(wildcards):
    """An arm's entry in the config, without what is aside: a new round remakes no other."""
    entry = WITH_FACTORIAL["arms"][wildcards.arm]
    return {key: value for key, value in entry.items() if key not in ASIDE}


def dataset_files(wildcards):
    """Archive that the data set is made from, if it is one file; a folder cannot be an input.

    Ancient, as `dataset_images` has its bytes: a copy with a newer time would train all anew.
    """
    path = config["dataset"]["path"]
    return ancient(path) if os.path.isfile(path) else []


def dataset_images(wildcards):
    """Digest of the images or their archive: a rerun trigger."""
    path = config["dataset"]["path"]
    is_read = config["dataset"]["source"] != "torchvision" and os.path.exists(path)
    return images_digest(path) if is_read else ""


def gaussian_scale(wildcards):
    """sigma_w of the initial tickets of a study if its weights are Gaussian, else None."""
    init = study_spec(wildcards.study).init
    return init.sigma_w if wildcards.state == "init" and init.scheme in NORMAL_SCHEMES else None

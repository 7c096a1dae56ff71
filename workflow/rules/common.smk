# Config, names and paths that the rules share.
# Needs: config. Makes: the checked config, wildcard constraints, path helpers.

import os.path
import sys

sys.path.insert(0, f"{workflow.basedir}/workflow")

from snakemake.exceptions import WorkflowError

from ticketlens import config as ticketlens_config, preflight
from ticketlens.architecture import layer_shapes
from ticketlens.arm_config import arm_rounds, donor_seed, recipes
from ticketlens.arms import SALIENCIES, WHERE, needs
from ticketlens.fingerprint import fingerprint, folder_digest

ticketlens_config.export_library_path()
try:
    config = ticketlens_config.checked(config)
except ticketlens_config.ConfigError as error:
    raise WorkflowError(str(error)) from None


def code(script):
    """Digest of a script and of the library modules it reaches; a rerun trigger."""
    return fingerprint(f"{workflow.basedir}/workflow/scripts/{script}.py")


def ready():
    """Stop a run that cannot write its results, or whose clock went backwards."""
    try:
        preflight.check(config["results"])
    except preflight.PreflightError as error:
        raise WorkflowError(str(error)) from None


def any_of(names):
    """Regular expression that matches exactly these names (nothing if there are none)."""
    return "|".join(names) or "(?!)"


def study_spec(study):
    """Spec of a study, data set apart."""
    return ticketlens_config.study_spec(config, study)


def rounds(study, first=0):
    """Rounds of a study as two digits."""
    return [f"{number:02d}" for number in range(first, ticketlens_config.rounds(config, study) + 1)]


def of_imp(file, study, seed, number):
    """Path of `file` on the imp arm at one round."""
    return f"<results>/checkpoints/{study}/seed{seed}/round{int(number):02d}/imp/{file}"


def of_chain(file, study, seed, first=0):
    """Paths of `file` on the imp arm of one chain, over its rounds."""
    return [of_imp(file, study, seed, number) for number in rounds(study, first)]


def of_studies(file, studies, first=0):
    """Paths of `file` on the imp arm over studies, seeds and rounds."""
    return [
        path
        for study in studies
        for seed in config["studies"][study]["seeds"]
        for path in of_chain(file, study, seed, first)
    ]


def of_arms(folder, file, studies):
    """Paths of `file` on all arms but imp: over studies, seeds and the rounds of each arm."""
    return [
        f"<results>/{folder}/{study}/seed{seed}/round{number:02d}/{arm}/{file}"
        for study in studies
        for arm in ARMS
        for number in arm_rounds(config, arm, study)
        for seed in config["studies"][study]["seeds"]
    ]


def banks(studies, folder):
    """Ticket bank files of studies in `folder`."""
    return [
        f"{folder}/{study}/seed{seed}.h5"
        for study in studies
        for seed in config["studies"][study]["seeds"]
    ]


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


def measured(table, suffix="csv"):
    """Measurement files of a table: every ticket, and every trained network that there will be."""
    studies = FULLY_CONNECTED if table == "jacobian_spectrum" else config["studies"]
    files = []
    for study in studies:
        states = ["init", "trained"] if study in TRAINED and table != "degrees" else ["init"]
        files += [
            f"<results>/measurements/{table}/{study}/seed{seed}/round{number}/imp/{state}.{suffix}"
            for seed in config["studies"][study]["seeds"]
            for number in rounds(study)
            for state in states
        ]
    on_arms = [study for study in studies if KINDS[table] in measure(study).get("arms", ["signal"])]
    return files + of_arms(f"measurements/{table}", f"init.{suffix}", on_arms)


def measure(study):
    """The config's `measure` with what a study changes."""
    return {**config["measure"], **config["studies"][study].get("measure", {})}


def images(purpose):
    """Params function: how many images a measurement of the study uses."""
    return lambda wildcards: measure(wildcards.study)[purpose]


def theta(wildcards):
    """Weights to rewind to: theta_0, or theta_k of round 0's training."""
    file = "theta_k.h5" if wildcards.study in LATE else "ticket.h5"
    return of_chain(file, wildcards.study, wildcards.seed)[0]


def material(wildcards):
    """Files that the sources of an arm draw on, by the names that they go by in the library."""
    study, seed, arm = wildcards.study, wildcards.seed, ARMS[wildcards.arm]
    donor = donor_seed(config, int(seed))
    source = int(wildcards.round) if arm.source_round is None else arm.source_round
    file = "trained.h5" if arm.source_state == "trained" else "ticket.h5"
    places = {
        "ticket": of_imp("ticket.h5", study, seed, wildcards.round),
        "theta": theta(wildcards),
        "donor": of_imp("ticket.h5", study, donor, wildcards.round),
        "dense": of_imp("trained.h5", study, seed, 0),
        "survivors": of_imp(file, study, seed, source),
        "dataset": DATASET,
    }
    return {name: places[name] for name in needs(arm)}


def recipe(wildcards):
    """An arm's entry in the config, without where it is made: a new round remakes no other."""
    entry = config["arms"][wildcards.arm]
    return {key: value for key, value in entry.items() if key not in WHERE}


def dataset_files(wildcards):
    """Archive that the data set is made from, if it is one file; a folder cannot be an input."""
    path = config["dataset"]["path"]
    return path if os.path.isfile(path) else []


def dataset_folder(wildcards):
    """Digest of the files of a folder of images: a rerun trigger, as a folder is no input."""
    path = config["dataset"]["path"]
    is_read = config["dataset"]["source"] != "torchvision" and os.path.isdir(path)
    return folder_digest(path) if is_read else ""


def figures():
    """Figures of the config."""
    return [f"<results>/{name}.png" for name in FIGURES]


def tables():
    """Tidy tables of the config."""
    return [f"<results>/tables/{name}.csv" for name in TABLES]


def titles():
    """Panel titles by study, as `study=title` items, in the order of the config."""
    return [f"{name}={study.get('title', name)}" for name, study in config["studies"].items()]


def mean_field():
    """Place of each dense network in mean field theory, `study=sigma_w,sigma_b,activation`."""
    items = []
    for study in config["studies"]:
        spec = study_spec(study)
        sigma_b = spec.init.sigma_b
        if spec.init.scheme == "normal-scaled-bias":
            sigma_b /= layer_shapes(spec)[-2].fan_in ** 0.5
        items.append(f"{study}={spec.init.sigma_w},{sigma_b},{spec.network.activation}")
    return items


def gaussian_scale(wildcards):
    """sigma_w of the initial tickets of a study if its weights are Gaussian, else None."""
    init = study_spec(wildcards.study).init
    return init.sigma_w if wildcards.state == "init" and init.scheme != "orthogonal" else None


DATASET = f"resources/{config['dataset']['name']}.h5"
# A trial's bank stays with the trial: only the study itself writes to resources/.
BANK = "resources/tickets" if config["results"] == "results" else f"{config['results']}/tickets"
TRAINED = [name for name, study in config["studies"].items() if study.get("tickets") != "bank"]
BANKED = [name for name in config["studies"] if name not in TRAINED]
CONVOLUTIONAL = [
    name for name in config["studies"] if study_spec(name).network.family == "convolutional"
]
FULLY_CONNECTED = [name for name in config["studies"] if name not in CONVOLUTIONAL]
LATE = [name for name in TRAINED if study_spec(name).pruning.rewind_epoch]

ARMS = recipes(config)

# Kind of measurement, as `measure.arms` names it, of every table over checkpoints.
KINDS = {
    "weight_statistics": "weights",
    "histograms": "weights",
    "degrees": "degrees",
    "spectra": "spectra",
    "spectral_densities": "spectra",
    "ladder": "ladder",
    "decomposition": "ladder",
    "qmap": "signal",
    "chi": "signal",
    "cmap": "signal",
    "jacobian": "jacobian",
    "isometry": "jacobian",
    "jacobian_spectrum": "jacobian",
}
MEASURED = [
    table
    for table in KINDS
    if table != "histograms" and (FULLY_CONNECTED or table != "jacobian_spectrum")
]
ANY_ARM = bool(of_arms("", "", config["studies"]))
CONTRASTS = {"arms": [], "round": 0, "margin": 0.5, **config.get("contrasts", {})}
TABLES = [
    "accuracy",
    "training_curves",
    *(["contrasts"] if ANY_ARM else []),
    "histograms",
    *MEASURED,
]
FIGURES = [
    "accuracy",
    "training_curves",
    "weight_mean",
    "weight_std",
    *[f"histograms-{study}-init" for study in config["studies"]],
    *[f"histograms-{study}-trained" for study in TRAINED],
    "in_degree",
    "weight_spectra",
    "qmap",
    *(["qmap_trained"] if TRAINED else []),
    "qmap_theory",
    "qmap_ladder",
    "qmap_fixed_point",
    "chi",
    "cmap",
    *(["jacobian_spectrum"] if FULLY_CONNECTED else []),
    "isometry",
    *(["zero_shot"] if ANY_ARM else []),
]


onstart:
    ready()


wildcard_constraints:
    study=any_of(config["studies"]),
    seed=r"0|[1-9]\d*",
    round=r"\d\d",
    arm=any_of(config["arms"]),
    state="init|trained",

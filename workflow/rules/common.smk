# Config, names and paths that the rules share.
# Needs: config. Makes: the checked config, path helpers.

import gc
import json
import os.path
import sys
from collections import Counter
from functools import cache
from pathlib import Path

# The folder `workflow`, wherever the entry point stands: a root Snakefile, a module's importer.
WORKFLOW = os.path.dirname(str(workflow.current_basedir))
sys.path.insert(0, WORKFLOW)

from snakemake.exceptions import WorkflowError

from ticketlens.study import catalogue
from ticketlens.jobs import preflight
from ticketlens.study import config as ticketlens_config
from ticketlens.study import factorial as ticketlens_factorial
from ticketlens.study import image_counts
from ticketlens.study import studies as ticketlens_studies
from ticketlens.architecture import is_convolutional, is_residual, layer_shapes
from ticketlens.study.arms import (
    arm_items,
    arm_rounds,
    arm_seeds,
    donor_seed,
    not_applicable,
    recipes,
    shown_arms,
)
from ticketlens.tickets.construction import needs
from ticketlens.tickets.recipe import ASIDE, SALIENCIES
from ticketlens.study.entries import entries
from ticketlens.files.image_folder import images_digest
from ticketlens.jobs.fingerprint import Fingerprints
from ticketlens.verdicts.predictors import MIN_ARMS, PROPERTIES
from ticketlens.verdicts.reference import TABLES as REFERENCE_TABLES
from ticketlens.tickets.initialization import is_normal

# A graph of thousands of jobs is one large heap of living objects. Python's collector walks it again
# and again and finds nothing: at its default pace, a quarter of a dry run of the full study.
gc.set_threshold(100_000, 50, 100)

ticketlens_config.export_environment()
try:
    ticketlens_config.check_files(workflow.configfiles)
    config = ticketlens_config.checked(config)
except ticketlens_config.ConfigError as error:
    raise WorkflowError(str(error)) from None


def shipped(path):
    """A path of the working directory, or beside the workflow where only that has it."""
    beside = os.path.normpath(os.path.join(WORKFLOW, "..", path))
    return os.path.relpath(beside) if not os.path.exists(path) and os.path.exists(beside) else path


config["dataset"]["path"] = shipped(os.path.expanduser(config["dataset"]["path"]))
# Asked for by thousands of jobs.
SPECS = {study: ticketlens_studies.study_spec(config, study) for study in config["studies"]}


FINGERPRINTS = Fingerprints(Path(WORKFLOW) / "scripts")


@cache
def entries_of(study, arm):
    """Entries of registries that jobs of a study and arm use (of all, where they have none)."""
    return entries(SPECS, RECIPES, config["dataset"]["source"], study, arm)


def code(script, **chosen):
    """Params function: digest of a script and of the definitions that it reaches; a rerun trigger.

    Registries count by the entries that the study's spec and the arm name, catalogues by `chosen`.
    """

    @cache
    def digest(study, arm):
        return FINGERPRINTS(script, {**entries_of(study, arm), **chosen})

    return lambda wildcards: digest(wildcards.get("study"), wildcards.get("arm"))


def ready():
    """Stop a run that cannot write its results, or train on the images that there are."""
    # Of two `--configfile` flags Snakemake (9.27) drops the first without a word.
    files = ", ".join(os.path.relpath(file) for file in workflow.configfiles)
    print(f"config files of this run: {files}", file=sys.stderr)
    try:
        preflight.check(config["results"])
        image_counts.check(config)
    except (preflight.PreflightError, ticketlens_config.ConfigError) as error:
        raise WorkflowError(str(error)) from None


def without_rate_limit():
    """Start local jobs without Snakemake's limit of so many a second.

    Its limiter (as of Snakemake 9.27) has the scheduler look at all ready jobs once a second, and
    once more for every job that has finished: after some hundred jobs that takes a whole core.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def any_of(names):
    """Regular expression that matches exactly these names (nothing if there are none)."""
    return "|".join(names) or "(?!)"


def any_arm_of(names):
    """The same for arms. Cells of the factorial share a prefix: most matches fail at its letter."""
    cells = [name.removeprefix("f-") for name in names if name not in config["arms"]]
    own = any_of(name for name in names if name in config["arms"])
    return f"{own}|f-(?:{any_of(cells)})" if cells else own


def study_spec(study):
    """Spec of a study, data set apart."""
    return SPECS[study]


def memory_to_train(study):
    """Memory of one training in MB: data and PyTorch, and the activations of its channels."""
    spec = study_spec(study)
    return 2500 + (30 * spec.network.width if is_convolutional(spec) else 0)


def minutes_to_train(study):
    """Time limit of one training on a cluster; a GPU is assumed for convolutions."""
    return 240 if is_convolutional(study_spec(study)) else 60


def rounds(study, first=0):
    """Rounds of a study as two digits."""
    return [
        f"{number:02d}" for number in range(first, ticketlens_studies.rounds(config, study) + 1)
    ]


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
        for seed in arm_seeds(config, arm, study)
    ]


def banks(studies, folder):
    """Ticket bank files of studies in `folder`."""
    return [
        f"{folder}/{study}/seed{seed}.h5"
        for study in studies
        for seed in config["studies"][study]["seeds"]
    ]


def chains(studies):
    """Study, seed, last round and spec of each chain of studies, for what reads ticket banks."""
    return [
        (study, seed, int(rounds(study)[-1]), study_spec(study).to_json())
        for study in studies
        for seed in config["studies"][study]["seeds"]
    ]


def of_factorial(file):
    """Paths of `file` of the factorial's cells, and of the IMP tickets that are trained."""
    arms = [(cell.round, cell.arm) for cell in CELLS if not cell.reason]
    imp = [(cell.round, "imp") for cell in CELLS if set(FACTORIAL) <= set(TRAINED)]
    return [
        f"<results>/checkpoints/{study}/seed{seed}/round{number:02d}/{arm}/{file}"
        for study in FACTORIAL
        for number, arm in dict.fromkeys(imp + arms)
        for seed in config["studies"][study]["seeds"]
    ]


def studies_of(table):
    """Studies that a table has rows of: signal, ladder and Jacobian are those of chains of layers."""
    if table == "residual":
        return RESIDUAL
    if KINDS[table] == "change":  # what training changed: the bank has tickets only
        return [name for name in FULLY_CONNECTED if name in TRAINED]
    if table == "jacobian_spectrum" or KINDS[table] == "ntk":
        return FULLY_CONNECTED
    has_all = KINDS[table] in ("weights", "degrees", "gradients")
    return [name for name in config["studies"] if has_all or name not in RESIDUAL]


def of_kind(convolutional, residual):
    """Studies by the kind of their hidden layers, with or without skips: of any family."""
    return [
        name
        for name, spec in SPECS.items()
        if is_convolutional(spec) == convolutional and is_residual(spec.network) == residual
    ]


def measured(table, suffix="csv"):
    """Measurement files of a table: every ticket, and every trained network that there will be."""
    arms = of_arms(f"measurements/{table}", f"init.{suffix}", with_arms(table))
    return measured_on_imp(table, suffix) + arms


def measured_on_imp(table, suffix="csv"):
    """The same of the IMP chains alone."""
    files = []
    for study in studies_of(table):
        states = ["init", "trained"] if study in TRAINED and table != "degrees" else ["init"]
        states = ["trained"] if KINDS[table] == "change" else states
        files += [
            f"<results>/measurements/{table}/{study}/seed{seed}/round{number}/imp/{state}.{suffix}"
            for seed in config["studies"][study]["seeds"]
            for number in rounds(study)
            for state in states
        ]
    return files


def with_arms(table):
    """Studies whose arms a table has rows of."""
    return [
        study
        for study in studies_of(table)
        if KINDS[table] in measure(study).get("arms", ["signal"]) and of_arms("", "", [study])
    ]


def imp_table(table):
    """A table for figures of the IMP chains: without rows of arms, which had to be made first."""
    return f"<results>/tables/{'imp/' if table in HAVE_ARMS else ''}{table}.csv"


def measure(study):
    """The config's `measure` with what a study changes."""
    return {**config["measure"], **config["studies"][study].get("measure", {})}


def can_rank(study):
    """Whether some round of a study has enough arms, IMP among them, to rank."""
    made = [
        (number, seed)
        for arm in ARMS
        for number in arm_rounds(config, arm, study)
        for seed in arm_seeds(config, arm, study)
    ]
    return any(1 + count >= MIN_ARMS for count in Counter(made).values())


def figures():
    """Figures of the config."""
    return [f"<results>/{name}.png" for name in FIGURES]


def tables():
    """Tidy tables of the config."""
    return [f"<results>/tables/{name}.csv" for name in TABLES]


def labels(figure, study=catalogue.ALL):
    """What the report sorts a figure by: what it shows, of which study, arm and densities."""
    return catalogue.labels(figure, study)


def in_report(file):
    """Path of a file of workflow/report, from the working directory."""
    return os.path.relpath(f"{WORKFLOW}/report/{file}")


def in_reference(file):
    """Path of a file of the reference results, from the working directory."""
    return os.path.relpath(f"{WORKFLOW}/../docs/results/{file}")


def captions():
    """Captions of the figures of the config, one for each kind."""
    return [in_report(f"{key}.rst") for key in dict.fromkeys(map(catalogue.key, FIGURES))]


def titles(left_out=()):
    """Params function: panel titles by study, as `study=title` items, in the order of the config.

    A function, as Snakemake takes braces in plain params for wildcards.
    """
    items = [
        f"{name}={study.get('title', name)}"
        for name, study in config["studies"].items()
        if name not in left_out
    ]
    return lambda wildcards: items


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


onstart:
    ready()
    without_rate_limit()

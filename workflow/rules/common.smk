# Needs: config, WORKFLOW.
# Makes: the checked config, the plan of what it makes, the wildcards; what several rules share.

import json
import os.path
import sys
from pathlib import Path

sys.path.insert(0, WORKFLOW)

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger as snakemake_logger

from ticketlens.jobs import beginning, plugins, preflight, waiting, warm
from ticketlens.jobs.fingerprint import Fingerprints
from ticketlens.jobs.job_graph import plan_quickly
from ticketlens.jobs.once import jobs_begin, work_out_once
from ticketlens.pages import arm_titles, one_minute
from ticketlens.study import foreign_files, image_counts, material, packing, so_far, stacks
from ticketlens.study.arms import not_applicable
from ticketlens.study.catalogue import figures as pictures
from ticketlens.study.catalogue.figures import FIGURES
from ticketlens.study.catalogue.measurements import MEASUREMENTS
from ticketlens.study.catalogue.tables import made_as
from ticketlens.study.config import ConfigError, check_files, checked, export_environment, refuse
from ticketlens.study.options import figure_options, study_titles
from ticketlens.study.plan import Plan
from ticketlens.study.rules import Code, any_arm_of, any_of, memory_to_train, minutes_to_train
from ticketlens.study.rules import TARGETS, source_digest
from ticketlens.study.studies import dataset_split
from ticketlens.tickets.recipe import SALIENCIES
from ticketlens.verdicts import published

work_out_once()
plan_quickly()


def shipped(path):
    """A path of the working directory, or beside the workflow where only that has it."""
    beside = os.path.normpath(os.path.join(WORKFLOW, "..", path))
    return os.path.relpath(beside) if not os.path.exists(path) and os.path.exists(beside) else path


# Where chains are rebuilt from: the user's own bank, else the one that comes with the workflow.
SHIPPED_BANK = shipped("resources/tickets")
export_environment()
try:
    check_files(workflow.configfiles)
    own = plugins.use(config.get("plugins", []))
    config = checked(config)
    config["dataset"]["path"] = shipped(os.path.expanduser(config["dataset"]["path"]))
    PLAN = Plan(config, "<results>", SHIPPED_BANK)
    PLAN.firsts
    # Jobs on other machines read this file too, and need no more than their own inputs.
    refuse(list(foreign_files.missing(config)) if workflow.is_main_process else [])
except (ConfigError, plugins.PluginError) as error:
    raise WorkflowError(str(error)) from None
DATASET = f"resources/{config['dataset']['name']}.h5"
# A trial's bank stays with the trial: only the study itself writes to resources/.
BANK = "resources/tickets" if config["results"] == "results" else f"{config['results']}/tickets"
CAPTIONED = {path.stem for path in Path(WORKFLOW, "report").glob("*.rst")}
PLACE = "{study}/seed{seed}/round{round}/{arm}"
code = Code(PLAN, Fingerprints(Path(WORKFLOW) / "scripts", plugins=own))


def begin():
    """Before the first job: stop a run that cannot write its results, or has too few images."""
    # Of two `--configfile` flags Snakemake (9.27) drops the first without a word.
    files = ", ".join(os.path.relpath(file) for file in workflow.configfiles)
    print(f"config files of this run: {files}", file=sys.stderr)
    try:
        preflight.check(config["results"])
        image_counts.check(config)
        for line in image_counts.cut_measurements(config):
            print(line, file=sys.stderr)
    except (preflight.PreflightError, ConfigError) as error:
        raise WorkflowError(str(error)) from None
    jobs_begin()
    beginning.without_rate_limit(workflow)
    waiting.take_what_is_there(workflow, sys.argv[1:])
    warm.use(workflow)
    waiting.follow(workflow, snakemake_logger, f"{config['results']}/logs/run.txt")


beginning.of_a_module(workflow, begin)


def of_workflow(path):
    """Path of a file, given from the folder `workflow`, from the working directory."""
    return os.path.relpath(os.path.join(WORKFLOW, path))


def documented(name, text):
    """Give a rule that is made in a loop its docstring, which `snakemake --list` shows."""
    workflow.get_rule(workflow.modifier.modify_rulename(name)).docstring = text


wildcard_constraints:
    study=any_of(config["studies"]),
    seed=r"0|[1-9]\d*",
    round=r"\d\d",
    # Which arms there are, the rules that construct them know: their names would make every pattern
    # of a file three thousand characters long.
    arm=r"[^/]+",
    state="init|trained",


onstart:
    begin()

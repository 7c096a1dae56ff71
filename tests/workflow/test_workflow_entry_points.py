"""The commands that a newcomer types, in what a fresh clone has."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from ticketlens.study.catalogue.figures import FIGURES
from ticketlens.study.config import checked
from ticketlens.study.rules import TARGETS
from ticketlens.study.studies import rounds
from workflow_tools import REPOSITORY, clone, environment, rules, run, tiny_clone

pytestmark = pytest.mark.workflow
SNAKEFILES = ("Snakefile", "workflow/Snakefile")
# What a user's own workflow writes, and snakedeploy (0.17.1) for him: with `github(...)`.
MODULE = """
configfile: "config/config.yaml"


module lens:
    snakefile:
        {snakefile}
    config:
        config


use rule * from lens
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone(tmp_path_factory.mktemp("fresh") / "clone")


def snakemake(folder: Path, *arguments: str) -> str:
    result = run(folder, [sys.executable, "-m", "snakemake", *arguments])
    assert result.returncode == 0, result.stdout
    return result.stdout


def plan(folder: Path, *arguments: str) -> str:
    """The job counts of a dry run."""
    return snakemake(folder, *arguments, "-n", "--quiet", "rules")


def counts(output: str) -> dict[str, int]:
    """Number of jobs by rule, from the table of a dry run."""
    table = output.rpartition("Job stats:\n")[2]
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def trainings(*overlays: str) -> int:
    """Number of networks of the imp arm that a config trains."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    for name in overlays:
        update_config(config, yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8")))
    config = checked(config)
    return sum(
        len(study["seeds"]) * (rounds(config, name) + 1)
        for name, study in config["studies"].items()
        if study.get("tickets") != "bank"
    )


@pytest.mark.parametrize(
    ("arguments", "overlays"),
    [
        (["--cores", "8", "all"], []),
        (["--profile", "slurm"], []),
        (["--configfile", "config/quick.yaml"], ["config/quick.yaml"]),
        (["--configfile", "config/cpu.yaml"], ["config/cpu.yaml"]),
    ],
    ids=" ".join,
)
def test_commands_resolve_in_a_fresh_clone(
    fresh: Path, arguments: list[str], overlays: list[str]
) -> None:
    found = counts(plan(fresh, *arguments))
    assert found["train"] >= trainings(*overlays)
    assert found["prepare_dataset"] == 1


def test_all_entry_points_plan_the_same_jobs(fresh: Path, tmp_path: Path) -> None:
    """By the root Snakefile, from another folder, with --directory, and as a module."""
    wanted = counts(plan(fresh, "all", "--configfile", "config/quick.yaml"))
    elsewhere, module = tmp_path / "elsewhere", tmp_path / "module"
    elsewhere.mkdir()
    snakefile, quick = str(fresh / "workflow/Snakefile"), str(fresh / "config/quick.yaml")
    assert counts(plan(elsewhere, "-s", snakefile, "--configfile", quick)) == wanted
    everything = counts(plan(fresh, "--directory", str(elsewhere), "--configfile", quick))
    assert everything.pop("everything") == 1
    assert {**everything, "all": 1} == wanted
    (module / "config").mkdir(parents=True)
    (module / "Snakefile").write_text(MODULE.format(snakefile=repr(snakefile)))
    config = yaml.safe_load((fresh / "config/config.yaml").read_text(encoding="utf-8"))
    update_config(config, yaml.safe_load((fresh / "config/quick.yaml").read_text(encoding="utf-8")))
    (module / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    assert counts(plan(module, "all", "--cores", "1")) == wanted


def test_without_a_config_of_its_own_a_folder_gets_the_study_s(fresh: Path, tmp_path: Path) -> None:
    snakefile = str(fresh / "workflow/Snakefile")
    assert counts(plan(tmp_path, "-s", snakefile)) == counts(plan(fresh, "all"))


TICKET = "results/checkpoints/fcnet-normal/seed0/round00/imp/ticket.h5"


def importer(folder: Path, here: Path, snakefile: str) -> Path:
    """A folder of a Snakefile that imports the workflow of `here`, and of the tiny config."""
    (folder / "config").mkdir(parents=True)
    (folder / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
    config = yaml.safe_load((here / "config/config.yaml").read_text(encoding="utf-8"))
    update_config(config, yaml.safe_load((here / "tiny.yaml").read_text(encoding="utf-8")))
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def test_a_module_trains_with_the_library_beside_its_snakefile(tmp_path: Path) -> None:
    """From a folder that has neither the library nor the images, up to a trained network.

    The importer gives the rules names of its own, as who imports two workflows does.
    """
    here = tiny_clone(tmp_path / "clone")
    module = importer(tmp_path / "module", here, f'"{here}/workflow/Snakefile"')
    snakefile = (module / "Snakefile").read_text()
    (module / "Snakefile").write_text(f"{snakefile.rstrip()} as lens_*\n")
    trained = TICKET.replace("ticket.h5", "trained.h5")
    said = snakemake(module, trained, "--cores", "1")
    assert (module / trained).is_file()
    assert not (here / "results").exists()
    # What a run does at its start, which Snakemake leaves out for modules.
    assert "config files of this run: config/config.yaml" in said


def test_a_workflow_fetched_from_a_git_host_brings_its_library(tmp_path: Path) -> None:
    """As snakedeploy writes it; git is told that the host is a folder."""
    here = tiny_clone(tmp_path / "clone")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "all"]):
        assert run(here, [*git, *arguments]).returncode == 0
    source = 'github("someone/lens", path="workflow/Snakefile", branch="main")'
    module = importer(tmp_path / "module", here, source)
    env = environment() | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{here}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/someone/lens",
    }
    command = [sys.executable, "-m", "snakemake", TICKET, "--cores", "1"]
    result = run(module, command, env)
    assert result.returncode == 0, result.stdout
    assert (module / TICKET).is_file()
    (whole,) = (module / ".snakemake/ticketlens").iterdir()
    assert (whole / "workflow/ticketlens/spec.py").is_file()


def test_a_figure_is_a_target_and_needs_no_further_option(fresh: Path) -> None:
    found = counts(plan(fresh, "results/accuracy.png"))
    assert found["plot_accuracy"] == 1
    assert "plot_training_curves" not in found


@pytest.mark.parametrize("figure", ["accuracy", "chi", "qmap", "cmap", "training_curves"])
def test_a_figure_of_the_tickets_needs_no_arms(fresh: Path, figure: str) -> None:
    quick = ("--configfile", "config/quick.yaml")
    found = counts(plan(fresh, f"results/quick/{figure}.png", *quick))
    assert 0 < found["train"] <= trainings("config/quick.yaml")  # fewer without residual networks
    assert "construct" not in found
    assert "construct" in counts(plan(fresh, "results/quick/zero_shot.png", *quick))


def test_nor_does_one_whose_measurement_is_made_on_arms_as_well(fresh: Path) -> None:
    (fresh / "wide.yaml").write_text("{results: results/wide, measure: {arms: [weights]}}")
    overlays = ("--configfile", "config/quick.yaml", "wide.yaml")
    for figure in ("histograms-fcnet-normal-init", "weight_std", "chi"):
        assert "construct" not in counts(plan(fresh, f"results/wide/{figure}.png", *overlays))
    assert "construct" in counts(plan(fresh, "results/wide/tables/histograms.csv", *overlays))


def test_the_committed_tickets_are_measured_on_other_images_of_their_shape(
    tmp_path: Path,
) -> None:
    folder = clone(tmp_path / "clone")
    (folder / "resources" / "tickets").symlink_to(REPOSITORY / "resources" / "tickets")
    quick = yaml.safe_load((folder / "config/quick.yaml").read_text(encoding="utf-8"))
    (folder / "images.yaml").write_text(yaml.safe_dump({"dataset": quick["dataset"]}))
    target = "results/bank/measurements/qmap/fcnet-normal/seed0/round15/imp/init.csv"
    overlays = ("--configfile", "config/bank.yaml", "images.yaml")
    snakemake(folder, target, "--cores", "1", *overlays)
    q = pd.read_csv(folder / target)["q"]
    assert len(q) == 8 and q.between(0.05, 3).all()


def test_overlays_combine_and_figures_of_a_trial_are_targets_too(fresh: Path) -> None:
    (fresh / "more.yaml").write_text("{results: results/trial, pruning: {rounds: 1}}")
    overlays = ("--configfile", "config/quick.yaml", "more.yaml")
    found = counts(plan(fresh, "results/trial/accuracy.png", *overlays))
    assert found["train"] < trainings("config/quick.yaml")


def test_a_figure_goes_by_its_plain_name(fresh: Path) -> None:
    quick = ("--configfile", "config/quick.yaml")
    by_file = counts(plan(fresh, "results/quick/chi.png", *quick))
    by_name = counts(plan(fresh, "chi", *quick))
    assert by_name == {**by_file, "chi": 1, "total": by_file["total"] + 1}


def test_a_figure_of_one_study_trains_nothing_else(fresh: Path) -> None:
    target = "results/quick/fcnet-normal/chi.png"
    found = plan(fresh, target, "--configfile", "config/quick.yaml")
    assert counts(found)["train"] == 2 * 4
    assert "measure_signal_conv" not in counts(found)
    listed = snakemake(fresh, target, "-n", "--configfile", "config/quick.yaml")
    made = re.findall(r"^    output: (.+)$", listed, re.MULTILINE)
    assert made and not [file for file in made if "convnet" in file or "resnet" in file]


def test_braces_in_titles_are_text(fresh: Path) -> None:
    titles = {
        "studies": {"fcnet-normal": {"title": r"$\sigma_{w}=1.4$ {seed}"}},
        "arms": {"uniform-bimodal": {"title": "$x_{1}$ {study}"}},
    }
    (fresh / "titles.yaml").write_text(yaml.safe_dump(titles))
    assert counts(plan(fresh, "--configfile", "config/quick.yaml", "titles.yaml"))["plot_chi"] == 1


def test_what_no_image_can_give_is_said_before_the_first_job(fresh: Path) -> None:
    overlay = {"training": {"batch_size": 100_000}, "results": "results/impossible"}
    (fresh / "impossible.yaml").write_text(yaml.safe_dump(overlay))
    overlays = ("--configfile", "config/quick.yaml", "impossible.yaml")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *overlays]
    result = run(fresh, command)
    assert result.returncode != 0
    assert "config files of this run: config/quick.yaml, impossible.yaml" in result.stdout
    assert "batch_size is 100000, more than the 4000 training images" in result.stdout
    assert not (fresh / "results/impossible/checkpoints").exists()


def test_every_rule_is_listed_with_a_docstring_of_its_own(fresh: Path) -> None:
    listed = dict(re.findall(r"^(\w+) \((.+\.|.+\?)\)$", snakemake(fresh, "--list"), re.MULTILINE))
    more = {key for key, figure in FIGURES.items() if not figure.by_request}
    more |= {name for name in listed if name.endswith("_of_one_study")}
    # Targets of a loop; and no study of config.yaml trains together with others.
    named = {rule.name for rule in rules()} - {"train_stacked"} | set(TARGETS)
    assert set(listed) - more == named - more
    assert {"chi", "plot_chi_of_one_study"} <= set(listed)
    assert len(set(listed.values())) == len(listed), "two rules read the same"
    assert all(len(text) <= 100 for text in listed.values())


def test_the_workflow_catalog_finds_what_it_documents() -> None:
    """A page of its own takes workflow/Snakefile, config/README.md and these keys, no others."""
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert {key: type(text) for key, text in usage["mandatory-flags"].items()} == {
        "desc": str,
        "flags": str,
    }
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    assert all(isinstance(value, bool) for value in [*deployment.values(), usage["report"]])
    assert deployment["conda"] == any("envs/" in rule.text for rule in rules())
    assert (REPOSITORY / "workflow/Snakefile").is_file()
    assert (REPOSITORY / "config/README.md").is_file()
    words = (REPOSITORY / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in words and "workflow" in words


def test_the_workflow_is_lint_clean(fresh: Path) -> None:
    assert "your workflow is in a good condition" in snakemake(fresh, "--lint")


def test_the_rules_are_formatted(fresh: Path) -> None:
    command = [sys.executable, "-m", "snakefmt", "--check", *SNAKEFILES, "workflow/rules"]
    options = ["--config", str(REPOSITORY / "pyproject.toml")]
    result = run(fresh, [*command, *options])
    assert result.returncode == 0, result.stdout


def test_profiles_leave_the_executor_to_the_command_line() -> None:
    """The default profile overrides `--profile slurm` key by key: it must not hold its keys."""
    default, slurm = (
        yaml.safe_load((REPOSITORY / f"profiles/{name}/profile.yaml").read_text())
        for name in ("default", "slurm")
    )
    assert not set(default) & {"executor", "jobs", "default-resources", "resources", "profile"}
    assert isinstance(default["cores"], int)
    assert slurm["executor"] == "slurm"
    assert "code" not in default["rerun-triggers"]
    assert {"mtime", "params", "input"} <= set(default["rerun-triggers"])
    assert not {"keep-incomplete", "rerun-triggers"} & set(slurm)


def test_the_slurm_profile_is_found_by_its_name_in_a_clone() -> None:
    link = REPOSITORY / "slurm"
    assert link.is_symlink() and not link.readlink().is_absolute()
    assert (link / "profile.yaml").is_file()

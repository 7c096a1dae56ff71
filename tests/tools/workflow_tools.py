"""Tools of the workflow tests: a copy of the workflow with tiny data, and Snakemake runs in it.

Every test that changes something works in a copy of its own. The finished tiny run that many of
them start from is made once per test session.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from core_tools import write_images
from ticketlens.study.catalogue.figures import FIGURES
from ticketlens.study.catalogue.measurements import MEASUREMENTS
from ticketlens.study.catalogue.tables import TABLES
from ticketlens.study.config import checked

REPOSITORY = Path(__file__).resolve().parents[2]
CATALOGUE = {"MEASUREMENTS": MEASUREMENTS, "TABLES": TABLES, "FIGURES": FIGURES}
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles", "slurm", "resources")
# What a clone does not have: prepared data, downloads, caches. The ticket bank stays behind, too.
NOT_CLONED = ("__pycache__", "*.h5", "cifar10", "*.zip")
TINY = """
dataset: {name: tiny, source: folder, path: images, validation: 15}
networks:
  fcnet: {hidden_layers: 2, width: 8}
  convnet: {hidden_layers: 2, width: 4, stride: 1}
studies:
  fcnet-normal: {seeds: [0]}
  fcnet-orthogonal: null
  convnet-normal: {seeds: [0], pruning: {rounds: 0}}
  resnet-fc-normal: null
  resnet-conv-normal: null
training: {epochs: 2, batch_size: 9}
pruning: {rounds: 1}
interventions: {studies: []}
"""


@dataclass(frozen=True)
class Job:
    """One job of a plan: its rule, its files and why it runs."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wildcards: tuple[str, ...]
    reason: str

    @property
    def is_changed(self) -> bool:
        """Whether its own code or parameters changed, not just what it reads."""
        return "have changed since last execution" in self.reason


def clone(folder: Path) -> Path:
    """Copy what a fresh clone has into `folder`; the embedded images by a link."""
    folder.mkdir(parents=True)
    for name in PARTS:
        source = REPOSITORY / name
        if source.is_symlink() or source.is_file():
            shutil.copy2(source, folder / name, follow_symlinks=False)
        else:
            left = NOT_CLONED + (("tickets",) if name == "resources" else ())
            ignore = shutil.ignore_patterns(*left)
            shutil.copytree(source, folder / name, symlinks=True, ignore=ignore)
    for archive in (REPOSITORY / "resources").glob("*.zip"):
        (folder / "resources" / archive.name).symlink_to(archive)
    return folder


def tiny_clone(folder: Path) -> Path:
    """A clone with tiny.yaml, an overlay that trains small networks on a few small images."""
    clone(folder)
    write_images(folder / "images", train=20, test=5, size=(8, 8))
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return folder


def merged(*overlays: str) -> dict[str, Any]:
    """The full study's config with overlays of config/, as Snakemake merges them, checked."""

    def merge(below: dict[str, Any], above: dict[str, Any]) -> None:
        for key, value in above.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                merge(below[key], value)
            else:
                below[key] = value

    config: dict[str, Any] = {}
    for name in ("config", *overlays):
        merge(config, yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text("utf-8")))
    return checked(config)


def snakemake_command(*arguments: str, overlays: tuple[str, ...] = ()) -> list[str]:
    """The command line; `overlays` are config files laid over tiny.yaml."""
    return snakemake_with("tiny.yaml", *overlays, arguments=arguments)


def snakemake_with(*configs: str, arguments: Sequence[str]) -> list[str]:
    """The command line with these config files."""
    return [sys.executable, "-m", "snakemake", *arguments, "--configfile", *configs]


def environment() -> dict[str, str]:
    """This process's environment without what could hide a mistake: the path of the library."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run(
    folder: Path, command: list[str], env: Mapping[str, str] | None = None, timeout: float = 1800
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`; standard output and error come together in `stdout`."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment() if env is None else env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def snakemake(folder: Path, *arguments: str, overlays: tuple[str, ...] = ()) -> str:
    """Run Snakemake with the tiny config; return its output, fail the test if it fails."""
    result = run(folder, snakemake_command(*arguments, overlays=overlays))
    assert result.returncode == 0, result.stdout
    return result.stdout


def failing_snakemake(folder: Path, *arguments: str, overlays: tuple[str, ...] = ()) -> str:
    """Run Snakemake and return its output; fail the test if it succeeds."""
    result = run(folder, snakemake_command(*arguments, overlays=overlays))
    assert result.returncode != 0, result.stdout
    return result.stdout


def overlay(folder: Path, config: dict) -> tuple[str]:
    """Write a config file into `folder`; return its path for `overlays`."""
    file = folder / "overlay.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return (str(file),)


def only(**studies: dict) -> dict[str, dict | None]:
    """The `studies` of an overlay that leaves no others of config.yaml."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    return dict.fromkeys(config["studies"]) | {
        name.replace("_", "-"): study for name, study in studies.items()
    }


def plan(folder: Path, *arguments: str, overlays: tuple[str, ...] = ()) -> list[Job]:
    """The jobs that Snakemake would run, target rules (which make no file) left out."""
    return jobs(snakemake(folder, "-n", *arguments, overlays=overlays))


def jobs(output: str) -> list[Job]:
    """Read the jobs of a dry run's output."""
    found = []
    for block in re.split(r"\n(?=(?:local)?(?:rule|checkpoint) \w+:\n)", output)[1:]:
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
        if "output" in fields:
            found.append(
                Job(
                    rule=re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", block)[1],
                    inputs=tuple(fields.get("input", "").split(", ")),
                    outputs=tuple(fields["output"].split(", ")),
                    wildcards=tuple(re.findall(r"(\w+)=", fields.get("wildcards", ""))),
                    reason=fields.get("reason", ""),
                )
            )
    return found


def shared(
    tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]
) -> Path:
    """A folder that `build` fills once per test session, whatever the number of processes.

    Never change it: dry runs are fine, all else happens in a copy.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            assert not folder.exists(), f"{name} failed before, see the first test that failed"
            build(folder)
            done.touch()
    return folder


def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the tiny config has been run to the end (see `shared`)."""

    def build(folder: Path) -> None:
        snakemake(tiny_clone(folder), "all", "--cores", "2")

    return shared(tmp_path_factory, "finished-run", build)


def copy_run(source: Path, target: Path) -> Path:
    """Copy a run with its modification times, links and Snakemake's records."""
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@dataclass(frozen=True)
class Rule:
    """A rule as its .smk file has it; `code` is the script whose fingerprint it carries.

    `about` is its docstring, `entries` what it has of the catalogue, `module` whose function that
    names.
    """

    name: str
    text: str
    script: str | None
    code: str | None
    environment: str | None
    about: str
    entries: Mapping[str, Sequence[str]]
    module: str | None


LOOP = re.compile(
    r"^for key, \w+ in (\w+)\.items\(\):$.*?^    rule:\n(        name:\n            "
    r'f"(\w+)_\{key\}"\n.*?)(?=^    \S|\Z)',
    re.DOTALL | re.MULTILINE,
)
STACKS = re.compile(
    r"^for stack in .*?^    rule:\n(        name:.*?)^    documented\(stack.name, f\"(.*?)\"\)",
    re.DOTALL | re.MULTILINE,
)


def rules() -> list[Rule]:
    """All rules of the workflow; one that reuses another (`use rule`) has its directives."""
    blocks: dict[str, tuple[str | None, str]] = {}
    files = [REPOSITORY / "Snakefile", REPOSITORY / "workflow/Snakefile"]
    files += sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        for registry, body, verb in LOOP.findall(text):
            found += _of_entries(registry, textwrap.dedent(body), verb)
        for body, about in STACKS.findall(text):
            body = textwrap.indent(textwrap.dedent(body), "    ")
            found.append(_rule("train_stacked", body, about, {}))
        for block in re.split(r"^(?=(?:rule|checkpoint|use rule) )", text, flags=re.MULTILINE)[1:]:
            block = re.split(r"\n(?=[a-z#])", block)[0]
            head = re.match(r"(?:rule|checkpoint|use rule (\w+) as) (\w+)", block)
            blocks[head[2]] = (head[1], block)
    texts = {name: text + blocks.get(base, (None, ""))[1] for name, (base, text) in blocks.items()}
    for name, text in texts.items():
        table = _first(r'TABLES=\["(\w+)"\]', text)
        # Any of the tables that one function makes.
        table = table or ("qmap" if 'TABLES=["{table}"]' in text else None)
        about = _first(r':\n    """(.+)"""', text) or ""
        found.append(_rule(name, text, about, {"TABLES": [table]} if table else {}))
    return found


def _of_entries(registry: str, body: str, verb: str) -> list[Rule]:
    """The rules that a loop over the entries of a registry of the catalogue makes."""
    body = textwrap.indent(body, "    ")
    rules = []
    for key, entry in CATALOGUE[registry].items():
        text = body.replace("{entry.environment}", getattr(entry, "environment", ""))
        rules.append(_rule(f"{verb}_{key}", text, entry.about, {registry: [key]}))
    return rules


def _rule(name: str, text: str, about: str, entries: Mapping[str, Sequence[str]]) -> Rule:
    functions = [CATALOGUE[name][key].function for name, (key,) in entries.items()]
    return Rule(
        name,
        text,
        _first(r'^    script:\n        "\.\./scripts/(\w+)\.py"', text),
        _first(r'^        code=code\("(\w+)"', text),
        _first(r'envs/(\w+\.yaml)"', text),
        about,
        entries,
        functions[0].partition(":")[0] if functions else None,
    )


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, flags=re.MULTILINE)
    return found[1] if found else None


def script_rules() -> list[Rule]:
    """The rules that run a script of the project."""
    return [rule for rule in rules() if re.search(r"^    script:", rule.text, re.MULTILINE)]

"""What every rule and every script of the workflow owes to the others."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ticketlens.jobs.fingerprint import reached
from workflow_tools import (
    CATALOGUE,
    REPOSITORY,
    Rule,
    environment,
    rules,
    script_rules,
    shared,
)

SCRIPTS = REPOSITORY / "workflow" / "scripts"
LIBRARY = REPOSITORY / "workflow" / "ticketlens"
RULES = script_rules()
# Import name of a package, where it differs from the name that it is installed by.
INSTALLED_AS = {"PIL": "pillow", "yaml": "pyyaml"}
# Modules of analysis jobs that import torch, if at all, inside the one function that downloads.
DOWNLOADERS = {"sources.py"}
LOAD = """
import importlib, importlib.util, json, multiprocessing, sys
import h5py, matplotlib.pyplot, numpy, pandas, scipy.stats  # once, for speed; none imports torch

def load(job):
    script, _, module = job.partition(":")
    spec = importlib.util.spec_from_file_location("script", script)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    if module:
        importlib.import_module(module)
    own = [m.__file__ for name, m in sys.modules.items() if name.split(".")[0] == "ticketlens"]
    return {"torch": "torch" in sys.modules, "own": own}

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(dict(zip(sys.argv[1:], pool.map(load, sys.argv[1:], chunksize=1)))))
"""


def named(rule: Rule) -> str:
    return rule.name


def script_of(rule: Rule) -> Path:
    return SCRIPTS / f"{rule.script}.py"


def job_of(rule: Rule) -> str:
    """The script of a rule, with the module that its entry of the catalogue has it import."""
    return f"{script_of(rule)}:{rule.module}" if rule.module else str(script_of(rule))


def files_of(rule: Rule) -> set[Path]:
    """Modules that the script of a rule reaches, its entry of the catalogue among them."""
    return reached(script_of(rule), LIBRARY, rule.entries)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What the job of each rule loads: own modules, and whether torch."""
    jobs = sorted({job_of(rule) for rule in RULES})

    def build(file: Path) -> None:
        found = subprocess.run(
            [sys.executable, "-c", LOAD, *jobs],
            env=environment() | {"PYTHONPATH": str(LIBRARY.parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        file.write_text(found.stdout, encoding="utf-8")

    return json.loads(shared(tmp_path_factory, "loaded.json", build).read_text(encoding="utf-8"))


def test_every_script_has_a_rule_and_every_rule_its_script() -> None:
    assert {rule.script for rule in RULES} == {path.stem for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_script_rule_carries_the_fingerprint_of_its_own_script(rule: Rule) -> None:
    assert rule.code == rule.script


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_script_rule_has_a_docstring_a_log_and_an_environment(rule: Rule) -> None:
    assert rule.about
    assert re.search(r"^    log:", rule.text, flags=re.MULTILINE)
    assert (REPOSITORY / "envs" / str(rule.environment)).is_file()


def python_between(text: str) -> list[str]:
    """Lines of a file outside rules and other directives, blank ones and comments left out."""
    directive = re.compile(
        r"\s*((use )?rule\b.*|localrules|include|wildcard_constraints|pathvars|report|configfile"
        r"|onstart|ruleorder)\s*:"
    )
    found, inside = [], None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if (
            not line.strip()
            or line.lstrip().startswith("#")
            or (inside is not None and indent > inside)
        ):
            continue
        inside = indent if directive.match(line) else None
        if inside is None:
            found.append(line)
    return found


def test_rules_are_few_lines_with_little_python_between_them() -> None:
    """Python is all of common.smk, as it holds no rule, and what stands between rules elsewhere."""
    files = [REPOSITORY / "workflow/Snakefile", *(REPOSITORY / "workflow/rules").glob("*.smk")]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    assert sum(len(text.splitlines()) for text in texts.values()) <= 1100
    helpers = len(texts.pop("common.smk").splitlines())
    assert helpers + sum(len(python_between(text)) for text in texts.values()) <= 150


def test_every_entry_of_the_catalogue_names_a_function_that_there_is() -> None:
    for registry in CATALOGUE.values():
        for key, entry in registry.items():
            module, _, name = entry.function.partition(":")
            assert callable(getattr(importlib.import_module(module), name)), key


def test_no_rule_runs_python_outside_a_script() -> None:
    """`run:` starts a whole Snakemake per job; `notebook:` and `wrapper:` have no fingerprint."""
    found = [
        rule.name
        for rule in rules()
        if re.search(r"^    (run|notebook|wrapper|template_engine):", rule.text, re.MULTILINE)
    ]
    assert not found


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_no_script_reads_what_its_parameters_do_not_say(script: Path) -> None:
    """A config entry, or a file that is no input, would not be a reason to run again."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "snakemake"
    }
    assert used <= {"input", "output", "params", "wildcards", "log", "threads", "resources"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"open", "__file__"}


def test_scripts_are_few_and_thin() -> None:
    assert len(list(SCRIPTS.glob("*.py"))) <= 20
    lengths = {path.name: len(path.read_text().splitlines()) for path in SCRIPTS.glob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 45} == {}


def test_fingerprints_reach_all_modules_that_python_loads(loaded: dict[str, dict]) -> None:
    for rule in RULES:
        # The rooms' own files hold a docstring alone, see test_rooms.py.
        own = {Path(file) for file in loaded[job_of(rule)]["own"] if "__init__" not in file}
        assert own <= files_of(rule), rule.name


def test_only_rules_whose_environment_has_torch_import_it(loaded: dict[str, dict]) -> None:
    """An analysis job starts in a fraction of a second; importing torch alone takes two."""
    without = [rule for rule in RULES if "torch" not in packages(rule)]
    assert [rule.name for rule in without if loaded[job_of(rule)]["torch"]] == []


def test_no_analysis_script_reaches_torch_inside_a_function() -> None:
    for rule in RULES:
        if "torch" in packages(rule):
            continue
        for module in files_of(rule):
            if module.name not in DOWNLOADERS:
                assert not imports(module, everywhere=True) & {"torch", "torchvision"}, module


def test_the_documents_name_the_modules_that_import_torch() -> None:
    text = (REPOSITORY / "docs/extending.md").read_text(encoding="utf-8")
    said = re.findall(r"`([\w.]+)`", re.search(r"library import PyTorch: ([^;]+);", text)[1])
    names = {
        ".".join(file.relative_to(LIBRARY).with_suffix("").parts)
        for file in LIBRARY.rglob("*.py")
        if "torch" in imports(file)
    }
    parts = {part: {name for name in names if f"{name}.".startswith(f"{part}.")} for part in said}
    assert set().union(*parts.values()) == names
    assert all(parts.values()), "a part that imports no PyTorch"


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_environment_of_a_rule_has_all_that_its_script_imports(rule: Rule) -> None:
    files = {script_of(rule), *files_of(rule)}
    needed = set().union(*(imports(file) for file in files)) - {"ticketlens"}
    missing = {INSTALLED_AS.get(name, name) for name in needed} - set(packages(rule))
    assert not missing


def packages(rule: Rule) -> dict[str, str]:
    return pinned(REPOSITORY / "envs" / str(rule.environment))


def pinned(file: Path) -> dict[str, str]:
    """Versions by package, lower case, of a lock or environment file."""
    lines = re.findall(r"^[\s-]*([\w.-]+)==([\w.+-]+)$", file.read_text(), flags=re.MULTILINE)
    return {name.lower(): version for name, version in lines}


def imports(file: Path, everywhere: bool = False) -> set[str]:
    """Top-level names of packages that a module imports when loaded, or `everywhere` in it."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    found = set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # for type checkers alone
        elif everywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += ast.iter_child_nodes(node)
    return found - sys.stdlib_module_names


@pytest.mark.parametrize("file", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=lambda f: f.stem)
def test_conda_environments_have_the_versions_of_the_lock(file: Path) -> None:
    lock, found = pinned(REPOSITORY / "requirements.lock"), pinned(file)
    assert found
    assert found == {name: lock.get(name) for name in found}
    pip_lines = re.findall(r"^      - (.+)$", file.read_text(), flags=re.MULTILINE)
    assert len(pip_lines) == len(found), "every package has an exact version"


def test_versions_are_said_alike_everywhere() -> None:
    texts = {
        name: (REPOSITORY / name).read_text(encoding="utf-8")
        for name in ("workflow/Snakefile", "pyproject.toml", "README.md", "Makefile",
                     "requirements.lock", "CHANGELOG.md", "CITATION.cff")
    }  # fmt: skip
    least = re.search(r'min_version\("(.+)"\)', texts["workflow/Snakefile"])[1]
    assert f'"snakemake[reports]>={least}"' in texts["pyproject.toml"]
    pythons = re.search(r"Python [\d.]+ to [\d.]+", texts["requirements.lock"])[0]
    assert pythons in texts["README.md"] and pythons in texts["Makefile"]
    oldest, newest = re.findall(r"3\.(\d+)", pythons)
    beyond = int(newest) + 1
    assert f'requires-python = ">=3.{oldest},<3.{beyond}"' in texts["pyproject.toml"]
    assert f"not (3, {oldest}) <= sys.version_info < (3, {beyond})" in texts["Makefile"]
    # Advice without a GPU names no version: `make` takes PyTorch's from the lock.
    assert "make quick TORCH=cpu" in texts["README.md"] and "torch==" not in texts["README.md"]
    is_released = "(unreleased)" not in re.search(r"^## .+$", texts["CHANGELOG.md"], re.M)[0]
    assert is_released == ("date-released" in texts["CITATION.cff"])


def test_every_environment_is_used() -> None:
    used = {rule.environment for rule in RULES}
    assert used == {file.name for file in (REPOSITORY / "envs").glob("*.yaml")}


def test_images_are_prepared_first_so_that_a_run_without_any_fails_at_once() -> None:
    found = {
        rule.name: re.search(r"^    priority: (\d+)", rule.text, re.MULTILINE) for rule in RULES
    }
    priorities = {name: int(match[1]) for name, match in found.items() if match}
    assert priorities.pop("prepare_dataset") > max([0, *priorities.values()])

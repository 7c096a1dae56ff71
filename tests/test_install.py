"""`make` installs what is locked, PyTorch's CPU build where asked; what the files say agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from workflow_tools import REPOSITORY

# A Python that notes what it is called for, and for which PyTorch's index is open or not.
FAKE = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--index-url*)
    test {index} = 0 || echo "ERROR: ResolutionImpossible" >&2; exit {index} ;;
esac
mkdir -p .venv
"""
LOCKED = dict(
    line.split("==")
    for line in (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if "==" in line
)
PYTORCH = f"torch=={LOCKED['torch']} torchvision=={LOCKED['torchvision']}"


def make(folder: Path, *arguments: str, index: int = 0) -> tuple[str, list[str]]:
    """Run make's set-up with the fake Python; return what it says and what Python was asked."""
    for name in ("Makefile", "requirements.lock", "requirements.hashes"):
        shutil.copy(REPOSITORY / name, folder)
    fake = folder / "python"
    fake.write_text(FAKE.format(index=index), encoding="utf-8")
    fake.chmod(0o755)
    (folder / "calls").write_text("", encoding="utf-8")
    command = ["make", "setup", f"PYTHON={fake}", f"BIN={folder}", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == (2 if "gpu" in str(arguments) else 0), done.stderr
    calls = (folder / "calls").read_text(encoding="utf-8").splitlines()
    return done.stdout + done.stderr, [call for call in calls if "pip install" in call]


def test_one_word_takes_the_cpu_build_from_pytorch_s_own_index_once(tmp_path: Path) -> None:
    _, (torch, hashed, rest, own) = make(tmp_path, "TORCH=cpu")
    assert hashed.endswith("--require-hashes -r requirements.hashes")
    assert "--index-url https://download.pytorch.org/whl/cpu" in torch and PYTORCH in torch
    assert "--index-url" not in rest and "requirements.lock" in rest and "-e ." in own
    assert make(tmp_path, "TORCH=cpu")[1] == [], "a second call installs nothing"


def test_where_the_index_cannot_be_reached_it_says_so_and_takes_the_usual_build(
    tmp_path: Path,
) -> None:
    said, calls = make(tmp_path, "TORCH=cpu", index=1)
    sentence = (
        "does not give the CPU build of PyTorch: taking the usual one (why: .venv/torch-cpu.log)"
    )
    assert said.count(sentence) == 1 and "ERROR" not in said
    assert "ResolutionImpossible" in (tmp_path / ".venv/torch-cpu.log").read_text(encoding="utf-8")
    assert len(calls) == 4 and "requirements.lock" in calls[2]


def test_without_the_word_nothing_changes_and_the_word_later_counts(tmp_path: Path) -> None:
    _, calls = make(tmp_path)
    assert len(calls) == 3 and not any("--index-url" in call for call in calls)
    assert make(tmp_path)[1] == []
    assert any("--index-url" in call for call in make(tmp_path, "TORCH=cpu")[1])


def test_an_environment_that_is_a_link_is_set_up_where_it_leads(tmp_path: Path) -> None:
    """Python's venv refuses the link itself."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".venv").symlink_to("elsewhere")
    make(tmp_path)
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert f"-m venv {tmp_path}/elsewhere" in calls
    assert (tmp_path / ".venv").is_symlink() and (tmp_path / "elsewhere/installed.lock").is_file()


def test_every_locked_version_but_pytorch_s_has_hashes() -> None:
    """PyTorch's are what differs between machines: CPU or CUDA. `make lock` writes the file."""
    text = (REPOSITORY / "requirements.hashes").read_text(encoding="utf-8")
    hashed = {}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        if found := re.match(r"([\w.-]+)==(\S+)", block):
            hashed[found[1]] = found[2]
            assert re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block), found[1]
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in LOCKED.items()}
    assert plain.pop("torch") and plain.pop("torchvision")
    assert hashed == plain


def test_another_word_is_refused(tmp_path: Path) -> None:
    said, calls = make(tmp_path, "TORCH=gpu")
    assert "TORCH is 'gpu'; allowed: cpu, or nothing" in said and calls == []


def test_the_citation_is_complete_and_of_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert str(cited["version"]) == project["version"]
    assert cited["license"] == project["license"]
    assert {"abstract", "keywords", "authors", "title", "message", "cff-version"} <= set(cited)


def test_hooks_before_a_commit_have_the_lock_s_versions() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    named = {
        name: version
        for repo in hooks["repos"]
        for hook in repo["hooks"]
        for name, version in re.findall(
            r"(\w+)==([\w.]+)", " ".join(hook["additional_dependencies"])
        )
    }
    assert named and all(LOCKED[name] == version for name, version in named.items())


@pytest.mark.parametrize("name", ["bug.yml", "question.yml"])
def test_issue_forms_ask_for_what_an_answer_needs(name: str) -> None:
    text = (REPOSITORY / ".github/ISSUE_TEMPLATE" / name).read_text(encoding="utf-8")
    form = yaml.safe_load(text)
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields and all(field["attributes"]["label"] for field in fields)
    assert name != "bug.yml" or "make doctor" in text


def test_what_a_laptop_does_not_need_is_an_extra_that_make_installs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (plugin,) = project["optional-dependencies"]["slurm"]
    assert plugin.partition(">=")[0] in LOCKED
    assert not [line for line in project["dependencies"] if "executor-plugin" in line]


def test_the_lowest_versions_are_the_bounds_of_all_dependencies() -> None:
    """What `make test-install` pins, so that a bound of another form is not left out in silence."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    done = subprocess.run(
        ["make", "-n", "test-install"], cwd=REPOSITORY, capture_output=True, text=True
    )
    pins = re.search(r"PINS='(.*)'", done.stdout)[1].split()
    assert pins == [line.replace(">=", "==") for line in project["dependencies"]]
    files = [pin for pin in pins if pin.startswith(("h5py", "numpy"))]
    done = subprocess.run(
        ["make", "-n", "test-lowest"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert len(files) == 2 and " ".join(files) in done.stdout

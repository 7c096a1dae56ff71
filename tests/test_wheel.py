"""The wheel works alone: schema, captions and C sources are inside, metadata are complete."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest

from workflow_tools import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, source / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "profiles")
    shutil.copytree(REPOSITORY / "workflow", source / "workflow", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True, capture_output=True)
    (found,) = folder.glob("ticketlens-*.whl")
    return found


@pytest.fixture(scope="module")
def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize(
    "path",
    [
        "ticketlens/schemas/config.schema.json", "ticketlens/report/accuracy.rst",
        "ticketlens/report/index.html.j2", "ticketlens/training/sparse.c", "ticketlens/py.typed",
        "ticketlens/__main__.py",
    ],
)  # fmt: skip
def test_it_holds_what_the_library_reads(members, path):
    assert path in members


def test_every_source_of_the_package_is_in_it(members):
    package = REPOSITORY / "workflow" / "ticketlens"
    for path in package.rglob("*"):
        if path.suffix in (".py", ".c", ".h"):
            assert f"ticketlens/{path.relative_to(package).as_posix()}" in members


def test_its_metadata_name_the_command_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
        entries = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    for line in ("Name: ticketlens", "License-Expression: MIT", "Requires-Dist: safetensors"):
        assert line in text
    assert "ticketlens = ticketlens.__main__:main" in entries


def test_it_reads_schema_and_captions_from_within(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "from ticketlens.study import config; from ticketlens.pages import results_page as r; "
        f"assert str(config.SCHEMA).startswith({str(tmp_path)!r}), config.SCHEMA; "
        f"assert str(r.CAPTIONS).startswith({str(tmp_path)!r}); "
        "assert config.SCHEMA.is_file() and (r.CAPTIONS / 'chi.rst').is_file()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PATH": "/usr/bin"})

"""Fingerprints follow the code that a script reaches, whatever its words and layout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlens.files.image_folder import images_digest
from ticketlens.jobs.fingerprint import fingerprint

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
SCRIPT = '''
"""A script."""

from lens.direct import scale


def main():
    """Do it."""
    from lens.lazy import load

    return scale(load())
'''
MODULES = {
    "__init__.py": "",
    "direct.py": "from lens import transitive\n\ndef scale(x):\n    return transitive.TWO * x\n",
    "transitive.py": "from .relative import TWO\n",
    "relative.py": "import lens.sub.deep as deep\n\nTWO = deep.one() + 1\n",
    "lazy.py": "class Loader:\n    def load(self):\n        return 3\n\nload = Loader().load\n",
    "star.py": "from lens.unrelated import *\n",
    "unrelated.py": "VALUE = 1\n",
    "sub/__init__.py": "LEVEL = 1\n",
    "sub/deep.py": "from ..base import ONE\nfrom . import sibling\n\ndef one():\n    return ONE\n",
    "sub/sibling.py": "NAME = 'sibling'\n",
    "base.py": "ONE = 1\n",
}
Project = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write the project afresh, with changed files (by path), and return its fingerprint."""
    count = iter(range(100))

    def write(script: str = SCRIPT, **modules: str) -> str:
        root = tmp_path / f"clone{next(count)}"
        for name, text in {**MODULES, **modules}.items():
            file = root / "lens" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (root / "scripts").mkdir()
        (root / "scripts" / "run.py").write_text(script, encoding="utf-8")
        return fingerprint(root / "scripts" / "run.py", root / "lens")

    return write


def test_another_clone_has_the_same_fingerprint(project: Project) -> None:
    assert project() == project()


def test_an_import_under_a_condition_or_another_name_is_followed(project: Project) -> None:
    script = "try:\n    import lens.unrelated as other\nexcept ImportError:\n    other = None\n"
    changed = {"unrelated.py": "VALUE = 2\n"}
    assert project(script, **changed) != project(script)


def test_modules_that_import_each_other_end(project: Project) -> None:
    circle = {
        "base.py": "ONE = late()\n\ndef late():\n    from lens import direct\n    return direct\n"
    }
    assert project(**circle) != project()


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT.replace("A script.", "Another text."),
        SCRIPT.replace('    """Do it."""\n', '    """Do it.\n\n    In two parts.\n    """\n'),
        SCRIPT.replace('    """Do it."""\n', ""),
        SCRIPT.replace("return scale", "# a comment\n    return scale"),
        SCRIPT.replace("scale(load())", "scale(\n        load(),  # a comment\n    )"),
        SCRIPT.replace("\n\n\n", "\n"),
        SCRIPT.replace("    ", "\t"),
        SCRIPT.replace('"""', "'''"),
        SCRIPT.replace("\n", "\r\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(project: Project, script: str) -> None:
    assert script != SCRIPT
    assert project(script) == project()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ONE = 1", "ONE = 2"),
        ("ONE = 1", "ONE = 1.0"),
        ("ONE = 1", "ONE = '1'"),
        ("ONE = 1", "ONE: int = 1"),
        ("ONE = 1", "OTHER = ONE = 1"),
    ],
)
def test_the_smallest_change_of_code_counts(project: Project, old: str, new: str) -> None:
    assert project(**{"base.py": MODULES["base.py"].replace(old, new)}) != project()


def test_text_that_is_no_docstring_counts(project: Project) -> None:
    first, second = (SCRIPT.replace("load())", f"load(), '{text}')") for text in "ab")
    assert project(first) != project(second)


def test_a_docstring_below_a_constant_does_not_count(project: Project) -> None:
    with_text = {"base.py": MODULES["base.py"] + '\nLAST = 1\n"""What it is."""\n'}
    without = {"base.py": MODULES["base.py"] + "\nLAST = 1\n"}
    assert project(**with_text) == project(**without)


def test_adding_a_docstring_where_none_was_does_not_count(project: Project) -> None:
    with_text = {"lazy.py": MODULES["lazy.py"].replace("Loader:", 'Loader:\n    """Loads."""\n')}
    assert project(**with_text) == project()


def test_a_missing_script_and_bad_syntax_raise_as_python_does(project: Project) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint("no-such-script.py")
    with pytest.raises(SyntaxError):
        project("def main(:\n")


def test_the_workflows_fingerprints_depend_on_neither_place_nor_working_directory(
    tmp_path: Path,
) -> None:
    clone = tmp_path / "elsewhere" / "workflow"
    shutil.copytree(WORKFLOW, clone, ignore=shutil.ignore_patterns("__pycache__"))
    # The clone's own code, from its own folder, by a relative path, with another hash seed.
    command = (
        "from ticketlens.jobs.fingerprint import fingerprint\n"
        "from pathlib import Path\n"
        "for script in Path('scripts').glob('*.py'):\n"
        "    print(script.name, fingerprint(script))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", command],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = {script.name: fingerprint(script) for script in (WORKFLOW / "scripts").glob("*.py")}
    assert dict(line.split() for line in found.stdout.splitlines()) == here
    assert len(set(here.values())) == len(here)


def test_the_digest_of_a_folder_changes_with_its_files_alone(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "1.png").write_bytes(b"one")
    before = images_digest(tmp_path)
    assert images_digest(tmp_path) == before
    (tmp_path / "train" / "2.png").write_bytes(b"two")
    added = images_digest(tmp_path)
    (tmp_path / "train" / "1.png").unlink()
    assert len({before, added, images_digest(tmp_path)}) == 3


def test_the_digest_of_a_folder_sees_a_file_of_the_same_size(tmp_path):
    (tmp_path / "1.png").write_bytes(b"one")
    before = images_digest(tmp_path)
    (tmp_path / "1.png").write_bytes(b"two")
    os.utime(tmp_path / "1.png", (1, 1))
    assert images_digest(tmp_path) != before


def test_the_digest_of_an_archive_is_that_of_its_bytes(tmp_path):
    archive = tmp_path / "images.zip"
    archive.write_bytes(b"one")
    before = images_digest(archive)
    os.utime(archive, (0, 0))
    assert images_digest(archive) == before
    archive.write_bytes(b"two")
    assert images_digest(archive) != before

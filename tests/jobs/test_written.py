"""A digest is the same under every Python that the project runs on."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from ticketlens.jobs import written

LIBRARY = Path(__file__).resolve().parents[2] / "workflow" / "ticketlens"
ALIKE = [
    'f"{path}: {problem}"',
    "f\"allowed: {', '.join(names)}\"",
    "f\"{key['a']} of {f'{x:{width}.3g}'}, {y!r:>{n}}\"",
    "f'{{{x}}}\\n'",
    'f"it\'s {x}"',
    "f'''{a['b']} \"{c}\" {d!s}'''",
    'f"{x}".join(f"{y}" for y in f"{z}")',
]
PROGRAM = """
import sys
from functools import cache
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ticketlens.jobs.fingerprint import closure
for script in sorted(Path(sys.argv[1], "scripts").glob("*.py")):
    print(script.stem, closure(script, entries={}).digest())
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.11 says what is wanted")
@pytest.mark.parametrize("source", ALIKE)
def test_an_f_string_is_written_as_python_3_11_does(source: str) -> None:
    assert written.quoted(ast.parse(source)) == ast.unparse(ast.parse(source))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.11 says what is wanted")
def test_the_library_is_written_as_python_3_11_does() -> None:
    count = 0
    for file in LIBRARY.rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        count += source.count('f"')
        assert written.quoted(ast.parse(source)) == ast.unparse(ast.parse(source)), file
    assert count > 500


def test_quotes_within_an_f_string_are_others_than_those_around_it() -> None:
    assert written.quoted(ast.parse("f\"{', '.join(names)}\"")) == "f\"{', '.join(names)}\""


@cache
def digests(python: str) -> str:
    """Digests of all scripts, as a Python has them."""
    said = subprocess.run(
        [python, "-c", PROGRAM, str(LIBRARY.parent)], capture_output=True, text=True, check=True
    )
    return said.stdout


def interpreter(version: str) -> str | None:
    """A Python of this version on the path, or of pyenv, whose shims may lead nowhere."""
    folder = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    of_pyenv = [str(file) for file in sorted(folder.glob(f"{version}.*/bin/python"))]
    for python in filter(None, (*of_pyenv, shutil.which(f"python{version}"))):
        if not subprocess.run([python, "-c", ""], capture_output=True).returncode:
            return python
    return None


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_digests_are_the_same_under_another_python(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert digests(python) == digests(sys.executable) != ""

"""`make docs`: pages of the public modules from their docstrings, whole without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_tools import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def public() -> list[str]:
    """The public modules, as the Makefile lists them."""
    return re.search(r"^PUBLIC := (.*)$", MAKEFILE, flags=re.MULTILINE)[1].split()


def test_all_public_modules_have_a_page() -> None:
    text = (REPOSITORY / "workflow/ticketlens/__init__.py").read_text(encoding="utf-8")
    said = text.partition("The modules at the root are public and stable:")[2].partition(".")[0]
    assert set(public()) == set(re.findall(r"`(\w+)`", said))


@pytest.mark.nightly
def test_the_pages_show_docstrings_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    modules = [f"ticketlens.{name}" for name in public()]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow"), "PDOC_ALLOW_EXEC": "1"}
    command = [sys.executable, "-m", "pdoc", "-d", "google", "-o", str(tmp_path), *modules]
    subprocess.run(command, check=True, env=env, cwd=tmp_path)
    for name in public():
        page = (tmp_path / f"ticketlens/{name}.html").read_text(encoding="utf-8")
        assert not re.findall(r"(?:src|<link[^>]*href)=[\"']https?:", page)
    page = (tmp_path / "ticketlens/lens.html").read_text(encoding="utf-8")
    assert "Measure one pruned network; return its tables" in page

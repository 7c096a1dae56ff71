"""docs/tour.ipynb: its cells run, and print what the stored outputs say."""

from __future__ import annotations

import re

import nbformat
import numpy as np

from notebooks import printed, run
from workflow_tools import REPOSITORY

NOTEBOOK = REPOSITORY / "docs/tour.ipynb"


def test_the_notebook_runs_and_its_outputs_are_those_that_it_shows(monkeypatch):
    monkeypatch.chdir(REPOSITORY / "docs")  # where Jupyter runs a notebook: in its own folder
    shown = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(shown)
    fresh = run(NOTEBOOK)
    assert len(printed(fresh)) == len(printed(shown)) >= 5
    for one, other in zip(printed(fresh), printed(shown), strict=True):
        words, numbers = (re.split(r"\s*\d+\.\d+\s*", text) for text in (one, other))
        assert words == numbers, "the same words between the numbers"
        found, wanted = (np.array(re.findall(r"\d+\.\d+", text), float) for text in (one, other))
        assert np.allclose(found, wanted, atol=0.0021), "last digit: another CPU's sums"
    pictures = [o for c in fresh.cells for o in c.get("outputs", ()) if "data" in o]
    assert len(pictures) == 3 and NOTEBOOK.stat().st_size < 2**17

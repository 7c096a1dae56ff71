"""Plugins: a user's own entries count for what uses them, and errors name their line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ticketlens import checkpoint
from ticketlens.jobs import plugins
from ticketlens.jobs.fingerprint import Fingerprints
from ticketlens.jobs.joblog import job_log
from ticketlens.spec import DatasetSpec, NetworkSpec, PruningSpec, Spec
from ticketlens.tickets import pruning
from ticketlens.tickets.initialization import initial_layers
from workflow_tools import REPOSITORY

SPEC = Spec(
    network=NetworkSpec(hidden_layers=2, width=12), dataset=DatasetSpec(shape=(4, 4, 1), classes=3)
)
SCRIPTS = REPOSITORY / "workflow/scripts"
MINE = """import numpy as np

from ticketlens.tickets.pruning import CRITERIA


def helper(weights):
    return weights * 2


def mine(trained, initial, rng):
    return helper(trained)


def other(trained, initial, rng):
    return trained


CRITERIA["mine"] = mine
CRITERIA["other"] = other
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries, modules and the environment as they were."""
    monkeypatch.setattr(pruning, "CRITERIA", dict(pruning.CRITERIA))
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    known = set(sys.modules)
    yield
    os.environ.pop(plugins.VARIABLE, None)
    for name in set(sys.modules) - known:
        if name.startswith("ticketlens.plugins."):
            del sys.modules[name]
    plugins.additions.cache_clear()


def write(folder: Path, text: str = MINE, name: str = "mine.py") -> str:
    plugins.additions.cache_clear()
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def digests(folder: Path, text: str, criterion: str) -> dict[str, str]:
    own = Fingerprints(SCRIPTS, plugins=[Path(write(folder, text))])
    entries = {"CRITERIA": frozenset([criterion])}
    return {script: own(script, entries) for script in ("init", "train", "prune")}


def test_a_plugin_is_allowed_and_prunes(tmp_path: Path) -> None:
    plugins.use([write(tmp_path)])
    assert {"magnitude", "mine", "other"} <= set(pruning.CRITERIA)
    layers = initial_layers(SPEC, 0)
    masks = pruning.prune(layers, layers, PruningSpec(criterion="mine"), 0, 1)
    assert all(0 < mask.mean() < 1 for mask in masks)


def test_a_plugin_may_bear_the_name_of_a_library_that_others_look_for(tmp_path: Path) -> None:
    # pandas 3.1.1 asks for a library `bottleneck` when it is imported.
    file = write(tmp_path, MINE, "bottleneck.py")
    code = f"""
from ticketlens.jobs import plugins
from ticketlens.tickets.pruning import CRITERIA
plugins.use([{file!r}])
import pandas
assert "mine" in CRITERIA
"""
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **paths})


def test_a_plugin_counts_for_the_jobs_that_use_its_entry_and_for_no_others(tmp_path: Path) -> None:
    without = Fingerprints(SCRIPTS)
    magnitude = {"CRITERIA": frozenset(["magnitude"])}
    assert digests(tmp_path, MINE, "magnitude") == {
        script: without(script, magnitude) for script in ("init", "train", "prune")
    }
    before = digests(tmp_path, MINE, "mine")
    assert before["prune"] != without("prune", magnitude)
    assert before["train"] == without("train", magnitude), "a training does not prune"
    edits = {
        "return helper(trained)": "return helper(-trained)",
        "weights * 2": "weights * 3",  # what the entry reaches
    }
    for old, new in edits.items():
        assert digests(tmp_path, MINE.replace(old, new), "mine")["prune"] != before["prune"], old
    for old, new in {
        "return trained\n": "return trained + 1\n",  # another entry
        "def mine(": "# A comment.\ndef mine(",
        'CRITERIA["other"] = other\n': "",
    }.items():
        assert digests(tmp_path, MINE.replace(old, new), "mine") == before, old


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "plugin mine.py, line 1: "),
        (f"{MINE}\nnp.no_such_name\n", "plugin mine.py, line 21: AttributeError"),
        (f"{MINE}CRITERIA['magnitude'] = mine\n", "line 20: CRITERIA has 'magnitude' already"),
        (f"{MINE}KEY = 'a'\nCRITERIA[KEY] = mine\n", "line 21: the key of CRITERIA must stand"),
        (f"{MINE}CRITERIA.update(third=mine)\n", r"adds \['third'\] to CRITERIA in a way"),
        (f"{MINE}CRITERIA['mine'] = other\n", "line 20: CRITERIA has 'mine' from line 18 already"),
        (f"{MINE}del CRITERIA['magnitude']\n", r"mine.py: \['magnitude'\] of CRITERIA changed"),
        (f"{MINE}CRITERIA.update(random=mine)\n", r"mine.py: \['random'\] of CRITERIA changed"),
        (f"{MINE}raise SystemExit(3)\n", "plugin mine.py, line 20: ends the program"),
        (MINE.replace("tickets.pruning", "pruning"), "line 18: ticketlens.pruning has no registry"),
        (MINE.replace("CRITERIA", "CRITERIUM"), "ticketlens.tickets.pruning has no registry CRIT"),
        (
            "from ticketlens.spec import Spec\nSpec['a'] = 1\n",
            "ticketlens.spec has no registry Spec",
        ),
        ("x = 1\n", "adds nothing"),
    ],
)
def test_a_plugin_that_does_not_work_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(plugins.PluginError, match=message):
        plugins.use([write(tmp_path, text)])


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("mine.py", "allowed: a list of Python files"),
        (["mine.txt"], "allowed: a Python file"),
        (["absent.py"], "absent.py': no such file in"),
        (["a\0.py"], "embedded null byte"),
    ],
)
def test_what_is_no_list_of_plugins_is_refused(paths: object, message: str) -> None:
    with pytest.raises(plugins.PluginError, match=message):
        plugins.use(paths)


def test_a_registry_is_taken_from_where_it_stands(tmp_path: Path) -> None:
    text = MINE.replace("ticketlens.tickets.pruning", "ticketlens.study.config")
    with pytest.raises(plugins.PluginError, match=r"line 18: ticketlens\.study\.config has no reg"):
        Fingerprints(SCRIPTS, plugins=[Path(write(tmp_path, text))])


def test_code_that_no_digest_can_follow_is_refused_in_a_plugin_too(tmp_path: Path) -> None:
    text = f"{MINE}\n\ndef hidden():\n    return eval('1')\n"
    with pytest.raises(plugins.PluginError, match=r"plugin mine\.py: .*eval"):
        Fingerprints(SCRIPTS, plugins=[Path(write(tmp_path, text))])


def test_a_job_loads_plugins_and_its_log_names_the_line_of_an_error(tmp_path: Path) -> None:
    text = MINE.replace("return helper(trained)", "raise ValueError('too odd')")
    os.environ[plugins.VARIABLE] = write(tmp_path, text)
    layers = initial_layers(SPEC, 0)
    with pytest.raises(SystemExit), job_log(str(tmp_path / "job.log")):
        pruning.prune(layers, layers, PruningSpec(criterion="mine"), 0, 1)
    assert "ValueError: too odd (mine.py, line 11)" in (tmp_path / "job.log").read_text()


def test_a_plugin_is_loaded_by_what_needs_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ticketlens.networks", raising=False)
    text = "import nowhere\n\nfrom ticketlens.networks import FAMILIES\n\nFAMILIES['a'] = 1\n"
    plugins.use([write(tmp_path, text, "yours.py")])
    assert not any("yours" in name for name in sys.modules), "it would fail at its import"


def test_a_ticket_of_a_plugin_s_criterion_is_read_without_the_plugin(tmp_path: Path) -> None:
    spec = SPEC.replace(pruning=PruningSpec(criterion="never-heard-of"))
    ticket = checkpoint.Checkpoint("ticket", "s", 0, 0, "imp", spec, initial_layers(spec, 0))
    checkpoint.write(tmp_path / "ticket.h5", ticket)
    found = checkpoint.read(tmp_path / "ticket.h5")
    assert found.spec.pruning.criterion == "never-heard-of"
    assert np.array_equal(found.layers[0].weight, ticket.layers[0].weight)

"""Plugins: a user's own entries count for what uses them, and errors name their line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from ticketlens import checkpoint
from ticketlens.jobs import plugins
from ticketlens.jobs.fingerprint import Fingerprints
from ticketlens.jobs.joblog import job_log
from ticketlens.jobs.plugin_entries import unlike
from ticketlens.spec import DatasetSpec, NetworkSpec, PruningSpec, Spec
from ticketlens.study.catalogue import figures, measurements
from ticketlens.theory import activations
from ticketlens.tickets import initialization, pruning
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.mask_sources import MASKS
from ticketlens.tickets.recipe import Source
from workflow_tools import REPOSITORY

SPEC = Spec(
    network=NetworkSpec(hidden_layers=2, width=12), dataset=DatasetSpec(shape=(4, 4, 1), classes=3)
)
TOUCHED = (
    (pruning, "CRITERIA"),
    (initialization, "SCHEMES"),
    (figures, "FIGURES"),
    (measurements, "MEASUREMENTS"),
    (activations, "ACTIVATIONS"),
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
    for module, name in TOUCHED:
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
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
        (
            f"{MINE}CRITERIA['third'] = 5\n",
            r"line 20: CRITERIA\['third'\] is 5, of type int; the o",
        ),
        (
            f"{MINE}CRITERIA['third'] = None\n",
            "is None, of type NoneType; the others are functions",
        ),
        (
            f"{MINE}CRITERIA['third'] = helper\n",
            r"line 20: CRITERIA\['third'\] takes \(weights\); the others are called with "
            r"\(trained, initial, rng\)",
        ),
        (
            "from ticketlens.tickets.initialization import SCHEMES\nSCHEMES['a'] = (abs,)\n",
            r"line 2: SCHEMES\['a'\] has 1 parts; the others have 2 or 3",
        ),
        (
            "from ticketlens.tickets.initialization import SCHEMES, gaussian_weight\n"
            "SCHEMES['a'] = (gaussian_weight, 'b')\n",
            r"line 2: SCHEMES\['a'\] part 2 is 'b', of type str; the others are functions",
        ),
        (
            "from ticketlens.study.catalogue.figures import FIGURES\nFIGURES['a'] = {}\n",
            r"line 2: FIGURES\['a'\] is \{\}, of type dict; the others are Figures",
        ),
        (
            "from ticketlens.study.catalogue.kinds import Measurement\n"
            "from ticketlens.study.catalogue.measurements import MEASUREMENTS\n"
            "MEASUREMENTS['a'] = Measurement(f'{__name__}:a', ('a',), 'About it.')\n",
            r"line 3: MEASUREMENTS\['a'\] names the function 'a', which the plugin does not define",
        ),
        (
            "from ticketlens.theory.activations import ACTIVATIONS\nACTIVATIONS['a'] = abs\n",
            "line 2: .*; the others are Activations",
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
        ([5], "allowed: a list of Python files"),
        ({}, "allowed: a list of Python files"),
        (None, "allowed: a list of Python files"),
        ([["mine.py"]], "allowed: a list of Python files"),
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
    text = "import nowhere\nfrom ticketlens.networks import FAMILIES\nFAMILIES['a'] = nowhere.Net\n"
    plugins.use([write(tmp_path, text, "yours.py")])
    assert not any("yours" in name for name in sys.modules), "it would fail at its import"


def test_a_bare_value_is_refused_where_functions_of_pytorch_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ticketlens.networks", raising=False)
    file = write(tmp_path, "from ticketlens.networks import FAMILIES\nFAMILIES['a'] = 1\n")
    with pytest.raises(plugins.PluginError, match=r"line 2: FAMILIES\['a'\] is a bare value"):
        plugins.use([file])


@pytest.mark.parametrize(
    ("module", "registry"),
    [
        ("tickets.pruning", "CRITERIA"),
        ("architecture", "FAMILIES"),
        ("networks", "FAMILIES"),
        ("networks", "ACTIVATIONS"),
        ("theory.activations", "ACTIVATIONS"),
        ("tickets.initialization", "SCHEMES"),
        ("tickets.mask_sources", "MASKS"),
        ("tickets.weight_sources", "WEIGHTS"),
        ("tickets.saliency", "SCORES"),
        ("files.sources", "SOURCES"),
        ("training.optimization", "OPTIMIZERS"),
        ("study.catalogue.figures", "FIGURES"),
        ("study.catalogue.measurements", "MEASUREMENTS"),
        ("study.catalogue.tables", "TABLES"),
    ],
)
def test_what_the_library_has_is_of_the_kind_of_the_others(module: str, registry: str) -> None:
    entries = getattr(import_module(f"ticketlens.{module}"), registry)
    for key, entry in entries.items():
        assert unlike(entry, entries.values(), {}) == "", key


def test_a_mask_source_may_be_a_function_alone_or_an_object_that_is_called() -> None:
    def block(material: object, rng: object, size: int = 4) -> None: ...

    assert unlike(block, MASKS.values(), {}) == ""
    assert unlike(Source(block), MASKS.values(), {}) == ""
    assert unlike(partial(block, size=8), MASKS.values(), {}) == ""
    assert "takes (material)" in unlike(lambda material: None, MASKS.values(), {})
    assert "takes (material)" in unlike(Source(lambda material: None), MASKS.values(), {})


def test_a_ticket_of_a_plugin_s_criterion_is_read_without_the_plugin(tmp_path: Path) -> None:
    spec = SPEC.replace(pruning=PruningSpec(criterion="never-heard-of"))
    ticket = checkpoint.Checkpoint("ticket", "s", 0, 0, "imp", spec, initial_layers(spec, 0))
    checkpoint.write(tmp_path / "ticket.h5", ticket)
    found = checkpoint.read(tmp_path / "ticket.h5")
    assert found.spec.pruning.criterion == "never-heard-of"
    assert np.array_equal(found.layers[0].weight, ticket.layers[0].weight)

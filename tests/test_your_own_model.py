"""docs/your-own-model.md: its examples run, its commands are those of the program."""

from __future__ import annotations

import re
import shlex

import pytest

from ticketlens.__main__ import _parser
from workflow_tools import REPOSITORY

PAGE = (REPOSITORY / "docs/your-own-model.md").read_text(encoding="utf-8")


def test_the_examples_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(example, names)
    assert {"qmap", "spectra", "chi", "jacobian"} <= set(names["tables"])
    assert set(names["again"]) >= {"qmap", "spectra"}
    assert "outliers_null" in capsys.readouterr().out


COMMANDS = re.findall(r"^    ticketlens (.*?)(?:\s+#.*)?$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command):
    assert _parser().parse_args(shlex.split(command)).file


def test_all_forms_that_are_written_are_named():
    assert len(COMMANDS) >= 3
    for form in ("torch.nn.utils.prune", "open_lth", "TurboPrune", "JAX", "torch.ao.pruning"):
        assert form in PAGE

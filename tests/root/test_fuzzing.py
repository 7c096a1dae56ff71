"""Mutated files end in the reader's own error or the same content: no hang, crash or bomb."""

from __future__ import annotations

import os
import time

import pytest

import fuzzing

SECONDS = float(os.environ.get("TICKETLENS_FUZZ_SECONDS", "300"))
NAMES = ("checkpoint", "summary", "bank", "rounded", "dataset", "state", "zip")


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    found = fuzzing.targets(tmp_path_factory.mktemp("fuzzing"))
    assert tuple(target.name for target in found) == NAMES
    return {target.name: target for target in found}


@pytest.mark.parametrize("name", NAMES)
def test_some_mutations_are_refused_or_harmless(targets, name):
    found = fuzzing.fuzz(targets[name], range(40))
    assert found.bad == [] and found.outcomes["refused"] > 10


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_many_mutations_are_refused_or_harmless(targets, name):
    found = fuzzing.fuzz(targets[name], range(10**9), SECONDS / len(NAMES))
    print(f"{name}: {sum(found.outcomes.values())} inputs, {dict(found.outcomes)}")
    assert found.bad == []


def test_a_reader_that_hangs_or_breaks_would_be_found(targets, monkeypatch):
    good = targets["state"].original
    broken = {
        "crash (9)": lambda path: path == good or os._exit(9),
        "KeyError": lambda path: path == good or {}[path],
        "silently wrong": lambda path: path.read_bytes(),
        "hang": lambda path: path == good or time.sleep(600),
    }
    for what, reader in broken.items():
        if what == "hang":
            monkeypatch.setattr(fuzzing, "HANG_SECONDS", 1)
        found = fuzzing.fuzz(fuzzing.Target(what, good, reader, ()), [1])
        assert found.bad[0][2].startswith(what)

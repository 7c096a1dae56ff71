"""Freed memory that stays with the process: no page faults for blocks that come and go."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from ticketlens.training import loop, memory
from ticketlens.training.loop import train

PROGRAM = """
import resource, sys
sys.path.insert(0, {path!r})
from ticketlens.training.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
import torch
torch.set_num_threads(1)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    torch.ones(12_000_000).add_(1)
for _ in range(20):  # the first ones still find their place
    work()
before = faults()
for _ in range(5):
    work()
print(faults() - before)
"""


def faults_of_blocks_of_48_megabytes(keep: bool) -> int:
    path = str(memory.__file__).removesuffix("/ticketlens/training/memory.py")
    program = PROGRAM.format(path=path, keep=keep)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return int(found.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_blocks_that_come_and_go_cost_no_page_faults():
    without = faults_of_blocks_of_48_megabytes(keep=False)
    if without < 500:
        pytest.skip("this malloc keeps such blocks by itself")
    assert faults_of_blocks_of_48_megabytes(keep=True) < without / 10


def test_a_libc_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()


def test_a_training_on_the_cpu_keeps_its_memory(make_ticket, prepared, monkeypatch):
    called = []
    monkeypatch.setattr(loop, "keep_freed_memory", lambda: called.append(True))
    train(make_ticket(training={"epochs": 1}), prepared)
    assert called == [True]

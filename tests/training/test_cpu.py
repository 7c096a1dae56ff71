"""The kind of CPU: named, recorded in trained files and tables, warned of when it changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ticketlens.checkpoint import read, read_summary, write
from ticketlens.tables.runs import accuracy
from ticketlens.training import cpu
from ticketlens.training.loop import train


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n", "AuthenticAMD {}"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: avx512f amx_tile\n", "GenuineIntel {} AMX"),
    ],
)  # fmt: skip
def test_the_kind_of_cpu_is_maker_capability_and_amx(tmp_path, monkeypatch, info, expected):
    (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "cpuinfo")
    for name in cpu.LIMITS:
        monkeypatch.delenv(name, raising=False)
    known = torch.backends.cpu.get_cpu_capability()
    assert cpu.capability.__wrapped__() == expected.format(known)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert cpu.capability.__wrapped__() == f"{expected.format(known)} ONEDNN_MAX_CPU_ISA=AVX2"
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "none")
    assert known in cpu.capability.__wrapped__()


def test_pytorchs_own_limit_is_seen():
    found = subprocess.run(
        [sys.executable, "-c", "from ticketlens.training import cpu; print(cpu.capability())"],
        env=os.environ
        | {"ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": str(Path(cpu.__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert " DEFAULT" in found.stdout


def test_a_trained_file_and_the_table_say_on_what_it_was_trained(make_ticket, prepared, tmp_path):
    trained, _ = train(make_ticket(), prepared)
    write(tmp_path / "trained.h5", trained)
    attrs = read(tmp_path / "trained.h5").attrs
    assert attrs["cpu_capability"] == cpu.capability()
    assert attrs["numpy_version"] == np.__version__
    table = accuracy([read_summary(tmp_path / "trained.h5")])
    assert table["cpu_capability"].tolist() == [cpu.capability()]

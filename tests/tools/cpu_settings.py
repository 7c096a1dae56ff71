"""Run the test suite as on other kinds of CPU: `python cpu_settings.py pytest arguments…`.

Tests that rest on the bits of the machine on which they were written pass there alone. PyTorch,
oneDNN, OpenBLAS and MKL can be kept below what the CPU has; a setting above it is skipped by name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2", "TICKETLENS_ISA": "avx2",
}  # fmt: skip
AVX512 = {
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "OPENBLAS_CORETYPE": "SkylakeX", "TICKETLENS_ISA": "avx512"
}  # fmt: skip
SETTINGS: dict[str, tuple[str, dict[str, str], int]] = {
    "as the CPU is, one process": ("", {}, 0),
    "as the CPU is, two processes": ("", {}, 2),
    "AVX2": ("avx2", AVX2, 2),
    "AVX-512": ("avx512f", AVX512, 2),
}
"""By name: the flag of the CPU that it needs, variables, and pytest's processes (0: its own)."""


def flags() -> set[str]:
    """Return what /proc/cpuinfo says that the CPU has."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def main(arguments: list[str]) -> int:
    """Run pytest under each setting; return 0 if it passed under all that the CPU has."""
    failed = []
    for name, (flag, variables, processes) in SETTINGS.items():
        if flag and flag not in flags():
            print(f"SKIP {name}: this CPU lacks {flag}", flush=True)
            continue
        print(f"=== {name}: {variables}", flush=True)
        command = [sys.executable, "-m", "pytest", "-n", str(processes), *arguments]
        if subprocess.run(command, env=os.environ | variables).returncode:
            failed.append(name)
    print(f"failed under: {', '.join(failed)}" if failed else "passed under every setting")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The kind of CPU that a training runs on: what its float32 bits depend on, beside the spec.

The libraries below PyTorch choose their kernels by the instructions of the CPU, and other kernels
round otherwise: the same training ends in other bits with AVX2 than with AVX-512. So every trained
network says on what it was trained.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path

import numpy as np
import torch

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that keep oneDNN and MKL below what the CPU has; PyTorch's own is in its answer."""
CPU_INFO = Path("/proc/cpuinfo")


@functools.cache
def capability() -> str:
    """Return maker, PyTorch's capability, and what limits its libraries, as one line.

    For example "GenuineIntel AVX512 AMX", "AuthenticAMD AVX2", "aarch64 DEFAULT".
    """
    text = CPU_INFO.read_text(encoding="utf-8", errors="replace") if CPU_INFO.is_file() else ""
    maker = re.search(r"^vendor_id\s*:\s*(\w+)", text, re.MULTILINE)
    words = [maker[1] if maker else platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if re.search(r"^flags\s*:.*\bamx_tile\b", text, re.MULTILINE):
        words.append("AMX")
    words += [f"{name}={os.environ[name]}" for name in LIMITS if os.environ.get(name)]
    return " ".join(words)


def machine() -> dict[str, str]:
    """Return what a training's bits depend on beside its spec and PyTorch, by name."""
    return {"cpu_capability": capability(), "numpy_version": np.__version__}

"""Orthogonal chains drawn again by other BLAS kernels and versions of NumPy.

Usage: python tests/tools/kernel_matrix.py [--seeds 60] PYTHON …

Each PYTHON is that of an environment with NumPy, SciPy and h5py of some versions. The chains' bank
files are made by the Python that runs this; each environment rebuilds theta_0 from them under each
of SETTINGS. Prints a table: in how many of the chains bits are drawn otherwise, all of which the
bank must mend. A kernel that an OpenBLAS does not have, or that this CPU cannot run, is told by the
name that OpenBLAS reports. Fails if a chain is not rebuilt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "resources/tickets/fcnet-orthogonal/seed0.h5"
SETTINGS = ("Haswell", "SkylakeX", "SapphireRapids", "Zen", "Nehalem", "Prescott", "Sandybridge")
DRAW = r"""
import ctypes, json, sys
from pathlib import Path
import numpy as np

def core():
    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_"):
            if hasattr(library, name):
                function = getattr(library, name)
                function.restype = ctypes.c_char_p
                return function().decode()
    return "unknown"

from ticketlens.tickets import bank
from ticketlens.tickets.initialization import initial_layers, theta_sha256
found = []
for path in sys.argv[1:]:
    chain = bank.read_bank(path)
    drawn = initial_layers(chain.spec, chain.seed)
    bank.initial_layers = lambda *_: drawn  # as the bank would draw it again
    is_other = theta_sha256(drawn) != chain.theta_0_sha256
    found.append([theta_sha256(bank.theta_0(chain)) == chain.theta_0_sha256, is_other])
print(json.dumps({"numpy": np.__version__, "core": core(), "found": found}))
"""


def write_chains(folder: Path, seeds: int) -> list[Path]:
    """Write the bank files of chains of no rounds, as the shipped orthogonal study has them."""
    import numpy as np

    from ticketlens.tickets import bank
    from ticketlens.tickets.initialization import initial_layers, theta_sha256

    spec, paths = bank.read_bank(SHIPPED).spec, []
    for seed in range(seeds):
        theta = initial_layers(spec, seed)
        removed = {layer.name: np.zeros(layer.mask.shape, np.uint8) for layer in theta}
        border = bank.border_of(theta, spec, seed)
        paths.append(folder / f"seed{seed}.h5")
        made = bank.Bank("x", seed, 0, spec, theta_sha256(theta), removed, ({},), border)
        bank.write_bank(paths[-1], made)
    return paths


@dataclass(frozen=True)
class Answer:
    """What one environment drew with one setting: versions, kernels, [rebuilt, drawn otherwise]."""

    numpy: str
    core: str
    found: list[list[bool]]


def drawn(python: str, kernels: str, paths: list[Path]) -> Answer:
    """Return what a process of its own draws. Raises RuntimeError with what it said if it fails."""
    environment = {"OPENBLAS_CORETYPE": kernels, "PYTHONPATH": str(PROJECT / "workflow")}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    command = [python, "-c", DRAW, *map(str, paths)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{python}, {kernels}: exit code {done.returncode}: {done.stderr}")
    return Answer(**json.loads(done.stdout))


def cell(answer: Answer, kernels: str) -> str:
    """Return how many chains have other bits, or are lost; the kernels if others were taken."""
    lost = sum(not rebuilt for rebuilt, _ in answer.found)
    other = sum(is_other for _, is_other in answer.found)
    name = "" if answer.core == kernels else f" ({answer.core})"
    return (f"**{lost} lost**" if lost else str(other)) + name


def main(pythons: list[str], seeds: int) -> int:
    """Print the table; return 1 if a chain was not rebuilt."""
    is_whole = True
    with tempfile.TemporaryDirectory() as folder:
        paths = write_chains(Path(folder), seeds)
        print(f"| NumPy | {' | '.join(SETTINGS)} |", flush=True)
        print("|---" * (len(SETTINGS) + 1) + "|", flush=True)
        for python in pythons:
            answers = [drawn(python, kernels, paths) for kernels in SETTINGS]
            cells = [cell(*pair) for pair in zip(answers, SETTINGS, strict=True)]
            print(f"| {answers[0].numpy} | {' | '.join(cells)} |", flush=True)
            is_whole &= all(rebuilt for answer in answers for rebuilt, _ in answer.found)
    return int(not is_whole)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("pythons", nargs="+")
    given = parser.parse_args()
    raise SystemExit(main(given.pythons, given.seeds))

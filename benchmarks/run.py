"""Run the benchmarks, print their tables and write latest.json: `make benchmark`.

See benchmarks/README.md for what each section measures and for the keys of the file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from pathlib import Path
from typing import Any

# Before any library starts its threads.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

SECTIONS = {
    "step": "training_step",
    "sparse": "sparse_step",
    "bfloat16": "bfloat16_step",
    "chain": "chain",
    "cost": "check_cost",
    "measurements": "check_measurements",
    "together": "side_by_side",
    "jobs": "jobs",
    "graph": "graph",
}
"""Name of each section and the module whose `measure(quick)` it is."""
LATEST = Path(__file__).resolve().parent / "latest.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="all once, on little: times mean nothing"
    )
    parser.add_argument("--output", type=Path, default=LATEST)
    options = parser.parse_args()
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"no section {unknown[0]!r}; allowed: {', '.join(SECTIONS)}")
    from measuring import machine, rounded, versions

    found: dict[str, Any] = {
        "quick": options.quick, "machine": machine(), "versions": versions(), "seconds": {},
    }  # fmt: skip
    print(json.dumps(rounded(found["machine"]), indent=1))
    for name in options.sections or SECTIONS:
        start = time.perf_counter()
        values, text = importlib.import_module(SECTIONS[name]).measure(options.quick)
        found |= values
        found["seconds"][name] = time.perf_counter() - start
        print(f"\n## {name} ({found['seconds'][name]:.0f} s)\n\n{text}", flush=True)
    options.output.write_text(json.dumps(rounded(found), indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {options.output.name}")


if __name__ == "__main__":
    main()

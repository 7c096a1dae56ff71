#!/usr/bin/env bash
# slurmjobs: of two added grids that differ in a constant, the second overwrites the scripts of the first, and each is submitted twice.
#
# Guess: Grid(seeds, arm="imp") + Grid(seeds, arm="random") gives a script for each of the six runs; if two got the same name, generate()
#   would raise, as its source has a RuntimeError for a duplicate job ID.
# What happens: a constant is left out of a job's ID, as documented, so that the scripts of both arms have the same names. The check
#   looks an ID up in a set to which none is ever added, and never finds one. The second arm's scripts replace the first's,
#   the list that comes back has six paths, three of them different, and the script that submits has each three twice: "random" is trained
#   twice, at the same time, into the same files, "imp" not at all. Nothing is said.
# Versions: slurmjobs 1.1.3, pathtrees 0.0.3, Jinja2 3.1.6, Python 3.11; December 2026.
# Seen: 1.1.3 6 runs, 6 paths, 3 scripts; submitted: imp 0, random 6
# Study, seed, round and arm are part of each path of ticketlens, and Snakemake refuses two jobs that write one file.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'slurmjobs==1.1.3' 'pathtrees==0.0.3' 'Jinja2==3.1.6' 2>/dev/null
cat > look.py <<'P'
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import slurmjobs

seeds = [("seed", [0, 1, 2])]
grid = slurmjobs.Grid(seeds, arm="imp") + slurmjobs.Grid(seeds, arm="random")
submit, paths = slurmjobs.Slurm("python train.py").generate(grid)
submitted = re.findall(r'^sbatch "(.*)"$', Path(str(submit)).read_text(), re.MULTILINE)
arms = Counter(re.search(r"--arm=(\w+)", Path(path).read_text())[1] for path in submitted)
print(
    f"{version('slurmjobs')} {len(grid)} runs, {len(paths)} paths, {len(set(map(str, paths)))} scripts;",
    "submitted:", ", ".join(f"{arm} {arms[arm]}" for arm in ("imp", "random")),
)  # fmt: skip
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.1.3 6 runs, 6 paths, 3 scripts; submitted: imp 0, random 6'

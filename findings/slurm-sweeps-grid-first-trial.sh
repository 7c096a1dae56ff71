#!/usr/bin/env bash
# slurm-sweeps trains the first point of a grid and calls the sweep done: the number of trials, which a grid is said to ignore, decides.
#
# Guess: Experiment(train, cfg with two Grids of two values).run() trains all four combinations: "For grid searches this parameter is
#   ignored", says the documentation of `n_trials`, whose default is 1.
# What happens: the sampler does ignore it and yields the whole grid, but the loop that starts trials goes on until n_trials of them have
#   ended. By default that is the first combination, seed 0 and the lowest sparsity; the other three are never started, the summary
#   says that 1 of 1 has ended, and the table comes back with one row. A number above the size of the grid ends in an IndexError when all
#   is trained.
# Versions: slurm-sweeps 0.1.3, cloudpickle 3.1.3, PyYAML 6.0.4, pandas 2.3.3, numpy 2.4.6, Python 3.11; December 2026.
# Seen: 0.1.3 grid of 4: run() trains 1 (seed 0, sparsity 0.5); run(n_trials=4) trains 4; run(n_trials=5): IndexError
# ticketlens asks Snakemake for a table of all seeds and rounds: a training that is missing is a job to be done, not an end.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'slurm-sweeps==0.1.3' 'cloudpickle==3.1.3' 'PyYAML==6.0.4' 'pandas==2.3.3' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
import json
import logging
from importlib.metadata import version

import slurm_sweeps as ss

logging.disable(logging.CRITICAL)  # the summaries


def train(cfg):
    ss.log({"accuracy": 60.0}, 0)


def rows(name, **arguments):
    grid = {"seed": ss.Grid([0, 1]), "sparsity": ss.Grid([0.5, 0.9])}
    experiment = ss.Experiment(train=train, cfg=grid, name=name, local_dir="sweeps", backend=ss.Backend())
    return experiment.run(max_concurrent_trials=1, **arguments)


first = rows("grid")
cfg = json.loads(first["_cfg"][0])
seen = f"run() trains {len(first)} (seed {cfg['seed']}, sparsity {cfg['sparsity']})"
seen += f"; run(n_trials=4) trains {len(rows('grid4', n_trials=4))}"
try:
    rows("grid5", n_trials=5)
except IndexError:
    seen += "; run(n_trials=5): IndexError"
print(f"{version('slurm-sweeps')} grid of 4: {seen}")
P
seen=$(PATH="$PWD/venv/bin:$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.3 grid of 4: run() trains 1 (seed 0, sparsity 0.5); run(n_trials=4) trains 4; run(n_trials=5): IndexError'

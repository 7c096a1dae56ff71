#!/usr/bin/env bash
# SlurmQueen counts a diverged run, which prints "loss: nan", as a loss of 0 in averages and as the largest one in maxima.
#
# Guess: runs print "key: value" lines, and SlurmQueen fills an SQL table with them. NaN becomes NULL, which SQL leaves out of averages,
#   or the -1 that the source means to put in its place.
# What happens: the comparison with "nan" is one of identity, with a text that still has its blank and end of line, and never true. What
#   Python cannot read as a literal is stored as a text, among numbers. SQLite takes a text for 0 in AVG and SUM, counts it, and sorts it
#   behind all numbers. The mean of three losses, one of them NaN, is smaller than the smallest; "inf" the same. Nothing is said but
#   a SyntaxWarning when the module is compiled.
# Versions: slurmqueen 1.6.3, pandas 2.3.3, numpy 2.4.6, paramiko 4.0.0, Python 3.11; December 2026.
# Seen: 1.6.3 losses 0.5, 0.7, nan: count 3, mean 0.40, smallest 0.5, largest nan
# A diverged ticket of ticketlens ends with an error that names epoch and rate; a diverged rival counts at chance accuracy, and the table says so.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'slurmqueen==1.6.3' 'pandas==2.3.3' 'numpy==2.4.6' 'paramiko==4.0.0' 2>/dev/null
cat > train.py <<'P'
import sys

seed = int(sys.argv[1].removeprefix("--seed="))
print("loss:", [0.5, 0.7, float("nan")][seed])
P
cat > look.py <<'P'
import contextlib
import io
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from slurmqueen.experiment import Command, Experiment

train = f"{sys.executable} {Path('train.py').resolve()}"
runs = Experiment([Command(train, seed=seed) for seed in range(3)]).instance("runs")
runs.setup()
for script in sorted(Path("runs").glob("*.in")):
    subprocess.run(["bash", script], check=True)
with contextlib.redirect_stdout(io.StringIO()):
    row = runs.query("SELECT COUNT(loss) AS n, AVG(loss) AS mean, MIN(loss) AS least, MAX(loss) AS most FROM data").iloc[0]
print(
    f"{version('slurmqueen')} losses 0.5, 0.7, nan: count {row['n']}, mean {row['mean']:.2f},",
    f"smallest {row['least']}, largest {row['most']}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '1.6.3 losses 0.5, 0.7, nan: count 3, mean 0.40, smallest 0.5, largest nan'

#!/usr/bin/env bash
# simple-slurm's `srun` takes the first command to the cluster; the training after it runs on the machine one types on, and --exclusive is dropped.
#
# Guess: after Slurm(exclusive=True, ...).add_cmd("export DATA=...") the call srun("python train.py") runs both on the cluster, as `sbatch`
#   does and as its documentation says of both, and passes on --exclusive.
# What happens: the commands are joined by "; " behind `srun` and its options, and the whole goes to a shell. For the shell the command that
#   srun gets ends at the first semicolon; all others are commands of its own, started where Python runs, on a login node. The
#   training runs there, with none of the memory, cores or time that were asked for, and the return code is its own. Arguments without
#   a value vanish on the way: the name of an argument is only written if its value is not empty (a conditional expression that takes in
#   the name), and True is kept as an empty value. In the script for `sbatch` they are there.
# Versions: simple-slurm 0.3.6, Python 3.11; November 2026. No SLURM: `srun` is a script that prints its options and runs the rest as a node.
# Seen: 0.3.6 sbatch: --exclusive --job-name --ntasks; srun: --job-name=train --ntasks=2; setup runs on node1, training runs on login
# ticketlens leaves SLURM's command lines to Snakemake's plugin (docs/cluster.md).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'simple-slurm==0.3.6' 2>/dev/null
cat > srun <<'S'
#!/bin/sh
options=
while [ "${1#--}" != "$1" ]; do options="$options $1"; shift; done
echo "srun:$options"
WHERE=node1 exec "$@"
S
printf '#!/bin/sh\necho "$1 runs on $WHERE"\n' > run
chmod +x srun run
cat > look.py <<'P'
import re
import subprocess
import sys
from importlib.metadata import version

job = """
from simple_slurm import Slurm
slurm = Slurm(exclusive=True, job_name="train", ntasks=2)
slurm.add_cmd("./run setup")
slurm.srun("./run training")
"""
lines = subprocess.run([sys.executable, "-c", job], capture_output=True, text=True, check=True).stdout.splitlines()

from simple_slurm import Slurm  # noqa: E402

script = str(Slurm(exclusive=True, job_name="train", ntasks=2))
sbatch = " ".join(re.findall(r"^#SBATCH (\S+)", script, re.MULTILINE))
print(f"{version('simple-slurm')} sbatch: {sbatch}; {lines[0]}; {', '.join(lines[1:])}")
P
seen=$(WHERE=login PATH="$work:$PATH" venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.3.6 sbatch: --exclusive --job-name --ntasks; srun: --job-name=train --ntasks=2; setup runs on node1, training runs on login'

#!/usr/bin/env bash
# slurmgrid accepts a table with a space after each comma and then hands the jobs {seed} instead of a seed; an empty last line is one more job.
#
# Guess: `slurmgrid submit --manifest params.csv --command "... {lr} {seed}"` runs the command once for each row. A space after the comma
#   in "lr, seed" is ignored, as its check of the column names does, which passes; so is an empty line at the end.
# What happens: the check strips the names, the code that writes the jobs reads the header again and does not. The second column is " seed" there,
#   so that {seed} is found in the check and not replaced in the script: the words reach the command as they are written. The shell's complaint about
#   a variable of that name ends up in a log file, and the job goes on. The empty line becomes a job without values. Each of them that fails is
#   tried three times more; a command that takes any text (a name of a run, of a data set) does not fail.
# Versions: slurmgrid 0.2.0, Python 3.11; November 2026. (Needs no SLURM: the dry run writes the scripts that sbatch would get.)
# Seen: 0.2.0 'lr,seed': jobs 0-1, the last is 'train --lr 0.2 --seed 2', exit status 0; 'lr, seed': jobs 0-1, the last is 'train --lr 0.2 --seed {seed}', exit status 0; empty last line: jobs 0-2, the last is 'train --lr  --seed', exit status 0
# ticketlens reads no table of parameters: Snakemake fills in the values of each job.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
  'slurmgrid==0.2.0' 'configargparse==1.9.0' 'pyyaml==6.0.4' 2>/dev/null
cat > look.py <<'P'
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

found = []
for header, last_line in (("lr,seed", ""), ("lr, seed", ""), ("lr,seed", "\n")):
    Path("params.csv").write_text(f"{header}\n0.1,1\n0.2,2\n{last_line}")
    state = f"run-{len(found)}"
    submit = [sys.executable, "-m", "slurmgrid", "submit", "--manifest", "params.csv", "--state-dir", state]
    submit += ["--chunk-size", "10", "--no-shuffle", "--dry-run", "--command", "echo train --lr {lr} --seed {seed}"]
    subprocess.run(submit, check=True, capture_output=True)
    script = Path(state, "scripts", "chunk_000.sh")
    jobs = next(line for line in script.read_text().splitlines() if "--array" in line).split("=")[1]
    last = os.environ | {"SLURM_ARRAY_TASK_ID": jobs.split("-")[1]}
    job = subprocess.run(["bash", script], env=last, capture_output=True, text=True)
    kind = "empty last line" if last_line else repr(header)
    found.append(f"{kind}: jobs {jobs}, the last is '{job.stdout.strip()}', exit status {job.returncode}")
print(version("slurmgrid"), "; ".join(found))
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = "0.2.0 'lr,seed': jobs 0-1, the last is 'train --lr 0.2 --seed 2', exit status 0; 'lr, seed': jobs 0-1, the last is 'train --lr 0.2 --seed {seed}', exit status 0; empty last line: jobs 0-2, the last is 'train --lr  --seed', exit status 0"

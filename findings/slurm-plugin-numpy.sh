#!/usr/bin/env bash
# One would guess: a plugin that submits jobs by calling sbatch takes any NumPy of the last years, so a project that
# depends on it, and states numpy>=1.26, can be installed with NumPy 1.26.
# What happens: snakemake-executor-plugin-slurm 2.8.0 asks for numpy>=2.4.5 (it reads sacct's efficiency with pandas), and
# pip finds no solution. pandas 3.1 asks for numpy>=2.0.2. Lower bounds that are each true need not hold together.
# Seen with Python 3.11, pip 23.2, 29 November 2026:
#   numpy==1.26.4: refused
#   numpy==2.3.5: refused
#   numpy==2.4.6: a solution
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
expected="refused refused solution"
found=""
for numpy in 1.26.4 2.3.5 2.4.6; do
  if venv/bin/python -m pip install --quiet --disable-pip-version-check --dry-run \
      "numpy==$numpy" "snakemake-executor-plugin-slurm==2.8.0" >/dev/null 2>log; then
    answer=solution
  else
    grep -q "conflicting dependencies\|ResolutionImpossible" log || { cat log; exit 2; }
    answer=refused
  fi
  echo "numpy==$numpy: $answer"
  found="$found $answer"
done
test "$found" = " $expected" || { echo "the behaviour has changed"; exit 1; }

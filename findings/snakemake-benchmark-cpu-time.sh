#!/usr/bin/env bash
# Snakemake: `cpu_time` of a benchmark is the CPU time at the last sample; after 15 s there is one every 30 s.
#
# Guess: the column `cpu_time` of `benchmark:` is the CPU time that the job took, as `s` is its wall time.
# Seen (snakemake 9.27.1, 29 November 2026): it is read every half a second 31 times, then every 30 s, and not at the
#   job's end. A job of 34 s is said to have taken the CPU time of its first 15 s. From 5 minutes on a tenth at most is missing.
# Output seen:
#   a job of 34.0 s and 19.1 CPU-s: benchmark says cpu_time 9.9    (its core shared with other jobs)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'snakemake==9.27.1'
version=$(venv/bin/snakemake --version)
[ "$version" = 9.27.1 ] || { echo "another version: $version"; exit 1; }

cat > Snakefile <<'R'
rule busy:
    output: "done.txt"
    benchmark: "busy.tsv"
    shell: "{workflow.basedir}/venv/bin/python busy.py && touch {output}"
R
# It computes all the time, and ends 19 s after a sample.
cat > busy.py <<'P'
import time

end = time.monotonic() + 34
while time.monotonic() < end:
    sum(range(1000))
print(time.process_time(), file=open("took", "w"))
P
venv/bin/snakemake --cores 1 --quiet all 2> log || { cat log; exit 1; }
venv/bin/python - <<'P'
import csv
import sys

(row,) = csv.DictReader(open("busy.tsv"), delimiter="\t")
wall, said, took = float(row["s"]), float(row["cpu_time"]), float(open("took").read())
print(f"a job of {wall:.1f} s and {took:.1f} CPU-s: benchmark says cpu_time {said:.1f}")
sys.exit(0 if said < 0.8 * took else "the behaviour has changed")
P

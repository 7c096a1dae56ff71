#!/usr/bin/env bash
# Snakemake: `--touch` waits a tenth of a second at every job, one job after another, whatever `--cores` says.
#
# Guess: `--touch` sets the times of files that are there, so that thousands of jobs take no longer than
#   their dry run, or are at least spread over `--cores`.
# Seen (snakemake 9.27.1, 29 November 2026): the touch executor sleeps 0.1 s before it touches the outputs of
#   each job that is due, in one thread. Cores do not help: a finished study of 9,000 jobs takes at least
#   15 minutes, and its dry run 10 seconds.
# Output seen:
#   60 jobs, --touch --cores 1: 60 sleeps of 0.1 s, in 1 thread
#   60 jobs, --touch --cores 8: 60 sleeps of 0.1 s, in 1 thread
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'snakemake==9.27.1'
version=$(venv/bin/snakemake --version)
[ "$version" = 9.27.1 ] || { echo "another version: $version"; exit 1; }

cat > Snakefile <<'R'
rule all:
    input: [f"{n}.txt" for n in range(60)]
rule one:
    output: "{n}.txt"
    shell: "touch {output}"
R
cat > counted.py <<'P'
import sys, threading, time
from snakemake.cli import main

sleep, threads = time.sleep, []


def counted(seconds):
    if sys._getframe(1).f_code.co_filename.endswith("executors/touch.py"):
        threads.append((threading.get_ident(), seconds))
    sleep(seconds)


time.sleep = counted
cores = sys.argv[1]
for number in range(60):
    open(f"{number}.txt", "w").close()
try:
    main(["--touch", "--forceall", "--cores", cores, "--quiet", "all"])
except SystemExit as end:
    assert not end.code, end.code
times = {seconds for _, seconds in threads}
said = f"{len(threads)} sleeps of {' and '.join(map(str, times))} s, in {len(set(threads))} thread"
print(f"60 jobs, --touch --cores {cores}: {said}")
sys.exit(said != "60 sleeps of 0.1 s, in 1 thread")
P
for cores in 1 8; do
    venv/bin/python counted.py "$cores" 2> log || { cat log; echo "the behaviour has changed"; exit 1; }
done

#!/usr/bin/env bash
# Snakemake: a parameter whose function also takes `input` (or output, threads, resources) never reruns a job.
#
# Guess: a value in `params` that changes is a reason to rerun ("Params have changed since last
#   execution"), however the value is computed.
# Seen (snakemake 9.27.1, November 2026): only values of functions of the wildcards alone are
#   recorded. The same number from `lambda wildcards, input:` changes and nothing is planned, although
#   the job would read the new value. So a parameter that steers results must not ask for `input`.
# Output seen:
#   plain:   1 job planned after the value changed (reason: Params have changed)
#   derived: 0 jobs planned after the value changed
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'snakemake==9.27.1'
version=$(venv/bin/snakemake --version)
[ "$version" = 9.27.1 ] || { echo "another version: $version"; exit 1; }

echo data > in.txt
cat > Snakefile <<'S'
VALUE = config["value"]
rule all:
    input: "plain.txt", "derived.txt"
rule plain:
    input: "in.txt"
    output: "plain.txt"
    params: value=lambda wildcards: VALUE
    shell: "echo {params.value} > {output}"
rule derived:
    input: "in.txt"
    output: "derived.txt"
    params: value=lambda wildcards, input: VALUE
    shell: "echo {params.value} > {output}"
S
run() { venv/bin/snakemake --cores 1 --rerun-triggers mtime params input software-env code "$@" 2>&1; }
run --config value=1 > first.log
[ "$(cat plain.txt)" = 1 ] && [ "$(cat derived.txt)" = 1 ]
run --config value=2 -n > second.log || true
plain=$(grep -c '^rule plain' second.log || true)
derived=$(grep -c '^rule derived' second.log || true)
reason=$(grep -m1 -o 'Params have changed' second.log || true)
echo "plain:   $plain job planned after the value changed (reason: $reason)"
echo "derived: $derived jobs planned after the value changed"
[ "$plain" = 1 ] && [ "$derived" = 0 ] || { echo "the behaviour has changed"; exit 1; }

#!/usr/bin/env bash
# Snakemake and smart_open: where a rule's script stands is worked out anew for every job, and each
#   answer is a new Python class.
#
# Guess: a rule's `script:` and `conda:` are paths known when the Snakefile is read, so that they are
#   resolved once for a rule, whatever the number of its jobs.
# Seen (snakemake 9.27.1, smart_open 7.7.1, November 2026): a dry run calls smart_open.parse_uri
#   several times for every job, with the same path each time, and each call makes a new namedtuple
#   class, 0.1 to 1 ms. Of a dry run of 5,946 jobs that was a fifteenth. Remembering the answers by
#   path (functools.cache) changes nothing else.
# Output seen:
#   10 jobs: 31 calls, 2 different paths
#   110 jobs: 331 calls, 2 different paths
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'snakemake==9.27.1' 'smart_open==7.7.1'
version=$(venv/bin/snakemake --version)
[ "$version" = 9.27.1 ] || { echo "another version: $version"; exit 1; }

echo 'channels: [conda-forge]' > env.yaml
touch job.py
cat > Snakefile <<'S'
rule all:
    input: [f"{n}.txt" for n in range(int(config["jobs"]))]
rule one:
    output: "{n}.txt"
    conda: "env.yaml"
    script: "job.py"
S
cat > count.py <<'P'
import sys
import smart_open
from snakemake.cli import main
asked, parse = [], smart_open.parse_uri
def counted(path):
    asked.append(path)
    return parse(path)
smart_open.parse_uri = counted
try:
    main(["-n", "--quiet", "all", "--cores", "1", "--config", f"jobs={sys.argv[1]}"])
finally:
    print(f"{sys.argv[1]} jobs: {len(asked)} calls, {len(set(asked))} different paths")
P
venv/bin/python count.py 10 2> /dev/null | grep calls | tee few.log
venv/bin/python count.py 110 2> /dev/null | grep calls | tee many.log
few=$(grep -o '[0-9]* calls' few.log | cut -d' ' -f1); many=$(grep -o '[0-9]* calls' many.log | cut -d' ' -f1)
[ $((many - few)) -ge 100 ] || { echo "the behaviour has changed"; exit 1; }

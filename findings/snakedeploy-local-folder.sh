#!/usr/bin/env bash
# snakedeploy of a workflow that lies in a local folder.
#
# One would guess: `snakedeploy deploy-workflow FOLDER DEST --branch main`, which says "Deployment complete", writes
# a module statement with the path of FOLDER, as it writes `github("owner/name", …)` for a URL.
# Seen (snakedeploy 0.17.1, Snakemake 9.27.1, November 2026): it writes the path within the repository alone,
# "workflow/Snakefile", which Snakemake looks up beside the file that was written: DEST/workflow/workflow/Snakefile.
# So no workflow that was deployed from a folder starts. And --branch, which must be given, is not looked at: what is
# copied is the folder as it lies there.
#
# Output seen:
#   Deployment complete, now
#   snakefile: "workflow/Snakefile"
#   FileNotFoundError: [Errno 2] No such file or directory: 'DEST/workflow/workflow/Snakefile'
#   with the folder's path in its place: hello from the module
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'snakedeploy==0.17.1' 'snakemake==9.27.1'
mkdir -p source/workflow source/config
echo 'greeting: hello' > source/config/config.yaml
cat > source/workflow/Snakefile <<'SMK'
rule all:
    shell: "echo {config[greeting]} from the module"
SMK
# No branch of this name is anywhere: the folder is not even a git repository.
venv/bin/snakedeploy deploy-workflow "$PWD/source" dest --branch no-such-branch > deploy.log 2>&1
grep -o 'Deployment complete, now' deploy.log
written=$(grep -A1 'snakefile:' dest/workflow/Snakefile | tail -n 1 | tr -d ' ')
echo "snakefile: $written"
[ "$written" = '"workflow/Snakefile"' ] || { echo "the behaviour has changed"; exit 1; }
cd dest
if ../venv/bin/snakemake --cores 1 all > ../run.log 2>&1; then echo "the behaviour has changed: it runs"; exit 1; fi
grep -o "No such file or directory: '.*'" ../run.log | sed "s|$PWD|DEST|" | grep 'DEST/workflow/workflow/Snakefile'
sed -i "s|\"workflow/Snakefile\"|\"$(dirname "$PWD")/source/workflow/Snakefile\"|" workflow/Snakefile
echo "with the folder's path in its place: $(../venv/bin/snakemake --cores 1 --quiet all all 2>&1 | grep 'from the module')"

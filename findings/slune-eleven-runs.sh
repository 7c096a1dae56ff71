#!/usr/bin/env bash
# slune keeps eleven runs of a configuration: the twelfth and all later ones share a file, and count as one run by the best of them.
#
# Guess: SaverCsv writes every run of a configuration into a file of its own, results_0.csv, results_1.csv and so on, as its documentation
#   says; read() averages over the runs, and a searcher that looks at existing runs submits only what is missing.
# What happens: the number of the next file comes from the last of the names in alphabetical order. results_9.csv stands behind
#   results_10.csv there, so from the twelfth run on the number is 10 again, and saving appends to the file that it finds. read() takes the
#   best row of each of the eleven files: seeds 10 to 29 count once, by the best of all. Below, the mask that is a point better
#   on average comes out worse. Nor is a study of more than eleven seeds ever finished: 30 runs are there, and 19 are submitted again,
#   each time. Nothing is said.
# Versions: slune-lib 0.0.2, pandas 2.3.3, numpy 2.4.6, Python 3.11; December 2026.
# Seen: 0.0.2 30 runs, 11 files, 19 of 30 submitted again; imp: mean 70.28, read 69.93; random: mean 69.27, read 70.35
# A seed of ticketlens is part of the paths of its files; its tables are made of all of them anew.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'pandas==2.3.3' 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'slune-lib==0.0.2' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version
from pathlib import Path

import numpy as np
from slune import get_csv_saver
from slune.searchers import SearcherGrid

random = np.random.default_rng(91)
reader = get_csv_saver()
means = []
for mask, expected in (("imp", 70), ("random", 69)):
    accuracies = random.normal(expected, 1.5, size=30).round(1)  # 30 seeds, one final accuracy each
    for accuracy in accuracies:
        saver = get_csv_saver(params=[f"--mask={mask}"])
        saver.log({"accuracy": float(accuracy)})
        saver.save_collated()
    _, read = reader.read([f"--mask={mask}"], "accuracy", select_by="max")
    means.append(f"{mask}: mean {accuracies.mean():.2f}, read {read:.2f}")

files = len(list(Path("slune_results/--mask=imp").glob("*.csv")))
searcher = SearcherGrid({"mask": ["imp"]}, runs=30)
searcher.check_existing_runs(reader)
again = sum(1 for _ in searcher)
print(f"{version('slune-lib')} 30 runs, {files} files, {again} of 30 submitted again;", "; ".join(means))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.0.2 30 runs, 11 files, 19 of 30 submitted again; imp: mean 70.28, read 69.93; random: mean 69.27, read 70.35'

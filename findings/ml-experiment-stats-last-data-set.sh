#!/usr/bin/env bash
# ml-experiment-stats tests the arms of a study on several data sets by the last data set alone: whichever is listed last decides.
#
# Guess: every result carries its `dataset`; with two of them the paired tests of run_statistical_analysis use all pairs of a seed and a
#   data set, or are done for each. The order in which results are added does not matter.
# What happens: before a test the values of an arm are put into a dictionary by seed. The same seed on the next data set replaces the value,
#   so that the tests, effect sizes, intervals, Friedman's test and the power see one data set, the one added last; `n_samples` is the
#   number of seeds, as for a complete table. The means of summary.json beside them are over both. Below, a ticket is 5 points
#   better on CIFAR-10 and no better on MNIST: significant if CIFAR-10 comes last, not if it comes first, to the last digit what
#   MNIST alone gives. Mean ranks count up from the worst within seeds and from the best across data sets, in one file. Nothing is said.
# Versions: ml-experiment-stats 0.1.0, scipy 1.17.1, numpy 2.4.6, PyYAML 6.0.4, Python 3.11; December 2026.
# Seen: 0.1.0 cifar10+mnist p = 0.625 (n 10); mnist p = 0.625 (n 10); mnist+cifar10 p = 0.002 (n 10); cifar10 p = 0.002 (n 10)
# ticketlens judges each study, that is each data set, by itself (verdicts/); a table row is found by study, seed, round and arm.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'ml-experiment-stats==0.1.0' 'scipy==1.17.1' 'numpy==2.4.6' 'PyYAML==6.0.4' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from ml_experiment_stats import RunResult
from ml_experiment_stats.statistics import run_statistical_analysis

random = np.random.default_rng(0)
results = {
    data: [
        RunResult(
            seed=seed,
            method=arm,
            dataset=data,
            metrics={"accuracy": 60 + random.normal() + (5 if (arm, data) == ("ticket", "cifar10") else 0)},
        )
        for arm in ("random", "ticket")
        for seed in range(10)
    ]
    for data in ("cifar10", "mnist")
}


def p_value(*data_sets):
    runs = [run for data in data_sets for run in results[data]]
    (pair,) = run_statistical_analysis(runs, test="wilcoxon")["metrics"]["accuracy"]["pairwise"]
    return f"{'+'.join(data_sets)} p = {pair['p_value']:.3f} (n {pair['n_samples']})"


print(
    version("ml-experiment-stats"),
    "; ".join(p_value(*order) for order in (["cifar10", "mnist"], ["mnist"], ["mnist", "cifar10"], ["cifar10"])),
)
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.0 cifar10+mnist p = 0.625 (n 10); mnist p = 0.625 (n 10); mnist+cifar10 p = 0.002 (n 10); cifar10 p = 0.002 (n 10)'

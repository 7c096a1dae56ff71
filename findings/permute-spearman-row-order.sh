#!/usr/bin/env bash
# The Spearman correlation of `permute` depends on the order in which the pairs are listed.
#
# Guess: spearman_corr(x, y) is the correlation of the ranks, as its name and documentation say, with a p-value by permutations. Which pair
#   comes first says nothing, so that a table of tickets may be sorted by seed, by sparsity or not at all.
# What happens: it takes numpy.argsort once. That is the place of the k-th smallest value, not the rank of the k-th value (which takes
#   argsort twice). It correlates two inverse permutations. That is Spearman's rho where x or y comes sorted, as a sweep does, and
#   another number, even of the other sign, where neither does. Nothing is said.
# Versions: permute 0.2, numpy 2.4.6, scipy 1.17.1, cryptorandom 0.4, Python 3.11; November 2026.
# Seen: scipy 0.62 in any order; permute 0.2 sorted by x: 0.62 (p 0.02); as drawn: 0.17 (p 0.31); in six other orders: -0.02 -0.33 0.53 -0.08 -0.19 0.48
# ticketlens ranks tickets with Kendall's tau of SciPy (verdicts/predictors.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'permute==0.2' 'numpy==2.4.6' 'scipy==1.17.1' 'cryptorandom==0.4' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from permute.core import spearman_corr
from scipy.stats import spearmanr

rng = np.random.default_rng(0)
x = rng.normal(size=12)
y = x + 0.7 * rng.normal(size=12)
orders = [np.argsort(x), np.arange(12), *(np.random.default_rng(n).permutation(12) for n in range(6))]
exact = {round(float(spearmanr(x[order], y[order]).statistic), 2) for order in orders}
found = [spearman_corr(x[order], y[order], reps=1000, seed=0)[:2] for order in orders]
(s, p), (drawn, q) = found[:2]
print(
    "scipy", *exact, f"in any order; permute {version('permute')} sorted by x: {s:.2f} (p {p:.2f});",
    f"as drawn: {drawn:.2f} (p {q:.2f}); in six other orders:", *(f"{rho:.2f}" for rho, _ in found[2:]),
)  # fmt: skip
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = 'scipy 0.62 in any order; permute 0.2 sorted by x: 0.62 (p 0.02); as drawn: 0.17 (p 0.31); in six other orders: -0.02 -0.33 0.53 -0.08 -0.19 0.48'

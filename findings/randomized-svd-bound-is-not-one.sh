#!/usr/bin/env bash
# randomized-svd's rank depends on its upper bound: bounded by 50, the default, it finds one of ten signals, by 100 five, by 400 ten.
#
# Guess: RandomizedSVD(rank_selection="auto") keeps the singular values above the optimal threshold of Gavish and Donoho, with the noise
#   estimated from the median singular value by the law of Marchenko and Pastur. n_components is an upper bound, its documentation
#   says; any bound well above the number of signals gives the same rank.
# What happens: that law speaks of all singular values of a matrix, and the median is taken of those computed, which are the largest. Of
#   400 it is the 200th that tells how loud the noise is; bounded by 50 it is the 25th. The threshold comes out at 2.15 times the edge
#   of the noise instead of 1.17, and signals between the two go with the noise, though the bound leaves room for five times as many.
#   A rank of 0 is reported as 1. With the noise level given (sigma=1) the rank is 10 under each bound: the singular values are not
#   to blame. No warning. Its page advises to compute generously many for optimal_rank(m, n, S), 100 of 500 there, which has the same
#   fault: 100 of 400 are too few here. Only a bound for which one needs no randomised method is right.
# Versions: randomized-svd 0.5.0, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, Python 3.11; December 2026.
# Seen: 0.5.0 10 signals at 1.6 to 2.0 edges; bound 30: rank 1 (known noise 10), threshold 2.28 edges; 50: rank 1 (known noise 10), threshold 2.15 edges; 100: rank 5 (known noise 10), threshold 1.95 edges; 400: rank 10 (known noise 10), threshold 1.17 edges
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 'scikit-learn==1.9.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'randomized-svd==0.5.0' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from randomized_svd import RandomizedSVD, optimal_threshold

rng = np.random.default_rng(0)
rows, columns = 600, 400
edge = np.sqrt(rows) + np.sqrt(columns)  # of the noise
left = np.linalg.qr(rng.normal(size=(rows, 10)))[0]
right = np.linalg.qr(rng.normal(size=(columns, 10)))[0]
matrix = left * (2 * edge * np.linspace(0.8, 1.0, 10)) @ right.T + rng.normal(size=(rows, columns))

found = []
for bound in (30, 50, 100, 400):
    ranks = []
    for sigma in (None, 1.0):
        model = RandomizedSVD(bound, rank_selection="auto", sigma=sigma, n_iter=4, random_state=0)
        ranks.append(model.fit(matrix).n_components_)
    computed = np.linalg.svd(matrix, compute_uv=False)[:bound]
    threshold = optimal_threshold(rows, columns, computed) / edge
    found.append(f"{bound}: rank {ranks[0]} (known noise {ranks[1]}), threshold {threshold:.2f} edges")
print(version("randomized-svd"), "10 signals at 1.6 to 2.0 edges; bound", "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.5.0 10 signals at 1.6 to 2.0 edges; bound 30: rank 1 (known noise 10), threshold 2.28 edges; 50: rank 1 (known noise 10), threshold 2.15 edges; 100: rank 5 (known noise 10), threshold 1.95 edges; 400: rank 10 (known noise 10), threshold 1.17 edges'

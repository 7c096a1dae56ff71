#!/usr/bin/env bash
# SciPy: the small p-values of Dunnett's test are random numbers, and can rank arms the wrong way round.
#
# Guess: scipy.stats.dunnett integrates the multivariate t to some fixed accuracy, so p-values of one data set are
#   the same in every call but for their last digits, and of two arms the one farther from the control has the smaller.
# Seen (scipy 1.17.1, numpy 2.4.6, November 2026): without `rng` every call draws new points for a quasi-Monte Carlo
#   integral of the probability that no arm exceeds |t|, and p is 1 minus that. 0.15 is steady to 0.001; 1e-5 varies by a factor
#   of three, and for twelve arms of three values the p-value at |t| = 11.6 spans up to four powers of ten. In about every other
#   call an arm farther away has the larger p-value. (The documentation names the random points, not what they do to small p.)
#   Ranking arms by p, or "p < 1e-6" in a table, is not repeatable; by the statistic it is.
# ticketlens integrates the one-dimensional form of Dunnett's law by quadrature instead (verdicts/pooled.py).
# Output seen:
#   |t| =  2.45: p from 1.5e-01 to 1.5e-01 in 20 calls
#   |t| =  6.12: p from 1.1e-05 to 3.3e-05 in 20 calls
#   |t| = 11.64: p from 2.7e-14 to 2.3e-10 in 20 calls
#   calls in which an arm farther from the control has a larger p: 9 of 20
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1'
cat > program.py <<'P'
import numpy as np
import scipy
from scipy import stats

assert (np.__version__, scipy.__version__) == ("2.4.6", "1.17.1"), "another version"
control = np.array([-1.0, 0.0, 1.0])
arms = [control + shift for shift in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9.5, 10)]
calls = [stats.dunnett(*arms, control=control) for _ in range(20)]
p = np.array([call.pvalue for call in calls])
t = np.abs(calls[0].statistic)
assert (np.diff(t) > 0).all(), "arms are in the order of their distance"
spread = {}
for arm in (2, 5, 10):
    low, high = p[:, arm].min(), p[:, arm].max()
    spread[arm] = high / max(low, 1e-300)
    print(f"|t| = {t[arm]:5.2f}: p from {low:.1e} to {high:.1e} in 20 calls")
reversed_order = sum(bool((np.diff(row) > 0).any()) for row in p)
print(f"calls in which an arm farther from the control has a larger p: {reversed_order} of 20")
assert spread[2] < 1.05 and spread[5] > 1.5 and spread[10] > 10, "the behaviour has changed"
assert reversed_order > 0, "the behaviour has changed"
P
OMP_NUM_THREADS=1 venv/bin/python program.py

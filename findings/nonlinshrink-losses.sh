#!/usr/bin/env bash
# nonlinshrink's two losses of a covariance estimate: one looks at the diagonal only, the other is not zero for the truth.
#
# Guess: loss_fr(estimate, truth) is the mean squared Frobenius error, loss_mv the minimum-variance loss of Ledoit and Wolf (2018), by
#   which its own estimator is optimal. Both are 0 where the estimate is the truth, and above 0 elsewhere.
# What happens: loss_fr squares the error entry by entry and takes the trace of that. Wrong correlations cost nothing: the identity is a
#   perfect estimate of any correlation matrix. loss_mv ends in a harmonic mean of the true eigenvalues that is to be subtracted, and
#   subtracts its inverse: a perfect estimate of 4 I loses 3.75 and one of I / 4 loses -3.75, so that losses of different problems
#   cannot be compared or averaged. prial, a ratio of differences of one problem, is not affected; nor is shrink_cov.
# Versions: nonlinshrink 0.7, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.7 loss_fr of I for correlations of 0.9: 0.00 (Frobenius 2.43); loss_mv of the truth itself: 4 I 3.75, I / 4 -3.75
# ticketlens judges spectra against Marchenko-Pastur laws and controls of the same shape; it estimates no covariance by such a loss.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'nonlinshrink==0.7' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import nonlinshrink
import numpy as np

unit = np.eye(4)
correlated = np.where(unit == 1, 1.0, 0.9)
diagonal_only = nonlinshrink.loss_fr(unit, correlated)
frobenius = np.linalg.norm(unit - correlated) ** 2 / 4
perfect = [nonlinshrink.loss_mv(scale * unit, scale * unit) for scale in (4, 0.25)]
print(
    f"{version('nonlinshrink')} loss_fr of I for correlations of 0.9: {diagonal_only:.2f} (Frobenius {frobenius:.2f});",
    f"loss_mv of the truth itself: 4 I {perfect[0]:.2f}, I / 4 {perfect[1]:.2f}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '0.7 loss_fr of I for correlations of 0.9: 0.00 (Frobenius 2.43); loss_mv of the truth itself: 4 I 3.75, I / 4 -3.75'

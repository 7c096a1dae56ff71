#!/usr/bin/env bash
# ScreeNOT finds no signal in a matrix of small numbers: the same matrix divided by a million has rank 0 instead of 3.
#
# Guess: adaptiveHardThresholding(Y, k) knows neither the noise nor its size and adapts to both; c Y has the threshold of Y times c, and
#   the same rank. A gradient, or the change of a layer in one step, can be handed over as it is.
# What happens: the threshold is found by bisection between the largest singular value of the noise and 2 above it, down to a width of 1e-5,
#   which is an absolute length. Where the singular values are of that size, the answer is the last point tried, which lies
#   beyond all of them, and the estimate of the signal is a matrix of zeros. Nothing is said.
# Versions: screenot 0.0.2, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.0.2 times 1: threshold 2.02, rank 3; times 0.001: 2.01, rank 3; times 1e-05: 2.51, rank 3; times 1e-06: 9.38, rank 0
# ticketlens' edge of a spectrum is measured in units of the matrix's own norm (theory/spikes.py), so that its scale drops out.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'screenot==0.0.2' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from screenot import adaptiveHardThresholding

rng = np.random.default_rng(0)
left, _ = np.linalg.qr(rng.normal(size=(400, 3)))
right, _ = np.linalg.qr(rng.normal(size=(200, 3)))
# Noise with singular values up to 1.7, and three of 4 to 6.
matrix = left @ np.diag([6.0, 5.0, 4.0]) @ right.T + rng.normal(size=(400, 200)) / 20
found = []
for scale in (1, 1e-3, 1e-5, 1e-6):
    _, threshold, rank = adaptiveHardThresholding(scale * matrix, 10)
    found.append(f"times {scale:g}: {'' if found else 'threshold '}{threshold / scale:.2f}, rank {rank}")
print(version("screenot"), "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.0.2 times 1: threshold 2.02, rank 3; times 0.001: 2.01, rank 3; times 1e-05: 2.51, rank 3; times 1e-06: 9.38, rank 0'

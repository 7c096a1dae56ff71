#!/usr/bin/env bash
# tracelogdetdiag: asked for exactly 100 random vectors, Hutchinson's estimator uses 80, divides by 100 and gives 80 % of the trace.
#
# Guess: hutchinson_trace(A, sample_size=100, exact_sample_size=True) is the mean of v'Av over 100 vectors of random signs, within a few
#   percent of the trace. Without the flag, which is there for sizes that blocks of 20 vectors do not fill, it is the same.
# What happens: the vectors that are too many are cut off the last block by an index counted from its end. Where the blocks come out even,
#   none is too many, and a slice up to "minus 0" is empty: the whole last block is gone, while the sum is divided by all the vectors.
#   With both defaults, 100 in blocks of 20, a fifth of the trace is missing. A sample of one block has the trace 0. Odd sizes, 90, are right.
# Versions: tracelogdetdiag 0.0.1, numpy 2.4.6, scipy 1.17.1, Python 3.11; November 2026.
# Seen: 0.0.1 share of the trace, mean of 50 estimates: 100 vectors 1.00, exactly 100 0.80, exactly 90 1.00, exactly 40 0.50, exactly 20 0.00
# The Hutchinson estimates of ticketlens are means over the vectors that were drawn (measure/jacobian.py); tests compare them with exact norms.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'tracelogdetdiag==0.0.1' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from tracelogdetdiag.trace import hutchinson_trace

samples = np.random.default_rng(0).normal(size=(400, 60))
covariance = samples.T @ samples / 400
np.random.seed(0)


def share(**options):
    estimates = [hutchinson_trace(covariance, **options) for _ in range(50)]
    return f"{np.mean(estimates) / np.trace(covariance):.2f}"


found = [f"100 vectors {share()}"]
for size in (100, 90, 40, 20):
    found.append(f"exactly {size} {share(sample_size=size, exact_sample_size=True)}")
print(version("tracelogdetdiag"), "share of the trace, mean of 50 estimates:", ", ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '0.0.1 share of the trace, mean of 50 estimates: 100 vectors 1.00, exactly 100 0.80, exactly 90 1.00, exactly 40 0.50, exactly 20 0.00'

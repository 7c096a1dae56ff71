#!/usr/bin/env bash
# PyRMT's optimal shrinkage takes out the signal and leaves the noise: its Stieltjes transform lacks the inverse.
#
# Guess: optimalShrinkage(X), the rotationally invariant estimator of Bun, Bouchaud and Potters, is nearer to the true correlations than
#   the sample's are, like clipped(X) of the same package: an eigenvalue of 31 stays about 30, the others come near 0.7.
# What happens: stieltjes(z, E) returns the normalized trace of z I - E, not of its inverse: z minus 1 for every correlation matrix, whatever
#   its spectrum. An eigenvalue is divided by a square that is to be of order 1 and now grows like its fourth power. The largest ones
#   come out as nearly 0, and setting the diagonal to 1 blows up the rest. An issue of 2022 shows wrong noise spectra, not why.
# Versions: PyRMT 0.1.0, its only release (2017), numpy 2.4.6, scipy 1.17.1, pandas 2.3.3, scikit-learn 1.7.2, Python 3.11; November 2026.
#   It imports two names that Python 3.10 moved; they are put back first. The package itself is left as it is.
# Seen: 0.1.0 largest eigenvalue 30.7 (error): sample 31.9 (6.0), clipped 31.6 (2.5), optimal shrinkage 1.8 (31.3); stieltjes at 5-1i 2.67-1.00j, by definition 0.35+0.22j
# The transforms behind the spectral laws of ticketlens are tested by the mass and moments of the densities, and by sampled matrices.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'numpy==2.4.6' 'scipy==1.17.1' 'pandas==2.3.3' 'scikit-learn==1.7.2' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'pyRMT==0.1.0' 2>/dev/null
cat > look.py <<'P'
import collections
import collections.abc
from importlib.metadata import version

import numpy as np

collections.Sequence = collections.abc.Sequence
collections.MutableSequence = collections.abc.MutableSequence
import pyRMT  # noqa: E402

truth = 0.7 * np.eye(100) + 0.3
samples = np.random.default_rng(0).normal(size=(200, 100)) @ np.linalg.cholesky(truth).T
estimates = {
    "sample": np.corrcoef(samples.T),
    "clipped": pyRMT.clipped(samples),
    "optimal shrinkage": pyRMT.optimalShrinkage(samples),
}
found = [
    f"{name} {np.linalg.eigvalsh(estimate)[-1]:.1f} ({np.linalg.norm(estimate - truth):.1f})"
    for name, estimate in estimates.items()
]
point, diagonal = 5 - 1j, np.array([1.0, 2.0, 4.0])
print(
    f"{version('pyRMT')} largest eigenvalue {np.linalg.eigvalsh(truth)[-1]:.1f} (error): {', '.join(found)};",
    f"stieltjes at 5-1i {pyRMT.stieltjes(point, np.diag(diagonal)):.2f}, by definition {np.mean(1 / (point - diagonal)):.2f}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '0.1.0 largest eigenvalue 30.7 (error): sample 31.9 (6.0), clipped 31.6 (2.5), optimal shrinkage 1.8 (31.3); stieltjes at 5-1i 2.67-1.00j, by definition 0.35+0.22j'

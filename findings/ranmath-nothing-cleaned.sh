#!/usr/bin/env bash
# ranmath: winsorisation leaves every outlier, clipping overwrites the spectrum it is given, and the quartic estimator returns one eigenvalue of 50.
#
# Guess: normalize.winsorization(limits=0.05) replaces the largest and smallest 5 % of each series. EigenvaluesClippingEstimator returns a spectrum
#   with the noise replaced by its mean, and the sample's spectrum is there to compare. QuarticRIEstimator returns as many eigenvalues as it
#   gets.
# What happens: the winsorised series are collected in a list, and the array of before is returned. The clipped values are written into the
#   caller's own array (a view of it): sample and cleaned spectrum are the same numbers afterwards, whatever is compared next. The quartic
#   estimator makes an array and then puts a number in its place, once for each eigenvalue; the last one is returned. No warning.
# Versions: ranmath 0.1, numpy 2.4.6, scipy 1.17.1, sympy 1.14.0, pandas 3.1.1, Python 3.11; November 2026.
# Seen: 0.1 winsorised: 0 of 4000 values changed; largest sample eigenvalue 2.08, after clipping its copy 0.98 and itself 0.98; quartic: 1 of 50 eigenvalues
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'numpy==2.4.6' 'scipy==1.17.1' 'sympy==1.14.0' 'pandas==3.1.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
  'ranmath==0.1' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from Ranmath import TimeSeriesMatrix
from Ranmath.CorrelationEstimators import EigenvaluesClippingEstimator, QuarticRIEstimator

random = np.random.default_rng(0)
series = TimeSeriesMatrix()
series.array = random.standard_t(2, size=(20, 200))
before = series.array.copy()
series.normalize.winsorization(limits=0.05)

noise = random.standard_normal((50, 200))
sample = np.linalg.eigvalsh(noise @ noise.T / 200)[np.newaxis]
kept = sample.copy()
cleaned = EigenvaluesClippingEstimator().estimate_eigenvalues(sample, q=0.25)
quartic = QuarticRIEstimator().estimate_eigenvalues(kept[0], q=0.25, tau=1.0)
print(
    f"{version('ranmath')} winsorised: {(series.array != before).sum()} of {before.size} values changed;",
    f"largest sample eigenvalue {kept.max():.2f}, after clipping its copy {cleaned.max():.2f} and itself {sample.max():.2f};",
    f"quartic: {np.size(quartic)} of {kept.size} eigenvalues",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.1 winsorised: 0 of 4000 values changed; largest sample eigenvalue 2.08, after clipping its copy 0.98 and itself 0.98; quartic: 1 of 50 eigenvalues'

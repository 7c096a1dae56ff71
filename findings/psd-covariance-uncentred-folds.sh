#!/usr/bin/env bash
# psd-covariance chooses its regularisation by the mean of the data: a constant added to every value makes it a hundred times stronger.
#
# Guess: cross_validate_alpha(X, grid), _threshold and _sigma choose by the likelihood of held-out rows. A covariance does not change when a
#   constant is added to X, so that neither does the choice; activations behind a ReLU may be handed over as they are.
# What happens: the covariance of the training rows is computed about their mean. The held-out rows, however, are put into the Gaussian density
#   as they are, no mean is subtracted. So the likelihood rewards a covariance that takes the square of the mean for variance, and with the
#   mean grows the alpha, threshold or sigma that is best. The estimate, which has no mean in it, then is almost all regularisation. All three
#   estimators do so; nothing is said of data that have to be centred first, and the package's own sample_cov, documented beside them, centres.
# Versions: psd-covariance 1.1.0, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, joblib 1.6.0, pandas 2.3.3, Python 3.11; November 2026.
# Seen: 1.1.0 alpha, threshold, sigma: 0.316 0.562 0.562 as drawn, 31.6 31.6 31.6 with 5 added; mean eigenvalue by ridge: 1.4, 32.7 (truth 1.1)
# ticketlens chooses nothing by cross-validation; its spectra are judged against laws and controls of the same shape.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'numpy==2.4.6' 'scipy==1.17.1' 'scikit-learn==1.9.1' 'joblib==1.6.0' 'pandas==2.3.3' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'psd-covariance==1.1.0' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from psd_covariance import EigenvalueClippingEstimator, PosteriorMeanEstimator, RidgeEstimator, sample_cov

truth = np.linspace(0.2, 2, 20)
drawn = np.random.default_rng(0).normal(size=(60, 20)) * np.sqrt(truth)
grid = np.logspace(-3, 3, 25)
chosen, means = [], []
for constant in (0, 5):
    data = drawn + constant
    alpha = RidgeEstimator().cross_validate_alpha(data, grid, n_jobs=1)
    threshold = EigenvalueClippingEstimator().cross_validate_threshold(data, grid, n_jobs=1)
    sigma = PosteriorMeanEstimator().cross_validate_sigma(data, grid, n_jobs=1)
    chosen.append(f"{alpha:.3g} {threshold:.3g} {sigma:.3g}")
    means.append(np.linalg.eigvalsh(RidgeEstimator().fit(sample_cov(data), alpha).cov).mean())
print(
    f"{version('psd-covariance')} alpha, threshold, sigma: {chosen[0]} as drawn, {chosen[1]} with 5 added;",
    f"mean eigenvalue by ridge: {means[0]:.1f}, {means[1]:.1f} (truth {truth.mean():.1f})",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.1.0 alpha, threshold, sigma: 0.316 0.562 0.562 as drawn, 31.6 31.6 31.6 with 5 added; mean eigenvalue by ridge: 1.4, 32.7 (truth 1.1)'

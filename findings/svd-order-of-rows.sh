#!/usr/bin/env bash
# NumPy and SciPy (LAPACK): whether an SVD finds small singular values depends on the order of the rows.
#
# Guess: singular values below 1e-16 of the largest are rounding noise, by whatever driver, and the order of
#   rows changes last bits only (only Jacobi's method, LAPACK's gejsv, finds small ones).
# Seen (numpy 2.4.6, scipy 1.17.1, November 2026): a matrix diag(d) T, d from 1 to 1e-27 and T well
#   conditioned, has all its singular values to 1e-15, by numpy.linalg.svd as by gesdd and gesvd, and
#   the same matrix with its rows reversed has the small ones wrong by factors of thousands. Bidiagonal reduction from large to
#   small keeps the scales apart; from small to large it mixes them. So sort rows (or columns) by their norms first:
#   ticketlens' product_svd.py does, and is three times faster than with Jacobi's method.
# Output seen:
#   large rows first: largest relative error 1.0e-15
#   small rows first: largest relative error 9.1e+03
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 'mpmath==1.3.0'
cat > program.py <<'P'
import mpmath
import numpy as np
import scipy
import scipy.linalg

assert (np.__version__, scipy.__version__) == ("2.4.6", "1.17.1"), "another version"
n = 12
well_conditioned = np.triu(np.random.default_rng(0).standard_normal((n, n))) + 3 * np.eye(n)
graded = 10.0 ** -(2.5 * np.arange(n))[:, None] * well_conditioned
with mpmath.workdps(120):
    exact = mpmath.svd_r(mpmath.matrix(graded.tolist()), compute_uv=False)
    exact = np.array(sorted((float(value) for value in exact), reverse=True))
errors = {}
for name, matrix in (("large", graded), ("small", graded[::-1])):
    ways = [np.linalg.svd(matrix, compute_uv=False)]
    ways += [scipy.linalg.svd(matrix, compute_uv=False, lapack_driver=driver)
             for driver in ("gesdd", "gesvd")]
    errors[name] = [float(np.max(np.abs(values / exact - 1))) for values in ways]
    print(f"{name} rows first: largest relative error {max(errors[name]):.1e}")
assert max(errors["large"]) < 1e-12 and min(errors["small"]) > 1, "the behaviour has changed"
P
venv/bin/python program.py

#!/usr/bin/env bash
# rmtool's Haar unitary matrix is a real one with a phase for each column: U^T U, a matrix of the circular orthogonal ensemble, is diagonal.
#
# Guess: haar(n) is a "Haar-distributed unitary matrix", as its documentation says. Then U^T U is a matrix of the circular orthogonal ensemble,
#   full, with levels that repel each other (mean ratio of neighbouring spacings 0.53), and n^2 E|u|^4 is 2n/(n+1), as of complex Gaussians.
# What happens: Q comes from the QR decomposition of a real Gaussian matrix, and each of its columns is multiplied by a random phase. So all
#   entries of a column lie on one line through 0. U^T U is the diagonal matrix of the squared phases, its levels are independent of each
#   other (Poisson, 0.39), and the fourth moment is that of real Gaussians, 3n/(n+2). U is unitary to the last digit, and its own levels
#   repel each other, so the usual checks pass. A complex Gaussian matrix in place of the real one would do.
# Versions: rmtool 1.0.0, numpy 2.4.6, sympy 1.14.0, Python 3.11; November 2026.
# Seen: 1.0.0 haar(100): U^T U off the diagonal up to 0.00, spacing ratio 0.39 (of U 0.62), n^2 E|u|^4 2.94; by a complex QR: U^T U off the diagonal up to 0.33, spacing ratio 0.53 (of U 0.60), n^2 E|u|^4 1.97
# ticketlens has real matrices only: QR with the signs of R's diagonal (Mezzadri 2007), against the Haar law in a test (tickets/initialization.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'rmtool==1.0.0' 'numpy==2.4.6' 'sympy==1.14.0' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from rmtool import haar

n = 100


def by_complex_qr(seed):
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)))
    return q * (np.diag(r) / abs(np.diag(r)))


def spacing_ratio(matrix):
    angles = np.sort(np.angle(np.linalg.eigvals(matrix)))
    gaps = np.diff(angles, append=angles[:1] + 2 * np.pi)
    return np.mean(np.minimum(gaps, np.roll(gaps, 1)) / np.maximum(gaps, np.roll(gaps, 1)))


def seen(draw):
    drawn = [draw(seed) for seed in range(20)]
    products = [u.T @ u for u in drawn]
    off_diagonal = max(abs(p - np.diag(np.diag(p))).max() for p in products)
    return (
        f"U^T U off the diagonal up to {off_diagonal:.2f}, spacing ratio {np.mean([spacing_ratio(p) for p in products]):.2f}"
        f" (of U {np.mean([spacing_ratio(u) for u in drawn]):.2f}), n^2 E|u|^4 {np.mean([n**2 * abs(u) ** 4 for u in drawn]):.2f}"
    )


print(f"{version('rmtool')} haar(100): {seen(lambda seed: haar(n, rng=seed))}; by a complex QR: {seen(by_complex_qr)}")
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.0.0 haar(100): U^T U off the diagonal up to 0.00, spacing ratio 0.39 (of U 0.62), n^2 E|u|^4 2.94; by a complex QR: U^T U off the diagonal up to 0.33, spacing ratio 0.53 (of U 0.60), n^2 E|u|^4 1.97'

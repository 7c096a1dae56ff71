#!/usr/bin/env bash
# deep-lyapunov calls a training convergent whose copies end 38 times as far apart as they began; its own Lyapunov exponent says the opposite.
#
# Guess: the convergence ratio is, as documented, the final spread of the perturbed copies over the initial one: below 1, copies converge; 1 where
#   they keep their distances; above 1 where the Lyapunov exponent, the logarithm of the same quotient over the epochs, is positive.
# What happens: for the ratio, NumPy's standard deviation is taken over the whole table of copies and principal components at once, not over the
#   copies. It thereby measures how far the components' coordinates are from one another, that is where the copies stand as a whole. The
#   components are centred at the mean of all epochs, and training that settles spends most epochs near its end: the first point is far from
#   that mean, the last one near, and the ratio is below 1 whatever the copies do. The spread over epochs, from which the exponent comes, is
#   computed by another function, per component, and is right. The verdict ("convergent", "Training is STABLE") follows the ratio alone.
# Versions: deep-lyapunov 0.1.2, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, Python 3.11; November 2026. (Its metrics need no torch.)
# Seen: 0.1.2 distances times 38.34, 1.49, 0.36: convergence ratio 0.19 0.11 0.11; Lyapunov exponent 0.182 0.020 -0.051
# The distance of two trained copies in ticketlens is the norm of their difference over that of one, without a projection (tables/stability.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 'scikit-learn==1.9.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'deep-lyapunov==0.1.2' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from deep_lyapunov.metrics import compute_convergence_ratio, compute_lyapunov_exponent, compute_spread_evolution

EPOCHS, COPIES, WEIGHTS = 20, 5, 20


def gradient_descent(curvature):
    """Five copies settle along the first weight; `curvature` is that of the loss along all the others."""
    generator = np.random.default_rng(0)
    weights = np.zeros((COPIES, WEIGHTS))
    weights[:, 0] = 10
    weights[1:, 1:] += 0.01 * generator.normal(size=(COPIES - 1, WEIGHTS - 1))
    curvatures = np.full(WEIGHTS, float(curvature))
    curvatures[0] = 5
    path = [weights]
    for _ in range(EPOCHS):
        path.append(path[-1] - 0.1 * curvatures * path[-1])
    return np.array(path)


growth, ratios, exponents = [], [], []
for curvature in (-2, -0.2, 0.5):
    path = gradient_descent(curvature)
    spread = np.sqrt(path.var(axis=1).sum(axis=1))
    growth.append(f"{spread[-1] / spread[0]:.2f}")
    ratios.append(f"{compute_convergence_ratio(path, n_components=3):.2f}")
    exponents.append(f"{compute_lyapunov_exponent(compute_spread_evolution(path, n_components=3), EPOCHS):.3f}")
print(
    f"{version('deep-lyapunov')} distances times {', '.join(growth)}: convergence ratio {' '.join(ratios)};",
    f"Lyapunov exponent {' '.join(exponents)}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.2 distances times 38.34, 1.49, 0.36: convergence ratio 0.19 0.11 0.11; Lyapunov exponent 0.182 0.020 -0.051'

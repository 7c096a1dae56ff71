#!/usr/bin/env bash
# spectral-density: a sum of two reference densities gives a spectrum of mass 2 and of twice the mean eigenvalue; with weights 19 and 1, of mass 20.
#
# Guess: KPM(coefficients, reference) expands the density of eigenvalues, whose mass is 1, in polynomials orthonormal with respect to the
#   reference, as the README writes it out. A reference twice as large has polynomials smaller by the root of two, and the product is the same:
#   bulk + spike, or 19 * bulk + 1 * spike, are as good as .95 * bulk + .05 * spike.
# What happens: a reference keeps its mass apart from its recurrence coefficients, which remain those of unit mass; sums and multiples of
#   references set the mass. Calling the reference multiplies by the mass, the polynomials and the moments know nothing of it. What comes out is
#   the density of eigenvalues times the mass of the reference, and so are its integrals: counts above an edge, means, traces. A reference of
#   mass 1 is right, which is what the one example uses; nothing says that it has to be one. (Stochastic Lanczos quadrature has no reference.)
# Versions: spectral-density 0.1.0, numpy 2.4.6, scipy 1.17.1, Python 3.11; November 2026.
# Seen: 0.1.0 weights of bulk and spike 0.95 0.05: mass 1.00, mean 1.02; 1 1: mass 2.00, mean 2.04; 19 1: mass 20.00, mean 20.41; by quadrature 1.02
# The transforms and densities behind the spectral laws of ticketlens are tested by their mass and moments, and by sampled matrices.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'spectral-density==0.1.0' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
import spectral_density as spec

SIZE = 400
generator = np.random.default_rng(0)
noise = generator.normal(size=(SIZE, 2 * SIZE)) / np.sqrt(2 * SIZE)
direction = generator.normal(size=SIZE)
direction /= np.linalg.norm(direction)
matrix = noise @ noise.T + 5 * np.outer(direction, direction)  # a Marchenko-Pastur bulk and one spike near 6.1
coefficients = [spec.lanczos(matrix, generator.normal(size=SIZE), 20) for _ in range(8)]

bulk = spec.get_semicircle_density(0.06, 2.97)
spike = spec.get_uniform_density(5.6, 6.6)
places = np.linspace(0, 8, 80001)
found = []
for weight_bulk, weight_spike in ((0.95, 0.05), (1, 1), (19, 1)):
    density = spec.KPM(coefficients, weight_bulk * bulk + weight_spike * spike)(places)
    mass, mean = np.trapezoid(density, places), np.trapezoid(density * places, places)
    found.append(f"{weight_bulk} {weight_spike}: mass {mass:.2f}, mean {mean:.2f}")
by_quadrature = spec.SLQ(coefficients).specsum(lambda eigenvalues: eigenvalues)[0]
print(f"{version('spectral-density')} weights of bulk and spike {'; '.join(found)}; by quadrature {by_quadrature:.2f}")
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.0 weights of bulk and spike 0.95 0.05: mass 1.00, mean 1.02; 1 1: mass 2.00, mean 2.04; 19 1: mass 20.00, mean 20.41; by quadrature 1.02'

#!/usr/bin/env bash
# The intrinsic dimension of nngeom is a third too large: points of a plane have 2.7 dimensions.
#
# Guess: intrinsic_dimension_twonn(X) is the estimator of Facco et al. (2017) from the ratio of each point's second to first neighbour's
#   distance: about 2 for points of a plane, whatever the share of the largest ratios that is left out against noise.
# What happens: it leaves out the largest tenth (discard_fraction=0.1) and takes one over the mean of the logarithms of the others, the formula
#   for a sample from which nothing was left out. (The paper fits a line to the distribution instead, which a cut does not tilt.)
#   A cut of f multiplies the dimension by (1 - f) / (1 - f + f ln f): 1.34 for the default, 3.3 for a half. The metric
#   "intrinsic_dimension" and `manifold_summary` have no such option and are off by that always.
# Versions: nngeom 0.2.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.2.0 largest 0, 10 and 50 % left out: a plane 2.0 2.7 6.4, as a metric 2.7; space 3.0 4.1 10.4, as a metric 4.1
# ticketlens estimates no dimension from distances. Its effective rank, (tr K)^2 / tr K^2 of a kernel, leaves nothing out (measure/ntk.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'nngeom==0.2.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import nngeom
import numpy as np
from nngeom.manifolds import intrinsic_dimension_twonn

found = []
for name, dimension in (("a plane", 2), ("space", 3)):
    rng = np.random.default_rng(2)
    # A square, or a cube, turned in a space of 20 dimensions.
    frame, _ = np.linalg.qr(rng.normal(size=(20, dimension)))
    points = rng.uniform(size=(2000, dimension)) @ frame.T
    values = [intrinsic_dimension_twonn(points, discard_fraction=share) for share in (0, 0.1, 0.5)]
    metric = nngeom.metrics.compute(points, ["intrinsic_dimension"])["intrinsic_dimension"]
    found.append(f"{name} " + " ".join(f"{value:.1f}" for value in values) + f", as a metric {metric:.1f}")
print(version("nngeom"), "largest 0, 10 and 50 % left out:", "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.2.0 largest 0, 10 and 50 % left out: a plane 2.0 2.7 6.4, as a metric 2.7; space 3.0 4.1 10.4, as a metric 4.1'

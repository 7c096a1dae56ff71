#!/usr/bin/env bash
# IntrinsicDimEstimator: one of its estimates of a dimension is the reciprocal of it, and one stays below 1 whatever the dimension is.
#
# Guess: intrinsic_dim(X, method) is about 2 for 1,000 points of a square and goes up to about 7 for points of a cube of 8 dimensions (the border
#   is felt), whichever of its methods is asked.
# What happens: "NearNbDim" is the slope of the log mean distance to the k-th neighbour against log k. That slope is 1 / d, and is returned as it
#   is: 0.41 for the square, 0.12 for 8 dimensions. "GMST" is 1 / (1 - slope), where the slope is that of the log length of a graph of
#   neighbours against log n: d, if the length is that of the whole graph. It is the length per point, whose slope is smaller by 1, so that
#   about d / (d + 1) comes out. Whoever compares two layers finds the simpler one to be the one of more dimensions. "MLE" and "CorrDim" do
#   as guessed.
# Versions: IntrinsicDimEstimator 0.3.2, scikit-learn 1.7.2, scipy 1.17.1, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.3.2 cubes of 2, 4, 8 dimensions: MLE 1.92 3.76 6.68; CorrDim 1.97 3.65 6.35; NearNbDim 0.41 0.21 0.12; GMST 0.67 0.79 0.87
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'IntrinsicDimEstimator==0.3.2' 'scikit-learn==1.7.2' 'scipy==1.17.1' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from IntrinsicDimEstimator import intrinsic_dim


def found(method, dimensions):
    points = np.random.default_rng(0).random((1000, dimensions))
    np.random.seed(0)
    with contextlib.redirect_stdout(io.StringIO()):  # a progress bar
        return f"{intrinsic_dim(points, method=method):.2f}"


parts = [f"{method} {' '.join(found(method, d) for d in (2, 4, 8))}" for method in ("MLE", "CorrDim", "NearNbDim", "GMST")]
print(version("IntrinsicDimEstimator"), "cubes of 2, 4, 8 dimensions:", "; ".join(parts))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.3.2 cubes of 2, 4, 8 dimensions: MLE 1.92 3.76 6.68; CorrDim 1.97 3.65 6.35; NearNbDim 0.41 0.21 0.12; GMST 0.67 0.79 0.87'

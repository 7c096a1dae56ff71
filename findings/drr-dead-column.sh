#!/usr/bin/env bash
# drr doubles the intrinsic dimension as soon as the data have more than 15 columns: one dead unit beside fifteen, and a plane has 4 dimensions.
#
# Guess: estimate_intrinsic_dimension(X) of points of a plane is 2, however many units look at them. A column that is the same for every point
#   (a unit that never fires) says nothing: the package itself leaves such columns out before it measures distances.
# What happens: the slope of the correlation integral, from which the dimension is read, is right. Which rule reads it, however, is decided by
#   the number of columns, the constant ones counted. Above 15 the median slope is multiplied by two, by a factor that, as a remark in the
#   source admits, only brought some tables nearer to a paper; the README has no word of it. So the estimate of the same points jumps from 2
#   to 4, that of a cube of five dimensions from 4 to 8, between 15 and 16 columns. The ratio 1 - I/R, by whose threshold of one third the
#   package says whether a simple method is enough, goes down where a redundant column should raise it. Layers of other widths cannot be
#   compared.
# Versions: drr 1.0.5, numpy 2.4.6, scipy 1.17.1, pandas 2.3.3, Python 3.11; November 2026.
# Seen: 1.0.5 plane seen by 8, 15, 16, 64 units: 2 2 4 4; cube of 5 dimensions: 3 4 8 8; plane and 15 units, one dead unit added: 4
# ticketlens estimates no dimension from distances. Its effective rank, (tr K)^2 / tr K^2 of a kernel, is one formula for every width (measure/ntk.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'scipy==1.17.1' 'pandas==2.3.3' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'drr==1.0.5' 2>/dev/null
cat > look.py <<'P'
import logging
from importlib.metadata import version

import numpy as np
from drr import estimate_intrinsic_dimension

logging.disable(logging.CRITICAL)
generator = np.random.default_rng(1)


def seen_by(points, units):
    return points @ generator.normal(size=(points.shape[1], units))


def estimates(points):
    return " ".join(str(estimate_intrinsic_dimension(seen_by(points, units))[1]) for units in (8, 15, 16, 64))


plane, cube = generator.uniform(size=(1000, 2)), generator.uniform(size=(1000, 5))
planes, cubes = estimates(plane), estimates(cube)
with_dead = np.hstack([seen_by(plane, 15), np.zeros((1000, 1))])
print(
    f"{version('drr')} plane seen by 8, 15, 16, 64 units: {planes}; cube of 5 dimensions: {cubes};",
    f"plane and 15 units, one dead unit added: {estimate_intrinsic_dimension(with_dead)[1]}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.0.5 plane seen by 8, 15, 16, 64 units: 2 2 4 4; cube of 5 dimensions: 3 4 8 8; plane and 15 units, one dead unit added: 4'

#!/usr/bin/env bash
# Hartigan's dip test of `diptest` calls two well separated groups unimodal, p = 1, if one value is NaN.
#
# Guess: a NaN among the weights gives a NaN, or an error.
# What happens: the statistic is 0, less than it can be (1/(2n) is its least value), and p = 1.0, the strongest "one mode" there is,
#   without a message, with 6,553 values as with 65,536. -inf does the same, +inf does not. Retrained weights of a bimodal law that
#   diverged pass as unimodal.
# Versions: diptest 0.12.0, numpy 2.3.5, Python 3.11; November 2026.
# Seen: as drawn: dip 0.047, p 0
#       one NaN: dip 0.000, p 1
#       one inf: dip 0.047, p 0
#       one -inf: dip 0.000, p 1
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'diptest==0.12.0' 'numpy==2.3.5'
cat > look.py <<'P'
import warnings

import diptest
import numpy as np

warnings.simplefilter("error")
rng = np.random.default_rng(0)
weights = np.concatenate([rng.normal(centre, 0.05, 5000) for centre in (-0.1, 0.1)])
values = {"as drawn": weights[7], "one NaN": np.nan, "one inf": np.inf, "one -inf": -np.inf}
for name, value in values.items():
    weights[7] = value
    dip, p = diptest.diptest(weights)
    print(f"{name}: dip {dip:.3f}, p {p:g}")
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = 'as drawn: dip 0.047, p 0
one NaN: dip 0.000, p 1
one inf: dip 0.047, p 0
one -inf: dip 0.000, p 1'

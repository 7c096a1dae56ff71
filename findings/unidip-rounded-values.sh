#!/usr/bin/env bash
# UniDip takes the gap between two groups of accuracies for a mode once they are rounded to hundredths, and finds no mode once rounded to tenths.
#
# Guess: UniDip(values).run(), which takes "floats or ints", returns the modes as first and last place in the sorted values. Two groups
#   of 300 accuracies, around 60 and 64 per cent and half a per cent wide, are two modes. Accuracies of 10,000 images are multiples of
#   0.01; to round to that changes nothing that matters.
# What happens: the dip of the sample is computed on the distinct values, and where the mode lies is returned as places among those. UniDip
#   takes them for places among all the values. As soon as some are equal, every place is too far to the left, and the search goes on in
#   the wrong pieces. The p-value too is that of a sample as large as the number of distinct values. Without ties the modes are right.
#   In hundredths (300 distinct values of 600) the second mode reaches from the tail of the lower group, over the gap with its two values,
#   to the middle of the upper group, whose other half is in none; in tenths there is no mode at all. It is the same for other seeds of
#   the test. Pruned weights, whose zeros are all equal, are such a sample.
# Versions: unidip 0.1.1, numpy 1.23.5 (the last that it runs with), Python 3.11; November 2026.
# Seen: 0.1.1 as drawn: 59.3 to 61.0, 63.2 to 64.8; in hundredths: 60.0 to 60.8, 61.0 to 63.9 (values from 61.8 to 62.2: 2); in tenths: none
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile 'numpy==1.23.5' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'unidip==0.1.1' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import numpy as np
from unidip import UniDip

warnings.simplefilter("ignore", DeprecationWarning)
rng = np.random.default_rng(0)
drawn = np.sort(np.concatenate([rng.normal(60, 0.5, 300), rng.normal(64, 0.5, 300)]))


def modes(values):
    np.random.seed(0)
    return ", ".join(f"{values[first]:.1f} to {values[last]:.1f}" for first, last in UniDip(values).run()) or "none"


between = ((drawn > 61.8) & (drawn < 62.2)).sum()
print(
    f"{version('unidip')} as drawn: {modes(drawn)}; in hundredths: {modes(drawn.round(2))}",
    f"(values from 61.8 to 62.2: {between}); in tenths: {modes(drawn.round(1))}",
)
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.1 as drawn: 59.3 to 61.0, 63.2 to 64.8; in hundredths: 60.0 to 60.8, 61.0 to 63.9 (values from 61.8 to 62.2: 2); in tenths: none'

#!/usr/bin/env bash
# Before weights are stored as float16, their size is compared with the largest float16.
#
# Guess: `size > numpy.finfo(numpy.float16).max` says of a Python float whether it is too large.
# What happens: finfo's max is a float16, and since NumPy 2 a Python float beside it becomes one first
#   (NEP 50). 65510.0 is rounded to 65504, which is not larger: it passes, and is stored as 65504. 70000.0
#   becomes infinity: larger, with a warning of an overflow in the check that should prevent one, an
#   error where warnings are errors. The same line with NumPy 1.26 compares as float64.
# Versions: NumPy 2.3.5 (2.4.6 alike) and 1.26.4, Python 3.11; November 2026.
# Seen: 1.26.4 True True 0 warnings
#       2.3.5 False True 1 warnings
set -euo pipefail
cd "$(mktemp -d)"
for version in 1.26.4 2.3.5; do
  python3 -m venv "$version"
  "$version/bin/python" -m pip install --quiet --disable-pip-version-check "numpy==$version"
done
look='import warnings, numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = [bool(size > np.finfo(np.float16).max) for size in (65510.0, 70000.0)]
print(np.__version__, *found, len(caught), "warnings")'
seen=$(for version in 1.26.4 2.3.5; do "$version/bin/python" -c "$look"; done)
echo "$seen"
test "$seen" = $'1.26.4 True True 0 warnings\n2.3.5 False True 1 warnings'

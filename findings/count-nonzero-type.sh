#!/usr/bin/env bash
# Guess: numpy.count_nonzero of a whole array returns a Python int ("count: int or array of int", its
#   reference page says), so that a share of kept weights, count / size, is a float: it prints as 0.25.
# What happens: it returns numpy.int64, and the share is numpy.float64. It prints as np.float64(0.25),
#   and a comparison of two such shares as np.True_: examples in docstrings fail when they are run.
# Versions: NumPy 2.3.5 (2.4.6 alike), Python 3.11; November 2026.
# Seen: 2.3.5 int64 np.float64(0.25) np.True_
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.3.5'
seen=$(venv/bin/python -c 'import numpy as np
share = np.count_nonzero(np.array([True, False, False, False])) / 4
print(np.__version__, type(np.count_nonzero(np.ones(1))).__name__,
      repr(share), repr(share == share))')
echo "$seen"
test "$seen" = '2.3.5 int64 np.float64(0.25) np.True_'

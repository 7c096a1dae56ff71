#!/usr/bin/env bash
# SciPy: lapack.dgeqrf(a) without `lwork` is a QR decomposition in blocks of three columns, several times slower.
#
# Guess: a workspace that is not given is the one that LAPACK asks for, as scipy.linalg.qr takes it, so lapack.dgeqrf(a)
#   and scipy.linalg.qr(a, mode="raw") do the same and give the same bits.
# Seen (scipy 1.17.1, its OpenBLAS, November 2026, Intel Xeon): the default is max(3 * n, 1), LAPACK asks for 32 * n. As its
#   block is at most lwork / n columns wide, 3 are taken: nearly all is matrix times vector. 1024 x 1024, one thread: about
#   four times the CPU time, and other last bits of R. The companion dgeqrf_lwork says what to give.
# Output seen:
#   lwork asked for by LAPACK 32768, by default 3072
#   CPU time over that of the asked-for workspace: 4.6; R has other bits: True; largest difference 4e-14
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'scipy==1.17.1' 'numpy==2.4.1'
cat > program.py <<'P'
import re
import time

import numpy as np
import scipy
from scipy.linalg import lapack, qr

assert scipy.__version__ == "1.17.1", scipy.__version__
n = 1024
matrix = np.asfortranarray(np.random.default_rng(0).standard_normal((n, n)))
asked = int(lapack.dgeqrf_lwork(n, n)[0])
default = eval(re.search(r"lwork .*\s+Default: (.*)", lapack.dgeqrf.__doc__)[1], {"max": max, "n": n})
print(f"lwork asked for by LAPACK {asked}, by default {default}")


def seconds(**given):
    found = []
    for _ in range(5):
        start = time.process_time()
        lapack.dgeqrf(matrix, **given)
        found.append(time.process_time() - start)
    return min(found)


ratio = seconds() / seconds(lwork=asked)
by_default = np.triu(lapack.dgeqrf(matrix)[0])
by_qr = np.triu(qr(matrix, mode="raw")[0][0])
with_asked = np.triu(lapack.dgeqrf(matrix, lwork=asked)[0])
is_other = not np.array_equal(by_default, by_qr)
largest = np.abs(by_default - by_qr).max()
print(f"CPU time over that of the asked-for workspace: {ratio:.1f}; R has other bits: {is_other}; "
      f"largest difference {largest:.0e}")
assert np.array_equal(with_asked, by_qr), "scipy.linalg.qr takes another workspace now"
assert default == 3 * n and asked > default and ratio > 1.5 and is_other, "the behaviour has changed"
P
OPENBLAS_NUM_THREADS=1 venv/bin/python program.py

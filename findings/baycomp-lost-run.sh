#!/usr/bin/env bash
# baycomp's signed-rank test counts a lost run as evidence that two arms are equal.
#
# Guess: with a NaN among the scores `two_on_multiple` answers NaN, as `two_on_single` of the same package does.
# What happens: it answers three probabilities that sum to one. Sums of differences that hold the NaN are neither left nor
#   right of the region of practical equivalence and so are counted inside it: below, of eight pairs that all differ by one point,
#   the loss of one moves 0.11 of the probability to "equal".
# Versions: baycomp 1.0.3, numpy 2.4.6, scipy 1.17.1, Python 3.11; November 2026.
# Seen: 1.0.3 complete: (1.00, 0.00, 0.00); one lost: (0.89, 0.11, 0.00); the same seven pairs alone: (1.00, 0.00, 0.00); t: nan
# ticketlens tests equivalence with two one-sided t-tests over the seeds that both arms have (verdicts/inference.py).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'baycomp==1.0.3' 'numpy==2.4.6' 'scipy==1.17.1'
cat > look.py <<'P'
from importlib.metadata import version

import baycomp
import numpy as np

base = np.random.default_rng(0).normal(50, 0.5, 8)
one, other = base, base - 1
lost = other.copy()
lost[2] = np.nan


def probabilities(x, y):
    found = baycomp.two_on_multiple(x, y, rope=0.5, random_state=0)
    return "({:.2f}, {:.2f}, {:.2f})".format(*found)


kept = np.isfinite(lost)
print(
    version("baycomp"), f"complete: {probabilities(one, other)};",
    f"one lost: {probabilities(one, lost)};",
    f"the same seven pairs alone: {probabilities(one[kept], lost[kept])};",
    f"t: {baycomp.two_on_single(one, lost, rope=0.5)[0]}",
)  # fmt: skip
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '1.0.3 complete: (1.00, 0.00, 0.00); one lost: (0.89, 0.11, 0.00); the same seven pairs alone: (1.00, 0.00, 0.00); t: nan'
